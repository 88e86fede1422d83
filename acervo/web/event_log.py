"""What a hook was told, a page at a time: each event, each try, and what was answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils.http import urlencode

from acervo.base import clock, ids
from acervo.models import EventDelivery, EventKind, EventTry, MediaFile, Member, Person, Subscription
from acervo.web import hook_words, words

PAGE_SIZE: Final = 40
STATES: Final[Mapping[str, Q]] = {
    "told": Q(delivered_at__isnull=False),
    "waiting": Q(delivered_at=None, stopped_at=None, refusal=None),
    "trying": Q(delivered_at=None, stopped_at=None, refusal__isnull=False),
    "stopped": Q(stopped_at__isnull=False),
}


@dataclass(frozen=True, slots=True)
class Tried:
    """One call, in words."""

    call: EventTry
    sentence: words.Words


@dataclass(frozen=True, slots=True)
class Entry:
    """One event, and what became of telling it."""

    delivery: EventDelivery
    label: words.Words
    status: words.Status
    trouble: words.Words
    tries: list[Tried]
    address: str
    """Of the file or the person, for those who may see it; else empty."""
    next_at: datetime | None
    """When it is tried again, if that is still to come."""

    @property
    def slug(self) -> str:
        return ids.text(self.delivery.event_id)


@dataclass(frozen=True, slots=True)
class Log:
    entries: list[Entry]
    state: str
    kind: str
    states: list[tuple[str, words.Words]]
    kinds: list[tuple[str, words.Words]]
    older: str
    """The query of the next page; empty on the last."""
    is_newest: bool
    is_busy: bool
    """Something of this page is still on its way."""

    @property
    def is_filtered(self) -> bool:
        return bool(self.state or self.kind)


def log_of(member: Member, subscription: Subscription, asked: Mapping[str, str]) -> Log:
    """The newest events first, as the address asks: `state`, `event`, `before`. Words it does not know are left out."""
    state = asked.get("state", "") if asked.get("state") in STATES else ""
    kind = asked.get("event", "") if asked.get("event") in EventKind.values else ""
    before = _place(asked.get("before", ""))
    rows = list(_found(subscription, state, kind, before)[: PAGE_SIZE + 1])
    page, more = rows[:PAGE_SIZE], len(rows) > PAGE_SIZE
    query = {"state": state, "event": kind, "before": ids.text(page[-1].event_id) if more else ""}
    return Log(
        entries=_entries(member, page),
        state=state,
        kind=kind,
        states=[(name, hook_words.DELIVERY_STATES[name].label) for name in STATES],
        kinds=[(name, said[0]) for name, said in hook_words.EVENTS.items()],
        older="?" + urlencode({name: value for name, value in query.items() if value}) if more else "",
        is_newest=before is None,
        is_busy=any(row.delivered_at is None and row.stopped_at is None for row in page),
    )


def _found(subscription: Subscription, state: str, kind: str, before: UUID | None) -> QuerySet[EventDelivery]:
    found = subscription.deliveries.select_related("event").prefetch_related("tries").order_by("-event_id")
    if state:
        found = found.filter(STATES[state])
    if kind:
        found = found.filter(event__kind=kind)
    return found.filter(event_id__lt=before) if before else found


def _entries(member: Member, rows: Iterable[EventDelivery]) -> list[Entry]:
    page = list(rows)
    addresses = _addresses(member, {row.event.subject_id for row in page if row.event.subject_id})
    return [
        Entry(
            delivery=row,
            label=hook_words.EVENTS[row.event.kind][0],
            status=hook_words.DELIVERY_STATES[row.state],
            trouble=hook_words.trouble(row.refusal),
            tries=[Tried(call, _sentence(call)) for call in row.tries.all()],
            address=addresses.get(row.event.subject_id, "") if row.event.subject_id else "",
            next_at=row.due_at if row.state == "trying" and row.due_at > clock.now() else None,
        )
        for row in page
    ]


def _addresses(member: Member, subjects: Iterable[UUID]) -> dict[UUID, str]:
    asked = list(subjects)
    files = MediaFile.objects.visible_to(member).filter(pk__in=asked).values_list("pk", flat=True)
    people = Person.objects.visible_to(member).filter(pk__in=asked).values_list("pk", flat=True)
    return {pk: f"/m/{ids.text(pk)}" for pk in files} | {pk: f"/contacts/{ids.text(pk)}" for pk in people}


def _sentence(call: EventTry) -> words.Words:
    return (
        hook_words.DELIVERY_STATES["told"].label
        if call.code == EventTry.OK
        else hook_words.trouble(call.code)
    )


def _place(text: str) -> UUID | None:
    try:
        return ids.parse(text)
    except ValueError:
        return None
