"""Many people in Salesforce in few calls: read by keys and ids, searched for together, written in collections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from acervo.crms import batches, people
from acervo.crms.contract import ContactDraft, ContactMatch, CrmError, RecordRef, Wanted
from acervo.crms.phones import forms
from acervo.crms.salesforce import contacts
from acervo.crms.salesforce.api import FOUND, Api, Json
from acervo.crms.salesforce.contacts import live_where
from acervo.crms.salesforce.places import PERSON_KEY, PHONE_KEY
from acervo.crms.salesforce.records import Records, is_id, listed

SEARCHED = 20
"""Numbers that one search asks for: up to six spellings each stay below the 4,000 characters of a search (own
knowledge, to be settled live)."""


async def find(
    api: Api, records: Records, phones: Sequence[str]
) -> Mapping[str, Sequence[ContactMatch] | CrmError]:
    async def stamped(wanted: Sequence[str]) -> dict[str, Sequence[ContactMatch]]:
        (rows,) = await api.query(live_where(f"{PHONE_KEY} IN {listed(_forms(wanted))}"))
        return {
            phone: [contacts.match(records, row, PHONE_KEY) for row in its]
            for phone, its in _by_phone(rows, wanted).items()
        }

    async def one(phone: str) -> Sequence[ContactMatch]:
        return await contacts.search(api, records, phone)

    async def searched(wanted: Sequence[str]) -> dict[str, Sequence[ContactMatch] | CrmError]:
        found: dict[str, Sequence[ContactMatch] | CrmError] = {}
        for group in batches.chunks(wanted, SEARCHED if contacts.SEARCH_JOINS_TERMS else 1):
            terms = " OR ".join(term for phone in group for term in contacts.terms_of(phone))
            hits = await contacts.search_terms(api, terms) if len(group) > 1 else ()
            if len(group) > 1 and len(hits) < FOUND:
                found |= {phone: _verified(records, hits, phone) for phone in group}
            else:  # there may be more than it shows
                found |= await people.in_turn(group, str, one)
        return found

    return await people.find(phones, stamped, searched)


@dataclass(frozen=True, slots=True)
class Many:
    """See `people.Batches`."""

    api: Api
    records: Records

    async def read(self, wanted: Sequence[Wanted]) -> Mapping[str, Json]:
        known = {one.known.record_id: people.person_of(one) for one in wanted if one.known}
        drafts = [one.draft for one in wanted if not one.known]
        phones = [draft.phone for draft in drafts if draft.phone]
        asked = {
            "Id": [id_ for id_ in known if is_id(id_)],
            PHONE_KEY: _forms(phones),
            PERSON_KEY: [draft.person_id for draft in drafts],
        }
        columns = contacts.columns(*(one.draft for one in wanted))
        queries = {
            key: live_where(f"{key} IN {listed(values)}", columns) for key, values in asked.items() if values
        }
        rows = dict(zip(queries, await self.api.query(*queries.values()), strict=True)) if queries else {}
        found = {str(row.get(PERSON_KEY)): row for row in rows.get(PERSON_KEY, ())}
        stamped = _by_phone(rows.get(PHONE_KEY, ()), phones)
        found |= {draft.person_id: stamped[draft.phone][0] for draft in drafts if draft.phone in stamped}
        return found | {known[str(row["Id"])]: row for row in rows.get("Id", ()) if str(row["Id"]) in known}

    async def complete(
        self, there: Sequence[tuple[Json, ContactDraft]]
    ) -> Mapping[str, RecordRef | CrmError]:
        changes = {draft.person_id: contacts.changes_of(row, draft) for row, draft in there}
        ids = {draft.person_id: str(row["Id"]) for row, draft in there}

        async def write(group: Sequence[str]) -> Mapping[str, Json | CrmError]:
            values = [{"id": ids[one], **changes[one]} for one in group]
            return dict(zip(group, await self.api.update_many("Contact", values), strict=True))

        written = await batches.send([one for one in ids if changes[one]], str, write)
        refused = {one: outcome for one, outcome in written.items() if isinstance(outcome, CrmError)}
        return {one: refused.get(one) or self.records.ref("contact", id_) for one, id_ in ids.items()}

    async def create(self, drafts: Sequence[ContactDraft]) -> Mapping[str, RecordRef | CrmError]:
        async def write(group: Sequence[ContactDraft]) -> Mapping[str, Json | CrmError]:
            values = [contacts.new_record(draft) for draft in group]
            outcomes = await self.api.upsert("Contact", contacts.key_of(group[0]), values)
            return {draft.person_id: outcome for draft, outcome in zip(group, outcomes, strict=True)}

        done: dict[str, RecordRef | CrmError] = {}
        for has_phone in (True, False):  # one key a call
            theirs = [draft for draft in drafts if bool(draft.phone) is has_phone]
            written = await batches.send(theirs, lambda draft: draft.person_id, write)
            done |= {person: self._ref(outcome) for person, outcome in written.items()}
        return done

    async def alone(self, one: Wanted) -> RecordRef:
        return await contacts.upsert(self.api, self.records, one.draft, one.known)

    def _ref(self, outcome: Json | CrmError) -> RecordRef | CrmError:
        return outcome if isinstance(outcome, CrmError) else self.records.ref("contact", str(outcome["id"]))


def _forms(phones: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(form for phone in phones for form in forms(phone)))


def _by_phone(rows: Sequence[Json], phones: Sequence[str]) -> dict[str, list[Json]]:
    return people.held_by(rows, lambda row: row.get(PHONE_KEY), {phone: forms(phone) for phone in phones})


def _verified(records: Records, hits: Sequence[Json], phone: str) -> list[ContactMatch]:
    held = {str(row.get("Id")): (row, contacts.field_holding(row, phone)) for row in hits}
    return [contacts.match(records, row, name) for row, name in held.values() if name]
