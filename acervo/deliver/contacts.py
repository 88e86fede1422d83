"""The contacts that people's files hang on: known, found by phone and verified, or made; never guessed. All people of a
batch together, in as few calls as their CRM allows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from acervo.base.database import in_thread
from acervo.crms.contract import Connector, ContactMatch, CrmError, CrmErrorKind, RecordRef, Wanted
from acervo.crms.people import OF_THE_ACCOUNT
from acervo.crms.phones import forms
from acervo.deliver import records
from acervo.deliver.parcels import Party
from acervo.deliver.refusals import Refusal, detached


@dataclass(slots=True)
class Settled:
    """What became of the people of a batch: `party.contact` is the contact, with our roll-ups written, or None in a CRM
    without contacts. Those in `refusals` have none, and it says why; those in `untried` had no turn."""

    refusals: dict[UUID, Refusal] = field(default_factory=dict)
    untried: set[UUID] = field(default_factory=set)
    halt: CrmError | None = None
    """What is not about one person: nobody after this was tried."""

    def refuse(self, party: Party, error: CrmError) -> None:
        self.refusals[party.person_id] = Refusal.of(error)
        if self.halt is None and error.kind in OF_THE_ACCOUNT:
            self.halt = error


async def settle(connector: Connector, connection_id: UUID, parties: Sequence[Party]) -> Settled:
    settled = Settled()
    known = [party for party in parties if party.contact is not None and not party.is_busy]
    strangers = [party for party in parties if party.contact is None]
    found = await _find(connector, connection_id, strangers, settled)
    asked = {
        party.person_id: (party, contact)
        for party, contact in [*((party, party.contact) for party in known), *found]
    }
    if settled.halt or not asked:
        settled.untried |= set(asked)
        return settled
    answers = await connector.upsert_contacts(
        [Wanted(party.draft, contact) for party, contact in asked.values()]
    )
    for person_id, (party, contact) in asked.items():
        answer = answers.get(party.draft.person_id)
        if answer is None:
            settled.untried.add(person_id)
        elif isinstance(answer, RecordRef):
            _remember(party, contact, answer)
        elif answer.kind is CrmErrorKind.NOT_FOUND and contact is not None:
            settled.refusals[person_id] = _gone(party, contact, answer)
        elif answer.kind is not CrmErrorKind.UNSUPPORTED:
            settled.refuse(party, answer)
    return settled


async def _find(
    connector: Connector, connection_id: UUID, parties: Sequence[Party], settled: Settled
) -> list[tuple[Party, RecordRef | None]]:
    """Strangers and the only contact their numbers lead to, or None where one is to be made."""
    now = _one_a_line(parties, settled)
    phones = list(dict.fromkeys(phone for party in now for phone in party.phones))
    answers = await connector.find_contacts_of(phones) if phones else {}
    candidates: list[tuple[Party, Sequence[ContactMatch]]] = []
    for party in now:
        theirs = [answers.get(phone) for phone in party.phones]
        errors = [answer for answer in theirs if isinstance(answer, CrmError)]
        if any(answer is None for answer in theirs) and not errors:
            settled.untried.add(party.person_id)
        elif error := next((one for one in errors if one.kind is not CrmErrorKind.UNSUPPORTED), None):
            settled.refuse(party, error)
        elif not errors:
            candidates.append((party, _matches(theirs)))
    return await _unshared(connection_id, candidates, settled)


def _one_a_line(parties: Sequence[Party], settled: Settled) -> list[Party]:
    """Of people whose numbers are one line in two forms, the first; the others see in the next batch what it became."""
    lines: set[str] = set()
    now: list[Party] = []
    for party in parties:
        theirs = {form for phone in party.phones for form in forms(phone)}
        if lines & theirs:
            settled.untried.add(party.person_id)
            continue
        lines |= theirs
        now.append(party)
    return now


async def _unshared(
    connection_id: UUID, candidates: Iterable[tuple[Party, Sequence[ContactMatch]]], settled: Settled
) -> list[tuple[Party, RecordRef | None]]:
    """A contact belongs to one of our people. Where it has another one's files, or two want it, a person decides."""
    wanted = list(candidates)
    owners = await in_thread(
        records.owners, connection_id, [matches[0].ref for _, matches in wanted if len(matches) == 1]
    )
    adopted: list[tuple[Party, RecordRef | None]] = []
    for party, matches in wanted:
        only = matches[0].ref if matches else None
        is_taken = only is not None and owners.setdefault(only.record_id, party.person_id) != party.person_id
        if len(matches) > 1 or is_taken:
            settled.refusals[party.person_id] = _ambiguous(matches)
        else:
            adopted.append((party, only))
    return adopted


def _matches(answers: Iterable[Sequence[ContactMatch] | CrmError | None]) -> Sequence[ContactMatch]:
    """Every contact one of the numbers leads to. One that carries our stamp settles it: we put it there once."""
    found: Mapping[str, ContactMatch] = {
        match.ref.record_id: match
        for answer in answers
        if answer and not isinstance(answer, CrmError)
        for match in answer
    }
    stamped = [match for match in found.values() if match.is_stamped]
    return stamped if len(stamped) == 1 else list(found.values())


def _remember(party: Party, contact: RecordRef | None, now: RecordRef) -> None:
    if party.contact is None:
        party.contact, party.link_reason = now, records.MATCHED if contact else records.CREATED
    elif now.record_id != party.contact.record_id:
        party.contact, party.link_reason = now, records.MOVED


def _gone(party: Party, contact: RecordRef, error: CrmError) -> Refusal:
    if party.contact is not None:
        return detached(contact)
    # Search indexes lag: it still shows a contact that was deleted a moment ago.
    return Refusal.of(CrmError(CrmErrorKind.LOCKED, status=error.status))


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
