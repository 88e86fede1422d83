"""Many people in Zendesk in few calls: read by keys and ids, written in jobs. Each number is searched for by itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from acervo.crms import people
from acervo.crms.contract import ContactDraft, ContactMatch, CrmError, CrmErrorKind, RecordRef, Wanted
from acervo.crms.phones import forms
from acervo.crms.zendesk import contacts, jobs
from acervo.crms.zendesk.api import Api, Json
from acervo.crms.zendesk.contacts import PERSON_PREFIX, PHONE_PREFIX
from acervo.crms.zendesk.records import Records


async def find(
    api: Api, records: Records, phones: Sequence[str]
) -> Mapping[str, Sequence[ContactMatch] | CrmError]:
    async def stamped(wanted: Sequence[str]) -> dict[str, Sequence[ContactMatch]]:
        rows = await _stamped(api, wanted)
        return {
            phone: [contacts.match(records, row, "external_id") for row in its] for phone, its in rows.items()
        }

    async def searched(wanted: Sequence[str]) -> dict[str, Sequence[ContactMatch] | CrmError]:
        hits = await people.in_turn(wanted, str, lambda phone: api.search_users(contacts.loose_search(phone)))
        refused = {phone: outcome for phone, outcome in hits.items() if isinstance(outcome, CrmError)}
        shown = [row for rows in hits.values() if not isinstance(rows, CrmError) for row in rows]
        asked = [phone for phone in hits if phone not in refused]
        held = await contacts.verified_among(api, shown, asked)
        return refused | {
            phone: [contacts.match(records, row, where) for row, where in held.get(phone, ())]
            for phone in asked
        }

    return await people.find(phones, stamped, searched)


@dataclass(frozen=True, slots=True)
class Many:
    """See `people.Batches`."""

    api: Api
    records: Records

    async def read(self, wanted: Sequence[Wanted]) -> Mapping[str, Json]:
        known = {one.known.record_id: people.person_of(one) for one in wanted if one.known}
        rows, _ = await self.api.users([id_ for id_ in known if id_.isdigit()])
        found = {known[str(row["id"])]: row for row in rows if contacts.is_live(row)}
        drafts = [one.draft for one in wanted if not one.known]
        stamped = await _stamped(self.api, [draft.phone for draft in drafts if draft.phone])
        found |= {draft.person_id: stamped[draft.phone][0] for draft in drafts if draft.phone in stamped}
        by_person = [PERSON_PREFIX + draft.person_id for draft in drafts if draft.person_id not in found]
        rows = [row for row in await self.api.users_by_external_id(by_person) if contacts.is_live(row)]
        return found | {contacts.key_of(row).removeprefix(PERSON_PREFIX): row for row in rows}

    async def complete(
        self, there: Sequence[tuple[Json, ContactDraft]]
    ) -> Mapping[str, RecordRef | CrmError]:
        done: dict[str, RecordRef | CrmError] = {
            draft.person_id: self._ref(row) for row, draft in there if not contacts.changes_of(row, draft)
        }
        left = [(row, draft) for row, draft in there if draft.person_id not in done]
        if len(left) <= jobs.FEW:

            async def write(one: tuple[Json, ContactDraft]) -> RecordRef:
                await contacts.complete(self.api, *one)
                return self._ref(one[0])

            return done | await people.in_turn(left, lambda one: one[1].person_id, write)
        changes = [{"id": row["id"], **contacts.changes_of(row, draft)} for row, draft in left]
        refused = await self._run(self.api.start_updating_users, changes)
        return done | {
            draft.person_id: refused.get(place) or self._ref(row) for place, (row, draft) in enumerate(left)
        }

    async def create(self, drafts: Sequence[ContactDraft]) -> Mapping[str, RecordRef | CrmError]:
        if len(drafts) <= jobs.FEW:

            async def write(draft: ContactDraft) -> RecordRef:
                return self._ref(await contacts.create(self.api, draft))

            return await people.in_turn(drafts, lambda draft: draft.person_id, write)
        refused = await self._run(self.api.start_creating_users, [contacts.new_user(one) for one in drafts])
        keys = {contacts.own_key(draft): draft.person_id for draft in drafts}
        rows = await self.api.users_by_external_id(list(keys))
        there = {keys[contacts.key_of(row)]: row for row in rows if contacts.key_of(row) in keys}
        done: dict[str, RecordRef | CrmError] = {}
        for place, draft in enumerate(drafts):
            if error := refused.get(place):
                done[draft.person_id] = error
            elif row := there.get(draft.person_id):
                done[draft.person_id] = self._ref(row)
        return done

    async def alone(self, one: Wanted) -> RecordRef:
        return await contacts.upsert(self.api, self.records, one.draft, one.known)

    async def _run(
        self, start: Callable[[Sequence[Json]], Awaitable[Json]], users: Sequence[Json]
    ) -> dict[int, CrmError]:
        """What became of those, by place, that the job did not write."""
        done = await jobs.finished(self.api, await start(users), len(users))
        if not done.is_over:
            raise jobs.still_running()
        refusal = CrmError(CrmErrorKind.VALIDATION, "Zendesk refused this user in a batch")
        return dict.fromkeys(done.faulty, refusal)

    def _ref(self, row: Json) -> RecordRef:
        return self.records.ref("contact", str(row["id"]))


async def _stamped(api: Api, phones: Sequence[str]) -> dict[str, list[Json]]:
    """By the number they were asked for."""
    wanted = {phone: [PHONE_PREFIX + form for form in forms(phone)] for phone in phones}
    keys = list(dict.fromkeys(key for its in wanted.values() for key in its))
    rows = [row for row in await api.users_by_external_id(keys) if contacts.is_live(row)]
    return people.held_by(rows, contacts.key_of, wanted)
