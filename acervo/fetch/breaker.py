"""A number that keeps failing rests for a while, so that neither its provider nor its neighbours suffer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from acervo.base import clock
from acervo.fetch.claims import Failed, Kept
from acervo.models import Connection
from acervo.providers.contract import Outcome, Provider, Usage

STRAIN = frozenset({Outcome.UNAVAILABLE, Outcome.TIMED_OUT, Outcome.BLOCKED})
OURS = frozenset({Outcome.TOO_LARGE})
"""Our own refusals: they say nothing about the number."""
STRAINED_AFTER = 20
"""Failures of that sort within STRAIN_WINDOW_S, without a success between, open the breaker."""
STRAIN_WINDOW_S = 60.0
REST_S = 10.0
HOUR_S = 3600.0
LONGEST_REST_S = 900.0
"""Of what a provider asks for: some files have an hour in all."""
BUSY_PERCENT = 95.0
"""At this share of the provider's allowance we wait for what it says it takes to regain."""


def note(
    results: Sequence[Kept | Failed], providers: Mapping[UUID, Provider], usage: Mapping[UUID, Usage]
) -> None:
    """Remember successes, failures and allowance per number; open or close its breaker. Inside the caller's transaction."""
    by_number: dict[UUID, list[Kept | Failed]] = defaultdict(list)
    for item in results:
        by_number[item.claim.connection_id].append(item)
    for pk in sorted(by_number):
        row = Connection.objects.select_for_update(no_key=True).get(pk=pk)
        provider = providers.get(pk)  # none where its secrets do not open
        budget = provider.capabilities.download_failures_per_hour if provider else None
        changes = _changes(row, by_number[pk], budget, usage.get(pk))
        Connection.objects.filter(pk=pk).update(**changes)


def recent_failures(row: Connection, at: datetime) -> list[float]:
    """Unix seconds of the refused downloads that still count."""
    return [moment for moment in row.failures if moment > at.timestamp() - HOUR_S]


def _changes(
    row: Connection, results: list[Kept | Failed], budget: int | None, usage: Usage | None
) -> dict[str, Any]:
    at = clock.now()
    changes: dict[str, Any] = {}
    codes = [str(getattr(item.error, "code", "")) for item in results if isinstance(item, Failed)]
    refusals = [code for code in codes if code not in OURS]
    kept = len(results) > len(codes)
    if kept:
        changes |= {"last_success_at": at}
    if refusals:
        changes |= {"last_refusal": refusals[-1][:32], "last_refused_at": at}
    strained = [code for code in refusals if budget is not None or code in STRAIN]
    past = recent_failures(row, at)
    if kept and budget is None:
        past = []
    failures = past + [at.timestamp()] * len(strained)
    if failures != row.failures:
        changes["failures"] = failures[-200:]
    strain_s = _rest_s(failures, at.timestamp(), budget, is_new=bool(strained))
    asked_s = max(_asked_s(results), _busy_s(usage))
    # Where the provider blocks for failures, each try during the block may prolong it: what it asks is kept whole.
    rest_s = max(strain_s, asked_s if budget is not None else min(asked_s, LONGEST_REST_S))
    until = at + timedelta(seconds=rest_s)
    # What was under way when a rest began may end well or badly, and does not shorten it.
    if rest_s and not (row.breaker_open_until and row.breaker_open_until > until):
        changes["breaker_open_until"] = until
    if usage is not None:
        changes["usage"] = {"percent": usage.percent, "at": at.isoformat(), **usage.facts}
    return changes


def _asked_s(results: list[Kept | Failed]) -> float:
    """Seconds the provider asked the whole number to wait, 0 for none."""
    errors = [item.error for item in results if isinstance(item, Failed)]
    limited = [error for error in errors if getattr(error, "code", None) == Outcome.RATE_LIMITED]
    return max((getattr(error, "after_s", None) or 0.0 for error in limited), default=0.0)


def _busy_s(usage: Usage | None) -> float:
    return usage.regain_after_s if usage is not None and usage.percent >= BUSY_PERCENT else 0.0


def _rest_s(failures: list[float], at: float, budget: int | None, *, is_new: bool) -> float:
    """Seconds to rest, 0 for none."""
    if not is_new:
        return 0.0
    if budget is not None:  # stay one below what makes the provider block us
        return failures[-(budget - 1)] + HOUR_S - at if len(failures) >= budget - 1 else 0.0
    recent = [moment for moment in failures if moment > at - STRAIN_WINDOW_S]
    return REST_S if len(recent) >= STRAINED_AFTER else 0.0
