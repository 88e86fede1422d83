"""A number that keeps failing rests for a while, so that neither its provider nor its neighbours suffer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from acervo.base import clock
from acervo.fetch.claims import Failed, Kept
from acervo.models import Connection
from acervo.providers.contract import Outcome, Provider, Usage

STRAIN = frozenset({Outcome.UNAVAILABLE, Outcome.TIMED_OUT, Outcome.BLOCKED})
STRAINED_AFTER = 20
"""Failures of that sort within STRAIN_WINDOW_S, without a success between, open the breaker."""
STRAIN_WINDOW_S = 60.0
REST_S = 10.0
HOUR_S = 3600.0
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
        changes = _changes(
            row, by_number[pk], providers[pk].capabilities.download_failures_per_hour, usage.get(pk)
        )
        Connection.objects.filter(pk=pk).update(**changes)


def _changes(
    row: Connection, results: list[Kept | Failed], budget: int | None, usage: Usage | None
) -> dict[str, Any]:
    at = clock.now()
    changes: dict[str, Any] = {}
    refusals = [str(getattr(item.error, "code", "")) for item in results if isinstance(item, Failed)]
    kept = len(results) > len(refusals)
    if kept:
        changes |= {"last_success_at": at}
    if refusals:
        changes |= {"last_refusal": refusals[-1][:32], "last_refused_at": at}
    strained = [code for code in refusals if budget is not None or code in STRAIN]
    past = [moment for moment in row.failures if moment > at.timestamp() - HOUR_S]
    if kept and budget is None:
        past = []
    failures = past + [at.timestamp()] * len(strained)
    if failures != row.failures:
        changes["failures"] = failures[-200:]
    if rest_s := _rest_s(failures, at.timestamp(), budget, is_new=bool(strained)):
        changes["breaker_open_until"] = at + timedelta(seconds=rest_s)
    elif kept and row.breaker_open_until:
        changes["breaker_open_until"] = None
    if usage is not None:
        changes["usage"] = {"percent": usage.percent, "at": at.isoformat(), **usage.facts}
        if usage.percent >= BUSY_PERCENT and usage.regain_after_s:
            changes["breaker_open_until"] = at + timedelta(seconds=usage.regain_after_s)
    return changes


def _rest_s(failures: list[float], at: float, budget: int | None, *, is_new: bool) -> float:
    """Seconds to rest, 0 for none."""
    if not is_new:
        return 0.0
    if budget is not None:  # stay one below what makes the provider block us
        return failures[-(budget - 1)] + HOUR_S - at if len(failures) >= budget - 1 else 0.0
    recent = [moment for moment in failures if moment > at - STRAIN_WINDOW_S]
    return REST_S if len(recent) >= STRAINED_AFTER else 0.0
