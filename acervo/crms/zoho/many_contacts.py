"""Many people in Zoho in few calls: read by keys and ids, written a hundred at a time. Only the loose search knows no
two numbers at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from acervo.crms import batches, people
from acervo.crms.contract import ContactDraft, ContactMatch, CrmError, RecordRef, Wanted
from acervo.crms.phones import forms
from acervo.crms.zoho import contacts
from acervo.crms.zoho.api import Api, Json, Outcome
from acervo.crms.zoho.names import CONTACTS, Names

_READ = (*contacts.NAMES, *contacts.TYPED)


async def find(
    api: Api, names: Names, phones: Sequence[str]
) -> Mapping[str, Sequence[ContactMatch] | CrmError]:
    key = names.contact["phone_e164"]

    async def stamped(wanted: Sequence[str]) -> dict[str, Sequence[ContactMatch]]:
        rows = await _stamped(api, names, wanted, _READ)
        return {phone: [contacts.match(names, row, key) for row in its] for phone, its in rows.items()}

    async def searched(wanted: Sequence[str]) -> dict[str, Sequence[ContactMatch] | CrmError]:
        return await people.in_turn(wanted, str, lambda phone: contacts.search(api, names, phone))

    return await people.find(phones, stamped, searched)


@dataclass(frozen=True, slots=True)
class Many:
    """See `people.Batches`."""

    api: Api
    names: Names
    moved: dict[str, str]

    async def read(self, wanted: Sequence[Wanted]) -> Mapping[str, Json]:
        columns = contacts.columns(self.names, *(one.draft for one in wanted))
        known = {one.known.record_id: people.person_of(one) for one in wanted if one.known}
        rows = await self.api.read(CONTACTS, list(known), columns)
        found = {known[str(row["id"])]: row for row in rows if str(row["id"]) in known}
        drafts = [one.draft for one in wanted if not one.known]
        phones = [draft.phone for draft in drafts if draft.phone]
        stamped = await _stamped(self.api, self.names, phones, columns)
        found |= {draft.person_id: stamped[draft.phone][0] for draft in drafts if draft.phone in stamped}
        key = self.names.contact["person_id"]
        by_person = [draft.person_id for draft in drafts if draft.person_id not in found]
        rows = await self.api.by_key(CONTACTS, key, by_person, columns)
        return found | {contacts.text(row, key): row for row in rows}

    async def complete(
        self, there: Sequence[tuple[Json, ContactDraft]]
    ) -> Mapping[str, RecordRef | CrmError]:
        changes = {draft.person_id: contacts.changes_of(self.names, row, draft) for row, draft in there}
        ids = {draft.person_id: str(row["id"]) for row, draft in there}

        async def write(group: Sequence[str]) -> Mapping[str, Outcome]:
            rows = [{"id": ids[one], **changes[one]} for one in group]
            return dict(zip(group, await self.api.update(CONTACTS, rows), strict=True))

        written = await batches.send([one for one in ids if changes[one]], str, write)
        return {one: self._ref(written.get(one, {"id": id_})) for one, id_ in ids.items()}

    async def create(self, drafts: Sequence[ContactDraft]) -> Mapping[str, RecordRef | CrmError]:
        async def write(group: Sequence[ContactDraft]) -> Mapping[str, Outcome]:
            rows = [contacts.new_row(self.names, draft) for draft in group]
            outcomes = await self.api.upsert(CONTACTS, contacts.key_of(self.names, group[0]), rows)
            return {draft.person_id: outcome for draft, outcome in zip(group, outcomes, strict=True)}

        done: dict[str, RecordRef | CrmError] = {}
        for has_phone in (True, False):  # one unique field a call
            theirs = [draft for draft in drafts if bool(draft.phone) is has_phone]
            written = await batches.send(theirs, lambda draft: draft.person_id, write)
            done |= {person: self._ref(outcome) for person, outcome in written.items()}
        return done

    async def alone(self, one: Wanted) -> RecordRef:
        return await contacts.upsert(self.api, self.names, one.draft, one.known, self.moved)

    def _ref(self, outcome: Outcome) -> RecordRef | CrmError:
        return outcome if isinstance(outcome, CrmError) else self.names.ref("contact", str(outcome["id"]))


async def _stamped(
    api: Api, names: Names, phones: Sequence[str], columns: Sequence[str]
) -> dict[str, list[Json]]:
    """By the number they were asked for."""
    key = names.contact["phone_e164"]
    wanted = {phone: forms(phone) for phone in phones}
    keys = list(dict.fromkeys(form for its in wanted.values() for form in its))
    rows = await api.by_key(CONTACTS, key, keys, columns)
    return people.held_by(rows, lambda row: contacts.text(row, key), wanted)
