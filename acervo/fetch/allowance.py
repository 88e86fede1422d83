"""Numbers whose provider blocks them after a few failed downloads: so few of their files are in hand at once that the
block stays away even if every one of them fails."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable
from uuid import UUID

from django.db import transaction

from acervo import providers
from acervo.base import clock
from acervo.fetch import claims
from acervo.fetch.breaker import recent_failures
from acervo.fetch.claims import Claim
from acervo.models import Connection, MediaFile


def claim(limit: int) -> list[Claim]:
    """Like `claims.claim`, within what each number may risk. Two processes that look at once wait for each other, but
    only over such numbers."""
    budgets = _budgets()
    with transaction.atomic():
        careful = Connection.objects.live().filter(kind__in=budgets)
        rows = careful.select_for_update(no_key=True).order_by("pk")
        free = {row.pk: _free(row, budgets[row.kind]) for row in rows}
        taken = claims.claim(limit, but_not_of=[pk for pk, places in free.items() if places == 0])
        kept, surplus = _within(taken, free)
        claims.put_back(surplus)
    return kept


@functools.cache
def _budgets() -> dict[str, int]:
    """Failures an hour, of each kind that counts them. Asked before every claim, and always the same."""
    found = {kind: providers.get(kind).capabilities.download_failures_per_hour for kind in providers.kinds()}
    return {kind: budget for kind, budget in found.items() if budget is not None}


def _free(row: Connection, budget: int) -> int:
    """How many more may fail before the breaker has to open, less those that may be failing right now; one at a time
    is always allowed, because the breaker itself keeps a number at rest."""
    at = clock.now()
    recent = len(recent_failures(row, at))
    in_hand = MediaFile.objects.awaited().filter(connection=row, claimed_until__gt=at).count()
    return max(max(budget - 1 - recent, 1) - in_hand, 0)


def _within(taken: Iterable[Claim], free: dict[UUID, int]) -> tuple[list[Claim], list[UUID]]:
    """The claims that fit, earliest deadline first, and the files to put back."""
    used: Counter[UUID] = Counter()
    kept: list[Claim] = []
    surplus: list[UUID] = []
    for item in sorted(taken, key=lambda item: (item.fetch_before, item.id)):
        places = free.get(item.connection_id)
        if places is not None and used[item.connection_id] >= places:
            surplus.append(item.id)
        else:
            used[item.connection_id] += 1
            kept.append(item)
    return kept, surplus
