"""The contacts a person may be in a CRM, side by side as the CRM shows them at this moment: asked for, and kept nowhere."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

import httpx

from acervo.base.database import in_thread
from acervo.base.errors import Refused
from acervo.crms.contract import Connector, ContactCard, ContactMatch, CrmError, CrmErrorKind, RecordRef
from acervo.deliver import account, records, undecided
from acervo.deliver.account import OpenConnector
from acervo.keep import credentials
from acervo.models import RecordLink

MOST_CANDIDATES: Final = 12
_RECORD: Final = re.compile(r"[A-Za-z0-9]{3,40}")


class NotARecord(Refused):
    """This is neither the id nor the address of a contact."""

    code = "not_a_record"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A contact this person may be, as the CRM shows it at this moment."""

    card: ContactCard
    matched_on: str = ""
    """The field that holds the number; empty for one that is not found by it any more, or never was."""
    is_stamped: bool = False
    is_taken: bool = False
    """Files of another person hang on it."""

    @property
    def answer(self) -> str:
        """How a form says that it is this one."""
        return f"record:{self.card.ref.record_id}"


@dataclass(slots=True)
class Look:
    """What the CRM says now."""

    candidates: list[Candidate] = field(default_factory=list)
    gone: int = 0
    """Contacts that were offered before and are not there any more."""


async def look(
    connection_id: UUID,
    person_id: UUID,
    *,
    besides: str = "",
    http: httpx.AsyncClient,
    open_connector: OpenConnector = credentials.connector,
) -> Look:
    """Every contact the person's numbers lead to, those offered when the promises stopped, and the one `besides` names.
    Raises CrmError, NotARecord, and DecidedMeanwhile where nobody waits."""
    other = [record_in(besides)] if besides.strip() else []
    question = await in_thread(undecided.question, connection_id, person_id)
    connector = await account.reach(connection_id, http, open_connector)
    found: dict[str, ContactMatch] = {}
    for phone in question.phones:
        found |= {match.ref.record_id: match for match in await _matches(connector, phone)}
    wanted = list(dict.fromkeys([*other, *found, *question.offered]))[:MOST_CANDIDATES]
    cards = await connector.describe_contacts([RecordRef(records.CONTACT, one) for one in wanted])
    there = {card.ref.record_id: card for card in cards}
    others = await in_thread(taken, connection_id, person_id, list(there))
    candidates = [_candidate(card, found.get(one), one in others) for one, card in there.items()]
    candidates.sort(
        key=lambda one: (one.card.ref.record_id not in other, not one.matched_on, not one.is_stamped)
    )
    return Look(candidates, gone=sum(one not in there for one in wanted))


def record_in(text: str) -> str:
    """The id of a record in what somebody pasted: the id itself, or the address of its page. Raises NotARecord."""
    path = urlsplit(text.strip()).path if "/" in text else text.strip()
    for part in reversed(path.split("/")):
        if _RECORD.fullmatch(part) and any(letter.isdigit() for letter in part):
            return part
    raise NotARecord()


async def _matches(connector: Connector, phone: str) -> Sequence[ContactMatch]:
    try:
        return await connector.find_contacts(phone)
    except CrmError as error:
        if error.kind is CrmErrorKind.UNSUPPORTED:
            return ()
        raise


def _candidate(card: ContactCard, match: ContactMatch | None, is_taken: bool) -> Candidate:
    if match is None:
        return Candidate(card, is_taken=is_taken)
    return Candidate(card, match.matched_on, match.is_stamped, is_taken)


def taken(connection_id: UUID, person_id: UUID, found: Collection[str]) -> set[str]:
    """Contacts that files of another person hang on."""
    others = RecordLink.objects.filter(
        connection=connection_id, object_type=records.CONTACT, record_id__in=found, person__isnull=False
    ).exclude(person=person_id)
    return set(others.values_list("record_id", flat=True))
