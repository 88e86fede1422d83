"""Who waits in which CRM for somebody to say who they are, and what is known of the question."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import Count, Min, QuerySet

from acervo.base.errors import Refused
from acervo.crms.contract import ContactDraft
from acervo.deliver import parcels, records
from acervo.models import ContactDecision, Delivery

FILES_TRIED: Final = 20


class DecidedMeanwhile(Refused):
    """Somebody else decided about this person a moment ago."""

    code = "decided_meanwhile"


class BeingTakenOut(Refused):
    """What was written to the wrong contact is just leaving the CRM."""

    code = "being_taken_out"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A person in one CRM, and how many of their files an answer would set free."""

    connection_id: UUID
    person_id: UUID
    files: int
    since: datetime


def waiting(deliveries: QuerySet[Delivery]) -> list[Waiting]:
    """Of these promises, those that wait for somebody to say who a person is; who waits longest first."""
    rows = (
        deliveries.stopped()  # type: ignore[attr-defined]
        .filter(records.undecided())
        .order_by()
        .values("connection_id", "media__person_id")
        .annotate(files=Count("pk"), since=Min("stopped_at"))
        .order_by("since", "media__person_id")
    )
    return [
        Waiting(row["connection_id"], row["media__person_id"], row["files"], row["since"]) for row in rows
    ]


def count(deliveries: QuerySet[Delivery]) -> int:
    """How many people wait, in how many CRMs."""
    found = deliveries.stopped().filter(records.undecided())  # type: ignore[attr-defined]
    return int(found.order_by().values("connection_id", "media__person_id").distinct().count())


@dataclass(frozen=True, slots=True)
class Question:
    """A person who waits, as the CRM is asked about them."""

    draft: ContactDraft
    phones: tuple[str, ...]
    offered: tuple[str, ...]


def question(connection_id: UUID, person_id: UUID) -> Question:
    """Raises DecidedMeanwhile where nobody waits any more, and BeingTakenOut."""
    stopped = promises(connection_id, person_id).order_by("-stopped_at", "-pk")
    rows = list(stopped.select_related("media")[:FILES_TRIED])
    if not rows:
        raise DecidedMeanwhile()
    left = ContactDecision.objects.to_take_out().filter(connection=connection_id, person=person_id)
    if left.exists():
        raise BeingTakenOut()
    party = next((parcel.party for parcel in parcels.load(rows)), None)
    if party is None:  # their files were taken back meanwhile
        raise DecidedMeanwhile()
    return Question(party.draft, party.phones, tuple(dict.fromkeys(_offered(rows))))


def _offered(rows: Iterable[Delivery]) -> Iterable[str]:
    for row in rows:
        for candidate in row.refusal_facts.get("candidates", ()):
            yield str(candidate["record_id"])


def promises(connection_id: UUID, person_id: UUID) -> QuerySet[Delivery]:
    """Those of one person that wait for the answer."""
    stopped = Delivery.objects.stopped().filter(records.undecided())
    return stopped.filter(connection=connection_id, media__person=person_id)
