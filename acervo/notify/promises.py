"""What each subscription is still to be told: claimed for a while, settled, given up, and forgotten in the end."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef

from acervo.base import clock
from acervo.models import AuditEntry, Deed, Event, EventDelivery, EventTry, Subscription
from acervo.models.subscription import STEADY

BY: Final = "system:notify"
AT_ONCE: Final = 4
"""Calls of one address side by side, by all workers together."""
LEASE: Final = timedelta(seconds=60)
"""Far longer than one call may take: what a dead worker held comes back after this."""
PATIENCE_S: Final = (
    5, 30, 120, 600, 1800, 3600, 2 * 3600, 4 * 3600, 8 * 3600, 12 * 3600, 12 * 3600, 12 * 3600, 18 * 3600,
)  # fmt: skip
"""Seconds before the next try of one event, by the tries so far: a little less than three days in all."""
RESTS_S: Final = (10, 30, 60, 120, 300)
LONGEST_REST_S: Final = 3600
"""However long an address asks to be left alone."""
DISABLED_AFTER: Final = timedelta(days=5)
KEPT_FOR: Final = timedelta(days=30)
"""Events, and subscriptions that ended."""
GONE, FAILING, RATE_LIMITED = "gone", "failing", "rate_limited"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one call came to."""

    at: datetime
    took_ms: int
    code: str
    http_status: int | None = None
    after_s: float | None = None
    """For how long the address asked to be left alone."""

    @property
    def is_ok(self) -> bool:
        return self.code == EventTry.OK


@dataclass(slots=True)
class Settled:
    """In numbers of events."""

    told: int = 0
    refused: int = 0
    stopped: int = 0
    released: int = 0
    """Somebody else had taken them over, or the subscription ended."""
    deeds: list[Deed] = field(default_factory=list, repr=False)


# ── claiming ──


def due_subscriptions(limit: int, *, but_not: Collection[UUID] = ()) -> list[UUID]:
    """Some of those that are to be told something now; by lot, so that none stands behind the others for ever."""
    now = clock.now()
    waiting = EventDelivery.objects.due(now).filter(subscription=OuterRef("pk"))
    found = Subscription.objects.live().exclude(rests_until__gt=now).exclude(pk__in=but_not)
    return list(found.filter(Exists(waiting)).order_by("?").values_list("pk", flat=True)[:limit])


def are_due() -> bool:
    return bool(due_subscriptions(1))


def claim(subscription_id: UUID) -> list[EventDelivery]:
    """What may be told now, the oldest event first, ours until `claimed_until`. No more than `AT_ONCE` are in the hands
    of all workers together, and no more than one while the address fails."""
    with transaction.atomic():
        subscription = _lock(subscription_id)
        now = clock.now()
        if subscription is None or not _is_open(subscription, now):
            return []
        in_hand = (
            EventDelivery.objects.open().filter(subscription=subscription, claimed_until__gt=now).count()
        )
        room = (1 if subscription.failures >= STEADY else AT_ONCE) - in_hand
        due = EventDelivery.objects.due(now).filter(subscription=subscription)
        due = due.order_by("-event__is_sample", "event_id")  # somebody waits for a sample
        found = list(due.select_for_update(skip_locked=True, no_key=True, of=("self",))[: max(room, 0)])
        until = now + LEASE
        EventDelivery.objects.filter(pk__in=[row.pk for row in found]).update(claimed_until=until)
        events = Event.objects.in_bulk([row.event_id for row in found])
    for row in found:
        row.claimed_until, row.subscription, row.event = until, subscription, events[row.event_id]
    return found


def _lock(subscription_id: UUID) -> Subscription | None:
    """Others may still promise it something meanwhile."""
    return Subscription.objects.select_for_update(no_key=True).filter(pk=subscription_id).first()


def _is_open(subscription: Subscription, at: datetime) -> bool:
    is_resting = subscription.rests_until is not None and subscription.rests_until > at
    return not (subscription.ended_at or subscription.paused_at or is_resting)


# ── settling ──


def settle(subscription_id: UUID, answers: Sequence[tuple[EventDelivery, Answer]]) -> Settled:
    """Write down what became of a batch, in one transaction. A result counts only where the promise is still open and
    still ours; that the address was called is written down in any case."""
    settled = Settled()
    with transaction.atomic():
        subscription = _lock(subscription_id)
        if subscription is None:
            return settled
        EventTry.objects.bulk_create(
            EventTry(
                delivery=row, at=said.at, took_ms=said.took_ms, code=said.code, http_status=said.http_status
            )
            for row, said in answers
        )
        held = _still_held([row for row, _ in answers])
        for row, said in answers:
            _enter(held.get(row.pk), said, settled)
        EventDelivery.objects.bulk_update(held.values(), WRITTEN)
        _judge(subscription, [said for _, said in answers], settled)
        if settled.deeds:
            AuditEntry.objects.record(subscription.workspace_id, BY, settled.deeds)
    return settled


