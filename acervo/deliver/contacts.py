"""The contact a person's files hang on: known, found by phone and verified, or made; never guessed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from acervo.base.database import in_thread
from acervo.crms.contract import Connector, ContactMatch, CrmError, CrmErrorKind, RecordRef
from acervo.deliver import records
from acervo.deliver.parcels import Party
from acervo.deliver.refusals import Refusal, detached


async def settle(connector: Connector, connection_id: UUID, party: Party) -> Refusal | None:
    """After this `party.contact` is the contact, with our roll-ups written, or None in a CRM without contacts;
    or the answer says why there is none. Raises CrmError where it is not about this person alone."""
    try:
        if party.contact is not None:
            return await _refresh(connector, party, party.contact)
        return await _find(connector, connection_id, party)
    except CrmError as error:
        if error.kind is CrmErrorKind.UNSUPPORTED:
            return None
        raise


async def _find(connector: Connector, connection_id: UUID, party: Party) -> Refusal | None:
    matches = await _matches(connector, party.phones)
    if len(matches) > 1:
        return _ambiguous(matches)
    only = matches[0].ref if matches else None
    if only:
        is_taken = await in_thread(records.belongs_to_another, connection_id, only, party.person_id)
        if is_taken:
            return _ambiguous(matches)
    return await _adopt(connector, party, only)


async def _refresh(connector: Connector, party: Party, contact: RecordRef) -> Refusal | None:
    if party.is_busy:
        return None
    try:
        now = await connector.upsert_contact(party.draft, known=contact)
    except CrmError as error:
        if error.kind is CrmErrorKind.NOT_FOUND:
            return detached(contact)
        raise
    if now.record_id != contact.record_id:
        party.contact, party.link_reason = now, records.MOVED
    return None


async def _adopt(connector: Connector, party: Party, found: RecordRef | None) -> Refusal | None:
    try:
        party.contact = await connector.upsert_contact(party.draft, known=found)
    except CrmError as error:
        if error.kind is CrmErrorKind.NOT_FOUND and found:
            # Search indexes lag: it still shows a contact that was deleted a moment ago.
            return Refusal.of(CrmError(CrmErrorKind.LOCKED, status=error.status))
        raise
    party.link_reason = records.MATCHED if found else records.CREATED
    return None


async def _matches(connector: Connector, phones: Iterable[str]) -> Sequence[ContactMatch]:
    """Every contact one of the numbers leads to. One that carries our stamp settles it: we put it there once."""
    found = {match.ref.record_id: match for phone in phones for match in await connector.find_contacts(phone)}
    stamped = [match for match in found.values() if match.is_stamped]
    return stamped if len(stamped) == 1 else list(found.values())


def _ambiguous(matches: Sequence[ContactMatch]) -> Refusal:
    candidates = [
        {
            "object_type": match.ref.object_type,
            "record_id": match.ref.record_id,
            "url": match.ref.url,
            "matched_on": match.matched_on,
        }
        for match in matches
    ]
    return Refusal(str(CrmErrorKind.AMBIGUOUS), {"candidates": candidates})
