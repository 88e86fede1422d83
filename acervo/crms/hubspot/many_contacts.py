"""Many people in HubSpot in few calls: read by key, searched for together, written a hundred at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from acervo.crms import batches, people
from acervo.crms.contract import ContactDraft, ContactMatch, CrmError, RecordRef, Wanted
from acervo.crms.hubspot import contacts
from acervo.crms.hubspot.api import Api, Json
from acervo.crms.hubspot.contacts import FOUND, PERSON_KEY, PHONE_KEY, READ
from acervo.crms.hubspot.records import Records, properties_of
from acervo.crms.hubspot.traces import outcomes
from acervo.crms.phones import forms

SEARCHED = 8
"""Numbers that one search asks for: HubSpot takes a body of 3,000 characters (own knowledge, to be settled live)."""


async def find(
    api: Api, records: Records, phones: Sequence[str]
) -> Mapping[str, Sequence[ContactMatch] | CrmError]:
    async def stamped(wanted: Sequence[str]) -> dict[str, Sequence[ContactMatch]]:
        rows = await _stamped(api, wanted, READ)
        return {
            phone: [contacts.match(records, row, PHONE_KEY) for row in its] for phone, its in rows.items()
        }

    async def searched(wanted: Sequence[str]) -> dict[str, Sequence[ContactMatch] | CrmError]:
        found: dict[str, Sequence[ContactMatch] | CrmError] = {}
        for group in batches.chunks(wanted, SEARCHED):
            hits = await api.search("contacts", contacts.loose_search(group))
            if len(hits) < FOUND:
                found |= {phone: _verified(records, hits, phone) for phone in group}
            else:  # there may be more than it shows
                found |= await people.in_turn(group, str, lambda phone: contacts.find(api, records, phone))
        return found

    return await people.find(phones, stamped, searched)


@dataclass(frozen=True, slots=True)
class Many:
    """See `people.Batches`."""

    api: Api
    records: Records

    async def read(self, wanted: Sequence[Wanted]) -> Mapping[str, Json]:
        known = {one.known.record_id: people.person_of(one) for one in wanted if one.known}
        columns = contacts.columns(*(one.draft for one in wanted))
        rows = await self.api.read_many("contacts", list(known), columns)
        found = {known[str(row["id"])]: row for row in rows if str(row["id"]) in known}
        drafts = [one.draft for one in wanted if not one.known]
        stamped = await _stamped(self.api, [draft.phone for draft in drafts if draft.phone], columns)
        found |= {draft.person_id: stamped[draft.phone][0] for draft in drafts if draft.phone in stamped}
        by_person = [draft.person_id for draft in drafts if draft.person_id not in found]
        rows = await self.api.read_many("contacts", by_person, columns, id_property=PERSON_KEY)
        return found | {str(properties_of(row).get(PERSON_KEY)): row for row in rows}

    async def complete(
        self, there: Sequence[tuple[Json, ContactDraft]]
    ) -> Mapping[str, RecordRef | CrmError]:
        changes = {draft.person_id: contacts.changes_of(row, draft) for row, draft in there}
        ids = {draft.person_id: str(row["id"]) for row, draft in there}

        async def write(group: Sequence[str]) -> Mapping[str, Json | CrmError]:
            inputs = [
                {"id": ids[one], "properties": changes[one], "objectWriteTraceId": one} for one in group
            ]
            by_id = {ids[one]: one for one in group}
            answer = await self.api.update_many("contacts", inputs)
            return outcomes(group, answer, lambda row: by_id.get(str(row["id"]), ""))

        written = await batches.send([one for one in ids if changes[one]], str, write)
        return {one: self._ref(written.get(one, {"id": id_})) for one, id_ in ids.items()}

    async def create(self, drafts: Sequence[ContactDraft]) -> Mapping[str, RecordRef | CrmError]:
        async def write(group: Sequence[ContactDraft]) -> Mapping[str, Json | CrmError]:
            answer = await self.api.upsert("contacts", [contacts.new_entry(draft) for draft in group])
            by_key = {draft.phone or draft.person_id: draft.person_id for draft in group}
            return outcomes(map(_person, group), answer, lambda row: by_key.get(_key_of(row), ""))

        done: dict[str, RecordRef | CrmError] = {}
        for key in (True, False):  # one unique property a call
            theirs = [draft for draft in drafts if bool(draft.phone) is key]
            written = await batches.send(theirs, _person, write)
            done |= {person: self._ref(outcome) for person, outcome in written.items()}
        return done

    async def alone(self, one: Wanted) -> RecordRef:
        return await contacts.upsert(self.api, self.records, one.draft, one.known)

    def _ref(self, outcome: Json | CrmError) -> RecordRef | CrmError:
        return outcome if isinstance(outcome, CrmError) else self.records.ref("contact", str(outcome["id"]))


async def _stamped(api: Api, phones: Sequence[str], columns: Sequence[str]) -> dict[str, list[Json]]:
    """By the number they were asked for."""
    wanted = {phone: forms(phone) for phone in phones}
    keys = list(dict.fromkeys(form for its in wanted.values() for form in its))
    rows = await api.read_many("contacts", keys, columns, id_property=PHONE_KEY)
    return people.held_by(rows, lambda row: properties_of(row).get(PHONE_KEY), wanted)


def _verified(records: Records, hits: Sequence[Json], phone: str) -> list[ContactMatch]:
    held = ((row, contacts.field_holding(row, phone)) for row in hits)
    return [contacts.match(records, row, name) for row, name in held if name]


def _person(draft: ContactDraft) -> str:
    return draft.person_id


def _key_of(row: Json) -> str:
    properties = properties_of(row)
    return str(properties.get(PHONE_KEY) or properties.get(PERSON_KEY) or "")