WRITTEN: Final = (
    "attempts", "due_at", "claimed_until", "delivered_at", "stopped_at", "refusal", "refused_at",
)  # fmt: skip


def _still_held(rows: Sequence[EventDelivery]) -> dict[UUID, EventDelivery]:
    lease = {row.pk: row.claimed_until for row in rows}
    locked = EventDelivery.objects.open().filter(pk__in=lease).order_by("pk").select_for_update(no_key=True)
    return {row.pk: row for row in locked if row.claimed_until == lease[row.pk]}


def _enter(row: EventDelivery | None, said: Answer, settled: Settled) -> None:
    if row is None:
        settled.released += 1
        return
    row.attempts, row.claimed_until = row.attempts + 1, None
    if said.is_ok:
        row.delivered_at, row.refusal, row.refused_at = said.at, None, None
        settled.told += 1
        return
    row.refusal, row.refused_at = said.code, said.at
    if row.attempts > len(PATIENCE_S):
        row.stopped_at = said.at
        settled.stopped += 1
        return
    wait_s = max(PATIENCE_S[row.attempts - 1] * random.uniform(0.9, 1.1), said.after_s or 0)  # noqa: S311  (jitter)
    row.due_at = said.at + timedelta(seconds=wait_s)
    settled.refused += 1


def _judge(subscription: Subscription, said: Sequence[Answer], settled: Settled) -> None:
    """How the address is, after these calls: well, failing and resting, given up by us, or gone for good."""
    if subscription.ended_at:
        return
    if gone := next((one for one in said if one.code == GONE), None):
        end(subscription, BY, GONE, gone.at)
        settled.deeds.append(Deed("subscription.ended", "subscription", subscription.pk, GONE))
        return
    if well := [one.at for one in said if one.is_ok]:
        _recover(subscription, max(well))
    elif said:
        _suffer(subscription, said, settled)
    subscription.save(update_fields=HEALTH)


HEALTH: Final = (
    "failures", "failing_since", "rests_until", "last_success_at", "paused_at", "paused_by", "pause_reason",
)  # fmt: skip


def _recover(subscription: Subscription, at: datetime) -> None:
    """What waited for its own next try need not wait: the address is back."""
    if subscription.failures >= STEADY:
        EventDelivery.objects.open().filter(subscription=subscription, claimed_until=None).update(due_at=at)
    subscription.failures, subscription.failing_since, subscription.rests_until = 0, None, None
    subscription.last_success_at = at


def _suffer(subscription: Subscription, said: Sequence[Answer], settled: Settled) -> None:
    at = max(one.at for one in said)
    subscription.failures += len(said)
    subscription.failing_since = subscription.failing_since or at
    wishes = [one.after_s for one in said if one.after_s is not None]
    if wishes:
        subscription.rests_until = at + timedelta(seconds=min(max(wishes), LONGEST_REST_S))
    elif subscription.failures >= STEADY:
        place = min(subscription.failures - STEADY, len(RESTS_S) - 1)
        subscription.rests_until = at + timedelta(seconds=RESTS_S[place])
    if subscription.failing_since <= at - DISABLED_AFTER and not subscription.paused_at:
        subscription.paused_at, subscription.paused_by, subscription.pause_reason = at, BY, FAILING
        settled.deeds.append(Deed("subscription.disabled", "subscription", subscription.pk, FAILING))


# ── ending, and forgetting ──


def end(subscription: Subscription, by: str, reason: str, at: datetime) -> None:
    """Nothing is promised any more, what was promised is dropped, and the secret is gone. The caller writes the deed."""
    subscription.ended_at, subscription.ended_by, subscription.end_reason = at, by, reason
    subscription.sealed_secrets = subscription.previous_until = None
    subscription.save(
        update_fields=["ended_at", "ended_by", "end_reason", "sealed_secrets", "previous_until"]
    )
    waiting = EventDelivery.objects.open().filter(subscription=subscription)
    waiting.update(stopped_at=at, refusal="ended", refused_at=at, claimed_until=None)


def forget(limit: int) -> int:
    """Events, and subscriptions that ended, after a month; returns how many events went. The audit trail stays."""
    before = clock.now() - KEPT_FOR
    old = list(Event.objects.filter(at__lt=before).order_by("at").values_list("pk", flat=True)[:limit])
    Event.objects.filter(pk__in=old).delete()
    Subscription.objects.filter(ended_at__lt=before).delete()
    return len(old)
