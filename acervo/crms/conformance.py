"""What every CRM connector must survive, against a simulated account that remembers: one suite for all.

A connector's test file subclasses `ConnectorScenarios`, says how to build its `World`, and overrides nothing.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from acervo.base import ids
from acervo.crms.contract import (
    Connector,
    ContactDraft,
    ContactMatch,
    CrmError,
    CrmErrorKind,
    MediaLink,
    RecordRef,
    Upload,
    Uploaded,
    Wanted,
    WriteResult,
)
from acervo.crms.fields import CONTACT_FIELDS, MEDIA_FIELDS, drifted
from acervo.crms.mapping import FieldMap, Place, Rule, Target, TargetType
from acervo.crms.virtual_time import VirtualTime

PHONE = "+551155550142"
SECOND_PHONE = "+551155550143"
A_RECORD = RecordRef("deal", "1")
CALLS_OF: Mapping[str, Callable[[Connector], Awaitable[Any]]] = {
    "ensure_schema": lambda one: one.ensure_schema(dry_run=True),
    "fields": lambda one: one.fields("contact"),
    "find_contacts": lambda one: one.find_contacts(PHONE),
    "describe_contacts": lambda one: one.describe_contacts([A_RECORD]),
    "upsert_contact": lambda one: one.upsert_contact(a_draft()),
    "find_related": lambda one: one.find_related(A_RECORD),
    "link": lambda one: one.link(A_RECORD, [A_RECORD]),
    "unlink": lambda one: one.unlink(A_RECORD, A_RECORD),
    "read_media": lambda one: one.read_media([an_item()]),
    "upload": lambda one: one.upload(an_upload(A_RECORD)),
    "remove_upload": lambda one: one.remove_upload(Uploaded("", "", A_RECORD)),
}
"""How each method that a connector may lack is called."""
SECRET_TEXT = "Minha senha do portão é 4471"  # noqa: S105  (words of a customer, to look for in logs)


needs = pytest.mark.needs
"""The methods of the contract without which a scenario says nothing; see `lacks`."""


class World(ABC):
    """A simulated account and our connection to it, as the scenarios see them. Values are strings by our own
    field names (`title`, `phone_e164`, …); ids are the CRM's."""

    time: VirtualTime
    token: str
    region = "BR"
    related_type = "deal"
    """What `add_deal` makes, in the words of the contract."""

    @abstractmethod
    def connector(self) -> Connector:
        """A new connector of the same connection: nothing is remembered in the object but what was reported."""

    @abstractmethod
    def remember(self, options: Mapping[str, Any]) -> None:
        """What `ensure_schema` reported, kept with the connection."""

    @abstractmethod
    def add_contact(self, **values: str) -> str:
        """Somebody types a contact in: `phone`, `mobile`, `first_name`, `last_name`."""

    @abstractmethod
    def contacts(self) -> Mapping[str, Mapping[str, str]]: ...

    @abstractmethod
    def merge(self, winner_id: str, loser_id: str) -> None: ...

    @abstractmethod
    def delete_contact(self, contact_id: str) -> None: ...

    @abstractmethod
    def add_deal(self, contact_id: str, title: str) -> str: ...

    @abstractmethod
    def records(self, media_id: str) -> Sequence[str]:
        """Ids of the live records of this file: more than one is a duplicate."""

    @abstractmethod
    def contacts_of(self, record_id: str) -> Sequence[str]: ...

    @abstractmethod
    def everything_live(self) -> str:
        """All values of all live records, to look for text that should not be there."""

    @abstractmethod
    def retitle(self, record_id: str, title: str) -> None:
        """Somebody changes the title in the CRM."""

    @abstractmethod
    def delete_record(self, record_id: str) -> None: ...

    @abstractmethod
    def lose_next_answer(self) -> None:
        """The next write of a file is done, but its answer never arrives."""

    @abstractmethod
    def lose_next_answer_about_people(self) -> None:
        """The next call that makes contacts does so, and its answer never arrives."""

    @abstractmethod
    def revoke_after(self, writes: int) -> None:
        """After so many more writes of files the token is no longer accepted."""

    @abstractmethod
    def accept_token(self) -> None: ...

    @abstractmethod
    def fields_made(self) -> int:
        """How many fields and objects there are."""

    @abstractmethod
    def add_field(self, place: Place, name: str, type_: TargetType) -> str:
        """Somebody makes a field: `text`, `number`, `moment` or `yes_no`. Its name in the CRM's API."""

    @abstractmethod
    def held(self, place: Place, record_id: str) -> Mapping[str, Any]:
        """What a live record holds, by the CRM's names."""

    @abstractmethod
    def limits(self) -> Mapping[str, tuple[int, int]]:
        """For each limit of the CRM: the most that came in its window, and what it allows."""

    def calls(self) -> int:
        """How many have come so far; 0 where they cost nothing."""
        return 0

    def end_token(self) -> None:
        """The access token ends; a new one can be had. Only where tokens end."""
        raise NotImplementedError

    def tokens_given(self) -> int:
        raise NotImplementedError

    def be_away(self, seconds: float) -> None:
        """Until then the CRM answers every call, one for a token too, as vendors do when they are down."""
        raise NotImplementedError

    def settle(self) -> None:
        """The search index catches up."""
        self.time.advance(60)


def an_item(media_id: str | None = None, **changes: Any) -> MediaLink:
    """A voice note like many."""
    media_id = media_id or ids.text(ids.new())
    item = MediaLink(
        media_id=media_id,
        title="Voice note 0:42",
        url=f"https://acervo.example/f/{media_id}",
        kind="voice",
        mime="audio/ogg",
        size_bytes=98_304,
        sha256="3f" * 32,
        direction="in",
        received_at=datetime(2026, 11, 23, 8, 0, 0, tzinfo=UTC),
        duration_s=42.4,
        chat="Ana Souza",
        tags=("orçamento", "urgente"),
        consent="granted",
    )
    return replace(item, **changes)


SOUND = bytes(range(256)) * 300


def an_upload(holder: RecordRef, media_id: str | None = None, content: bytes = SOUND) -> Upload:
    """The voice note's own bytes, in two pieces."""
    media_id = media_id or ids.text(ids.new())

    async def pieces() -> AsyncIterator[bytes]:
        yield content[:1000]
        yield content[1000:]

    return Upload(media_id, f"voice-{media_id}.mp3", "audio/mpeg", len(content), pieces, holder)


def a_draft(phone: str | None = PHONE, **changes: Any) -> ContactDraft:
    return replace(ContactDraft(phone=phone, person_id=ids.text(ids.new()), first_name="Ana"), **changes)


def phone_of(number: int) -> str:
    return f"+5511555{number + 5000:05d}"


def matches(
    found: Mapping[str, Sequence[ContactMatch] | CrmError],
) -> dict[str, Sequence[ContactMatch]]:
    """Of the numbers that lead to somebody. Nothing may have been refused."""
    assert not any(isinstance(its, CrmError) for its in found.values())
    return {phone: its for phone, its in found.items() if its and not isinstance(its, CrmError)}


def refs_of(done: Mapping[str, RecordRef | CrmError]) -> dict[str, RecordRef]:
    return {person: outcome for person, outcome in done.items() if isinstance(outcome, RecordRef)}


class ConnectorScenarios:
    """The suite. `plan` is the model the simulated account allows."""

    plan = "object"
    storm_items = 1000
    storm_batch = 1
    """Items per call in the storm; a connector that writes one by one anyway is asked for more at once."""
    has_fields = True
    """Whether a file has fields, as against the lines of a note."""
    lacks: frozenset[str] = frozenset()
    """Methods of the contract that this CRM answers with UNSUPPORTED; scenarios that need one are left out."""

    def make_world(self) -> World:
        raise NotImplementedError

    @pytest.fixture
    def world(self) -> World:
        return self.make_world()

    @pytest.fixture(autouse=True)
    def _applies(self, request: pytest.FixtureRequest) -> None:
        needed = {name for mark in request.node.iter_markers("needs") for name in mark.args}
        if lacking := needed & self.lacks:
            pytest.skip(f"this CRM has no {', '.join(sorted(lacking))}")

    async def ready(self, world: World) -> Connector:
        if "ensure_schema" not in self.lacks:
            report = await world.connector().ensure_schema()
            world.remember(report.options)
        return world.connector()

    async def whose(self, world: World, connector: Connector, phone: str = PHONE) -> RecordRef | None:
        """The contact of a file; None in a CRM without contacts."""
        return None if "upsert_contact" in self.lacks else await self.a_contact(world, connector, phone)

    async def a_contact(self, world: World, connector: Connector, phone: str = PHONE) -> RecordRef:
        ref = await connector.upsert_contact(a_draft(phone))
        assert ref.object_type == "contact"
        return ref

    # --- the account ---

    async def test_check_says_which_account_this_is(self, world: World) -> None:
        info = await world.connector().check()
        assert info.account_id
        assert info.name

    @needs("ensure_schema")
    async def test_a_dry_run_reports_and_makes_nothing(self, world: World) -> None:
        before = world.fields_made()
        report = await world.connector().ensure_schema(dry_run=True)
        assert report.created
        assert world.fields_made() == before

    @needs("ensure_schema")
    async def test_what_is_made_is_what_was_announced_and_is_told_by_the_same_names(
        self, world: World
    ) -> None:
        announced = await world.connector().ensure_schema(dry_run=True)
        heard: list[str] = []

        async def hear(name: str) -> None:
            heard.append(name)

        made = await world.connector().ensure_schema(told=hear)
        assert set(made.created) == set(announced.created)
        assert sorted(heard) == sorted(made.created)

    @needs("ensure_schema")
    async def test_the_schema_is_made_once_however_often_it_is_asked_for(self, world: World) -> None:
        first = await world.connector().ensure_schema()
        made = world.fields_made()
        second = await world.connector().ensure_schema()
        assert first.created
        assert not second.created
        assert set(second.existing) >= set(first.created)
        assert not second.conflicts
        assert second.options == first.options
        assert world.fields_made() == made

    @needs("ensure_schema")
    async def test_the_schema_is_made_once_when_two_ask_at_the_same_time(self, world: World) -> None:
        await asyncio.gather(world.connector().ensure_schema(), world.connector().ensure_schema())
        made = world.fields_made()
        await world.connector().ensure_schema()
        assert world.fields_made() == made

    async def test_the_model_follows_the_plan(self, world: World) -> None:
        assert (await world.connector().capabilities()).model == self.plan
        assert (await (await self.ready(world)).capabilities()).model == self.plan

    # --- people ---

    @needs("find_contacts")
    async def test_an_unknown_number_finds_nobody(self, world: World) -> None:
        connector = await self.ready(world)
        world.add_contact(first_name="Bruno", phone=SECOND_PHONE)
        world.settle()
        assert not await connector.find_contacts(PHONE)

    @needs("find_contacts")
    @pytest.mark.parametrize(
        "typed", [PHONE, "(11) 5555-0142", "11 5555 0142", "+55 (11) 5555-0142", "011 5555-0142"]
    )
    @pytest.mark.parametrize("where", ["phone", "mobile"])
    async def test_a_number_is_found_however_it_was_typed(self, world: World, typed: str, where: str) -> None:
        connector = await self.ready(world)
        contact_id = world.add_contact(first_name="Ana", **{where: typed})
        world.settle()
        assert [match.ref.record_id for match in await connector.find_contacts(PHONE)] == [contact_id]

    @needs("find_contacts")
    async def test_brazils_ninth_digit_does_not_hide_a_contact(self, world: World) -> None:
        """Area code 20 is not given out in Brazil."""
        connector = await self.ready(world)
        old = world.add_contact(phone="(20) 8555-0142")
        world.settle()
        assert [match.ref.record_id for match in await connector.find_contacts("+5520985550142")] == [old]

    @needs("find_contacts")
    async def test_mexicos_old_one_does_not_hide_a_contact(self, world: World) -> None:
        connector = await self.ready(world)
        plain = world.add_contact(phone="+52 55 5555 0142")
        world.settle()
        assert [match.ref.record_id for match in await connector.find_contacts("+5215555550142")] == [plain]

    @needs("find_contacts")
    async def test_the_same_digits_in_another_country_are_somebody_else(self, world: World) -> None:
        connector = await self.ready(world)
        world.add_contact(phone="+1 415 555 0142")
        world.settle()
        assert not await connector.find_contacts("+554155550142")

    @needs("find_contacts")
    async def test_two_contacts_with_one_number_are_both_shown_and_neither_is_touched(
        self, world: World
    ) -> None:
        connector = await self.ready(world)
        both = {world.add_contact(first_name="Ana", phone=PHONE), world.add_contact(mobile="(11) 5555-0142")}
        world.settle()
        matches = await connector.find_contacts(PHONE)
        assert {match.ref.record_id for match in matches} == both
        assert not any(match.is_stamped for match in matches)
        assert not any(values.get("phone_e164") for values in world.contacts().values())

    @needs("find_contacts")
    async def test_a_contact_of_ours_is_found_before_the_index_knows_it(self, world: World) -> None:
        connector = await self.ready(world)
        ref = await self.a_contact(world, connector)
        (match,) = await connector.find_contacts(PHONE)
        assert match.ref == ref
        assert match.is_stamped

    @needs("find_contacts")
    async def test_creating_a_contact_again_is_the_same_contact(self, world: World) -> None:
        connector = await self.ready(world)
        draft = a_draft()
        refs = [await connector.upsert_contact(draft) for _ in range(3)]
        assert len({ref.record_id for ref in refs}) == 1
        assert len(world.contacts()) == 1

    @needs("find_contacts")
    async def test_a_person_without_a_number_is_kept_by_our_id_and_stamped_later(self, world: World) -> None:
        connector = await self.ready(world)
        draft = a_draft(phone=None)
        ref = await connector.upsert_contact(draft)
        assert await connector.upsert_contact(draft) == ref
        assert await connector.upsert_contact(replace(draft, phone=PHONE)) == ref
        (match,) = await connector.find_contacts(PHONE)
        assert match.ref == ref

    @needs("find_contacts")
    async def test_a_found_contact_is_stamped_and_what_people_wrote_stays(self, world: World) -> None:
        connector = await self.ready(world)
        contact_id = world.add_contact(first_name="Dona Ana", phone="(11) 5555-0142")
        world.settle()
        (match,) = await connector.find_contacts(PHONE)
        draft = a_draft(
            first_name="ana 🌸",
            last_name="Souza",
            last_media_url="https://acervo.example/f/1",
            last_media_at=datetime(2026, 11, 23, tzinfo=UTC),
            media_count=7,
            consent="granted",
        )
        assert (await connector.upsert_contact(draft, known=match.ref)).record_id == contact_id
        values = world.contacts()[contact_id]
        assert values["first_name"] == "Dona Ana"
        assert not values.get("last_name")
        assert values["phone"] == "(11) 5555-0142"
        assert values["phone_e164"] == PHONE
        assert values["media_count"] == "7"
        assert values["consent"] == "granted"

    @needs("find_contacts")
    async def test_a_merged_contact_answers_its_survivor_and_takes_the_files(self, world: World) -> None:
        connector = await self.ready(world)
        old = await self.a_contact(world, connector)
        survivor_id = world.add_contact(first_name="Ana Souza", phone="+55 11 5555-0199")
        world.merge(survivor_id, old.record_id)
        now = await connector.upsert_contact(a_draft(media_count=2), known=old)
        assert now.record_id == survivor_id
        assert world.contacts()[survivor_id]["phone_e164"] == PHONE
        late = an_item(contact=old)
        (result,) = await connector.upsert_media([late])
        assert result.ref
        assert world.contacts_of(result.ref.record_id) == [survivor_id]

    @needs("find_contacts")
    async def test_a_contact_deleted_in_the_crm_is_not_made_again(self, world: World) -> None:
        connector = await self.ready(world)
        ref = await self.a_contact(world, connector)
        world.delete_contact(ref.record_id)
        with pytest.raises(CrmError) as refusal:
            await connector.upsert_contact(a_draft(), known=ref)
        assert refusal.value.kind is CrmErrorKind.NOT_FOUND
        assert not world.contacts()

    @needs("find_related")
    async def test_open_deals_are_offered_and_can_be_tied(self, world: World) -> None:
        connector = await self.ready(world)
        contact = await self.a_contact(world, connector)
        deal_id = world.add_deal(contact.record_id, "Reforma da cozinha")
        (related,) = await connector.find_related(contact)
        assert (related.ref.object_type, related.ref.record_id) == (world.related_type, deal_id)
        assert related.is_open
        (result,) = await connector.upsert_media([an_item(contact=contact)])
        assert result.ref
        await connector.link(result.ref, [related.ref])
        await connector.link(result.ref, [related.ref])

    # --- many people at once ---

    @needs("find_contacts")
    async def test_many_numbers_are_looked_up_together_as_each_would_be_alone(self, world: World) -> None:
        connector = await self.ready(world)
        typed = world.add_contact(first_name="Ana", phone="(11) 5555-0142")
        both = {world.add_contact(first_name="Caio", phone=phone_of(3)), world.add_contact(phone=phone_of(3))}
        stamped = await connector.upsert_contact(a_draft(phone_of(4)))
        world.settle()
        phones = [PHONE, *(phone_of(n) for n in range(3, 16))]
        found = await connector.find_contacts_of(phones)
        assert set(found) == set(phones)
        ids_of = {phone: {match.ref.record_id for match in its} for phone, its in matches(found).items()}
        assert ids_of == {PHONE: {typed}, phone_of(3): both, phone_of(4): {stamped.record_id}}
        assert [match.is_stamped for match in matches(found)[phone_of(4)]] == [True]
        for phone in phones[:4]:
            assert set(await connector.find_contacts(phone)) == set(found[phone])  # type: ignore[arg-type]

    @needs("find_contacts")
    async def test_many_contacts_are_made_and_completed_together(self, world: World) -> None:
        connector = await self.ready(world)
        typed = world.add_contact(first_name="Dona Ana", phone="(11) 5555-0142")
        world.settle()
        ((match,),) = matches(await connector.find_contacts_of([PHONE])).values()
        kept = a_draft(phone_of(3), media_count=1)
        old = await connector.upsert_contact(kept)
        nameless = a_draft(phone=None, first_name=None)
        strangers = [a_draft(phone_of(n), media_count=n) for n in range(4, 12)]
        wanted = [
            Wanted(a_draft(first_name="ana", media_count=7), match.ref),
            Wanted(replace(kept, media_count=2), old),
            Wanted(nameless),
            *map(Wanted, strangers),
        ]
        first = await connector.upsert_contacts(wanted)
        again = await world.connector().upsert_contacts(wanted)
        assert set(first) == {one.draft.person_id for one in wanted}
        assert first == again
        refs = [refs_of(first)[one.draft.person_id].record_id for one in wanted]
        assert refs[:2] == [typed, old.record_id]
        assert len(set(refs)) == len(refs) == len(world.contacts())
        values = world.contacts()
        assert values[typed]["first_name"] == "Dona Ana"
        assert (values[typed]["phone_e164"], values[typed]["media_count"]) == (PHONE, "7")
        assert values[old.record_id]["media_count"] == "2"
        for draft, record_id in zip(strangers, refs[3:], strict=True):
            assert values[record_id]["phone_e164"] == draft.phone
            assert values[record_id]["media_count"] == str(draft.media_count)
        assert refs_of(first)[nameless.person_id] == await connector.upsert_contact(nameless)

    @needs("find_contacts")
    async def test_one_bad_contact_does_not_spoil_the_others(self, world: World) -> None:
        connector = await self.ready(world)
        drafts = [a_draft(phone_of(n)) for n in range(2, 10)]
        refs = refs_of(await connector.upsert_contacts(list(map(Wanted, drafts))))
        gone, merged, taken = (refs[draft.person_id] for draft in drafts[:3])
        world.delete_contact(gone.record_id)
        survivor = world.add_contact(first_name="Ana Souza", phone="+55 11 5555-0199")
        world.merge(survivor, merged.record_id)
        other = RecordRef("contact", world.add_contact(first_name="Bruno"))
        wanted = [Wanted(replace(draft, media_count=9), refs[draft.person_id]) for draft in drafts]
        wanted[2] = Wanted(wanted[2].draft, other)  # whose number is stamped on somebody else
        wanted.append(Wanted(a_draft(phone_of(30))))
        done = await connector.upsert_contacts(wanted)
        outcomes = [done[one.draft.person_id] for one in wanted]
        assert isinstance(outcomes[0], CrmError)
        assert outcomes[0].kind is CrmErrorKind.NOT_FOUND
        assert isinstance(outcomes[1], RecordRef)
        assert outcomes[1].record_id == survivor
        if isinstance(outcomes[2], CrmError):  # a CRM may keep one contact's number on another one, unstamped
            assert outcomes[2].kind in {CrmErrorKind.CONFLICT, CrmErrorKind.VALIDATION}
        assert all(isinstance(outcome, RecordRef) for outcome in outcomes[3:])
        values = world.contacts()
        assert all(
            values[ref.record_id]["media_count"] == "9"
            for draft in drafts[3:]
            if (ref := refs[draft.person_id])
        )
        assert values[taken.record_id]["phone_e164"] == drafts[2].phone
        assert gone.record_id not in values

    @needs("find_contacts")
    async def test_people_whose_answer_was_lost_are_found_again_and_not_doubled(self, world: World) -> None:
        connector = await self.ready(world)
        wanted = [Wanted(a_draft(phone_of(n), media_count=n)) for n in range(2, 10)]
        world.lose_next_answer_about_people()
        lost = await connector.upsert_contacts(wanted)
        errors = [outcome for outcome in lost.values() if isinstance(outcome, CrmError)]
        assert errors
        assert {error.kind for error in errors} == {CrmErrorKind.UNKNOWN_OUTCOME}
        again = refs_of(await world.connector().upsert_contacts(wanted))
        assert len({ref.record_id for ref in again.values()}) == len(wanted) == len(world.contacts())

    @needs("find_contacts")
    async def test_a_hundred_files_of_twenty_strangers_take_few_calls(self, world: World) -> None:
        """And the same again takes fewer, without a search. A note costs a call, and a look at the notes there are."""
        connector = await self.ready(world)
        drafts = [a_draft(phone_of(n), media_count=5) for n in range(2, 22)]
        costs: list[int] = []
        refs: dict[str, RecordRef] = {}
        for known in (False, True):
            before = world.calls()
            found = {} if known else await connector.find_contacts_of([one.phone or "" for one in drafts])
            assert not matches(found)
            wanted = [Wanted(one, refs[one.person_id] if known else None) for one in drafts]
            refs = refs_of(await connector.upsert_contacts(wanted))
            items = [an_item(contact=refs[one.person_id]) for one in drafts for _ in range(5)]
            results = await connector.upsert_media(items)
            assert not any(result.error for result in results)
            costs.append(world.calls() - before)
        first, again = (80, 12) if self.plan == "object" else (300, 300)
        assert costs[0] <= first
        assert costs[1] <= again
        assert len(world.contacts()) == 20

    @needs("find_contacts")
    async def test_people_are_looked_up_and_made_in_a_storm_without_a_double(self, world: World) -> None:
        """Twice, as after a crash; side by side, as two workers would; below every limit."""
        connector = await self.ready(world)
        drafts = [a_draft(phone_of(n)) for n in range(2, 62)]
        groups = [drafts[n : n + 20] for n in range(0, 60, 20)] * 2

        async def settle(group: Sequence[ContactDraft]) -> None:
            left = list(group)
            while left:
                found = await connector.find_contacts_of([draft.phone or "" for draft in left])
                known = {phone: its[0].ref for phone, its in matches(found).items()}
                asked = [Wanted(draft, known.get(draft.phone or "")) for draft in left]
                refs = refs_of(await world.connector().upsert_contacts(asked))
                left = [draft for draft in left if draft.person_id not in refs]
                if left:
                    await world.time.sleep(10)

        await asyncio.gather(*map(settle, groups))
        assert len(world.contacts()) == len(drafts)
        for name, (peak, allowed) in world.limits().items():
            assert peak <= allowed, f"{name}: {peak} of {allowed}"

    @needs("describe_contacts")
    async def test_candidates_are_described_and_who_is_gone_is_not(self, world: World) -> None:
        connector = await self.ready(world)
        first = world.add_contact(first_name="Ana", phone=PHONE)
        second = world.add_contact(first_name="Loja da Ana", mobile="(11) 5555-0142")
        gone = world.add_contact(first_name="Bruno", phone=SECOND_PHONE)
        world.delete_contact(gone)
        cards = await connector.describe_contacts(
            [RecordRef("contact", one) for one in (first, gone, second)]
        )
        by_id = {card.ref.record_id: card for card in cards}
        assert set(by_id) == {first, second}
        assert "Ana" in by_id[first].name
        assert "Loja da Ana" in by_id[second].name
        assert by_id[first].phones == (PHONE,)
        assert by_id[second].phones == ("(11) 5555-0142",)
        assert "Ana" not in repr(cards)
        assert not await connector.describe_contacts([])

    @needs("upsert_contact")
    async def test_a_chosen_contact_is_taken_although_another_one_holds_our_key(self, world: World) -> None:
        connector = await self.ready(world)
        first = await self.a_contact(world, connector)
        chosen = world.add_contact(first_name="Ana da Loja", mobile="(11) 5555-0142")
        world.settle()
        known = RecordRef("contact", chosen)
        ref = await connector.upsert_contact(a_draft(media_count=3), known=known)
        assert ref.record_id == chosen
        values = world.contacts()
        assert values[chosen]["media_count"] == "3"
        assert values[first.record_id]["phone_e164"] == PHONE

    @needs("find_related")
    async def test_a_file_is_taken_off_a_deal_again(self, world: World) -> None:
        connector = await self.ready(world)
        contact = await self.a_contact(world, connector)
        world.add_deal(contact.record_id, "Reforma da cozinha")
        (related,) = await connector.find_related(contact)
        (result,) = await connector.upsert_media([an_item(contact=contact)])
        assert result.ref
        await connector.link(result.ref, [related.ref])
        for _again in range(2):
            await connector.unlink(result.ref, related.ref)
        (state,) = await connector.read_media(
            [an_item(result.media_id, contact=contact, known_ref=result.ref)]
        )
        assert state.ref == result.ref
        await connector.link(result.ref, [related.ref])

    # --- fields people chose ---

    @needs("fields")
    async def test_fields_of_both_sides_are_told_apart(self, world: World) -> None:
        connector = await self.ready(world)
        theirs = world.add_field("contact", "Last link", "text")
        found = {one.name: one for one in await connector.fields("contact")}
        assert not found[theirs].is_ours
        assert (found[theirs].type, found[theirs].is_writable) == ("text", True)
        assert sum(one.is_ours for one in found.values()) == len(CONTACT_FIELDS)
        if self.has_fields:
            assert sum(one.is_ours for one in await connector.fields("media")) >= len(MEDIA_FIELDS) - 2
            return
        with pytest.raises(CrmError) as refusal:
            await connector.fields("media")
        assert refusal.value.kind is CrmErrorKind.UNSUPPORTED

    @needs("upsert_contact")
    async def test_what_is_known_of_a_customer_goes_into_the_fields_a_person_chose(
        self, world: World
    ) -> None:
        connector = await self.ready(world)
        link = Target(world.add_field("contact", "Last link", "text"), "text")
        count = Target(world.add_field("contact", "How many", "number"), "number")
        asked = Target(world.add_field("contact", "May be kept", "yes_no"), "yes_no")
        rules = {
            "last_media_url": Rule(link),
            "media_count": Rule(count),
            "consent": Rule(asked, form="yes_no"),
            "last_media_at": Rule(is_off=True),
        }
        draft = a_draft(
            last_media_url="https://acervo.example/m/1",
            last_media_at=datetime(2026, 11, 23, tzinfo=UTC),
            media_count=7,
            consent="granted",
        )
        ref = await connector.upsert_contact(draft)
        before = world.contacts()[ref.record_id]
        assert before["media_count"] == "7"
        moved = replace(draft, field_map=FieldMap(1, contact=rules))
        for _ in range(2):
            assert await connector.upsert_contact(moved, known=ref) == ref
        held = world.held("contact", ref.record_id)
        assert held[link.name] == "https://acervo.example/m/1"
        assert int(held[count.name]) == 7
        assert str(held[asked.name]).lower() in {"true", "1"}
        after = world.contacts()[ref.record_id]
        assert not any(after.get(name) for name in ("media_count", "consent", "last_media_at"))
        assert after["phone_e164"] == PHONE

    @needs("upsert_contact")
    async def test_many_customers_at_once_go_into_the_fields_a_person_chose(self, world: World) -> None:
        connector = await self.ready(world)
        link = Target(world.add_field("contact", "Last link", "text"), "text")
        rules = {"last_media_url": Rule(link), "media_count": Rule(is_off=True)}
        drafts = [
            a_draft(phone_of(n), last_media_url=f"https://acervo.example/m/{n}", media_count=n)
            for n in range(2, 10)
        ]
        await connector.upsert_contacts(list(map(Wanted, drafts[:4])))
        moved = [replace(draft, field_map=FieldMap(1, contact=rules)) for draft in drafts]
        for _again in range(2):
            refs = refs_of(await connector.upsert_contacts(list(map(Wanted, moved))))
            for draft in moved:
                held = world.held("contact", refs[draft.person_id].record_id)
                assert held[link.name] == draft.last_media_url
                after = world.contacts()[refs[draft.person_id].record_id]
                assert not any(after.get(name) for name in ("last_media_url", "media_count"))
        assert len(world.contacts()) == len(drafts)

    @needs("read_media")
    async def test_a_field_that_was_switched_off_is_emptied_and_no_drift(self, world: World) -> None:
        connector = await self.ready(world)
        item = an_item(contact=await self.whose(world, connector))
        (first,) = await connector.upsert_media([item])
        rules = {
            "chat": Rule(is_off=True),
            "tags": Rule(form="joined", detail=" | "),
            "title": Rule(form="upper"),
        }
        mapped = replace(item, field_map=FieldMap(1, media=rules), known_ref=first.ref)
        (second,) = await connector.upsert_media([mapped])
        assert not second.error
        (state,) = await connector.read_media([replace(mapped, known_ref=second.ref)])
        assert not drifted(mapped, state)
        assert state.values["title"] == "VOICE NOTE 0:42"
        assert state.values["tags"] == "orçamento | urgente"
        assert not state.values.get("chat")
        assert "Ana Souza" not in world.everything_live()

    @needs("read_media")
    async def test_a_field_of_a_file_goes_where_a_person_wants_it(self, world: World) -> None:
        if not self.has_fields:
            pytest.skip("a note has no fields")
        connector = await self.ready(world)
        kind = Target(world.add_field("media", "What it is", "text"), "text")
        size = Target(world.add_field("media", "Weight", "number"), "number")
        came = Target(world.add_field("media", "Came at", "moment"), "moment")
        ours = Target(world.add_field("media", "From outside", "yes_no"), "yes_no")
        rules = {
            "kind": Rule(kind, form="words", detail="pt"),
            "size_bytes": Rule(size),
            "received_at": Rule(came),
            "direction": Rule(ours, form="yes_no"),
        }
        plain = an_item(contact=await self.whose(world, connector))
        (first,) = await connector.upsert_media([plain])
        assert first.ref
        mapped = replace(plain, field_map=FieldMap(1, media=rules), known_ref=first.ref)
        other = an_item(contact=plain.contact)
        results = await connector.upsert_media([mapped, other])
        assert not any(result.error for result in results)
        held = world.held("media", first.ref.record_id)
        assert held[kind.name] == "Áudio de voz"
        assert int(held[size.name]) == 98_304
        states = await connector.read_media([mapped, other])
        for item, state in zip([mapped, other], states, strict=True):
            assert not drifted(item, state)
        assert states[0].values["kind"] == "Áudio de voz"
        (back,) = await connector.upsert_media([plain])
        assert not back.error
        (state,) = await connector.read_media([plain])
        assert not drifted(plain, state)
        await connector.erase_media(first.ref, also=[kind.name, size.name, came.name, ours.name])
        assert "Áudio de voz" not in world.everything_live()

    # --- files ---

    async def test_a_file_written_three_times_with_a_lost_answer_is_one_record(self, world: World) -> None:
        connector = await self.ready(world)
        item = an_item(contact=await self.whose(world, connector))
        world.lose_next_answer()
        (lost,) = await connector.upsert_media([item])
        results = [(await world.connector().upsert_media([item]))[0] for _ in range(2)]
        if lost.error:
            assert lost.error.kind is CrmErrorKind.UNKNOWN_OUTCOME
            assert lost.error.is_retryable
        assert not any(result.error for result in results)
        (record_id,) = world.records(item.media_id)
        assert {result.ref.record_id for result in results if result.ref} == {record_id}
        assert world.contacts_of(record_id) == ([item.contact.record_id] if item.contact else [])

    @needs("read_media")
    async def test_results_come_one_per_item_and_in_order(self, world: World) -> None:
        connector = await self.ready(world)
        contacts = [await self.whose(world, connector, phone) for phone in (PHONE, SECOND_PHONE)]
        items = [an_item(contact=contacts[n % 2], title=f"Picture {n}") for n in range(12)]
        results = await connector.upsert_media(items)
        assert [result.media_id for result in results] == [item.media_id for item in items]
        assert all(result.created and result.ref and not result.error for result in results)
        for item, state in zip(items, await connector.read_media(items), strict=True):
            assert state.media_id == item.media_id
            assert not drifted(item, state)

    @needs("upsert_contact")
    async def test_one_bad_item_does_not_spoil_the_others(self, world: World) -> None:
        connector = await self.ready(world)
        contact = await self.whose(world, connector)
        gone = RecordRef("contact", "999999999")
        good = [an_item(contact=contact) for _ in range(8)]
        bad = an_item(contact=gone)
        items = [*good[:5], bad, *good[5:]]
        results = {result.media_id: result for result in await connector.upsert_media(items)}
        assert not any(results[item.media_id].error for item in good)
        error = results[bad.media_id].error
        assert error
        assert not error.is_retryable
        assert all(len(world.records(item.media_id)) == 1 for item in good)

    @needs("read_media")
    async def test_a_later_write_changes_the_same_record(self, world: World) -> None:
        connector = await self.ready(world)
        item = an_item(contact=await self.whose(world, connector))
        (first,) = await connector.upsert_media([item])
        changed = replace(item, title="Voice note, answered", tags=(), known_ref=first.ref)
        (second,) = await connector.upsert_media([changed])
        assert second.ref == first.ref
        assert not second.created
        (state,) = await connector.read_media([changed])
        assert not drifted(changed, state)

    @needs("read_media")
    async def test_words_of_strangers_stay_words(self, world: World) -> None:
        connector = await self.ready(world)
        hostile = '"><script>alert(1)</script> & <a href=x> wa-media:' + "0" * 26
        contact = await self.whose(world, connector)
        item = an_item(
            contact=contact, title=hostile, chat=hostile, transcript=f"{hostile}\nsecond line: yes"
        )
        (result,) = await connector.upsert_media([item])
        assert not result.error
        (state,) = await connector.read_media([item])
        assert not drifted(item, state)
        assert state.values["transcript"] == item.transcript

    @needs("read_media")
    async def test_a_text_longer_than_any_field_is_cut_and_still_agrees(self, world: World) -> None:
        connector = await self.ready(world)
        contact = await self.whose(world, connector)
        item = an_item(contact=contact, title="á" * 400, chat="&" * 400, transcript="<&>" * 20_000)
        (result,) = await connector.upsert_media([item])
        assert not result.error
        (state,) = await connector.read_media([item])
        assert not drifted(item, state)

    @needs("read_media")
    async def test_drift_is_read_back(self, world: World) -> None:
        connector = await self.ready(world)
        contact = await self.whose(world, connector)
        items = [an_item(contact=contact) for _ in range(4)]
        results = await connector.upsert_media(items)
        changed, cleared, deleted, kept = (
            replace(item, known_ref=result.ref) for item, result in zip(items, results, strict=True)
        )
        assert changed.known_ref
        assert cleared.known_ref
        assert deleted.known_ref
        world.retitle(changed.known_ref.record_id, "Something else")
        world.retitle(cleared.known_ref.record_id, "")
        world.delete_record(deleted.known_ref.record_id)
        states = await connector.read_media([changed, cleared, deleted, kept])
        assert drifted(changed, states[0]) == ("title",)
        assert drifted(cleared, states[1]) == ("title",)
        assert states[2].ref is None
        assert states[2].copies == 0
        assert states[3].ref == kept.known_ref
        assert not drifted(kept, states[3])

    async def test_an_erased_file_leaves_no_text_behind(self, world: World) -> None:
        connector = await self.ready(world)
        contact = await self.whose(world, connector)
        item = an_item(contact=contact, title="Exame da Ana", transcript=SECRET_TEXT)
        kept = an_item(contact=contact)
        (result, _) = await connector.upsert_media([item, kept])
        assert result.ref
        outcome = await connector.erase_media(result.ref)
        assert outcome.outcome in {"done", "partial"}
        assert bool(outcome.left) == (outcome.outcome == "partial")
        assert SECRET_TEXT not in world.everything_live()
        assert not world.records(item.media_id)
        assert len(world.records(kept.media_id)) == 1
        again = await connector.erase_media(result.ref)
        assert again.outcome == outcome.outcome

    # --- trouble ---

    async def test_a_storm_stays_under_every_limit_and_loses_nothing(self, world: World) -> None:
        connector = await self.ready(world)
        contact = await self.whose(world, connector) if self.plan == "activity" else None
        items = [an_item(contact=contact) for _ in range(self.storm_items)]
        batches = [items[n : n + self.storm_batch] for n in range(0, len(items), self.storm_batch)]
        await asyncio.gather(*(self._deliver(world, batch) for batch in batches))
        assert all(len(world.records(item.media_id)) == 1 for item in items)
        for name, (peak, allowed) in world.limits().items():
            assert peak <= allowed, f"{name}: {peak} of {allowed}"
        assert any(peak > 0.5 * allowed for peak, allowed in world.limits().values())

    async def _deliver(self, world: World, items: Sequence[MediaLink]) -> None:
        """As a job would: what may be tried again is tried again, when the CRM said so, or else ever later."""
        left, patience_s = list(items), 1.0
        while left:
            results = await world.connector().upsert_media(left)
            errors = {result.media_id: result.error for result in results if result.error}
            assert all(error.is_retryable for error in errors.values())
            left = [item for item in left if item.media_id in errors]
            if left:
                await world.time.sleep(max(error.retry_after_s or patience_s for error in errors.values()))
                patience_s = min(2 * patience_s, 600.0)

    async def test_access_lost_in_the_middle_loses_nothing(self, world: World) -> None:
        connector = await self.ready(world)
        contact = await self.whose(world, connector)
        items = [an_item(contact=contact) for _ in range(10)]
        world.revoke_after(2)
        results: list[WriteResult] = []
        for item in items:
            results += await connector.upsert_media([item])
        errors = [result.error for result in results if result.error]
        assert 0 < len(errors) < 10
        assert {error.kind for error in errors} <= {CrmErrorKind.AUTH_EXPIRED, CrmErrorKind.AUTH_REVOKED}
        world.accept_token()
        again = await world.connector().upsert_media(items)
        assert not any(result.error for result in again)
        assert all(len(world.records(item.media_id)) == 1 for item in items)

    async def test_no_secret_phone_or_text_shows_in_errors_reprs_or_logs(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        connector = await self.ready(world)
        contact = await self.whose(world, connector)
        seen: list[Any] = [connector, a_draft()]
        item = an_item(contact=contact, kind="hologram", transcript=SECRET_TEXT)
        seen += [item, *(await connector.upsert_media([item, an_item(contact=RecordRef("contact", "999"))]))]
        seen += await self._tried(connector.find_contacts(PHONE))
        if contact:
            world.delete_contact(contact.record_id)
        seen += await self._tried(connector.upsert_contact(a_draft(), known=contact))
        seen += await self._tried(connector.find_contacts(SECOND_PHONE))
        world.revoke_after(0)
        seen += await connector.upsert_media([item])
        errors = [one.error for one in seen if isinstance(one, WriteResult) and one.error]
        assert errors
        logged = [(record.getMessage(), vars(record)) for record in caplog.records]
        shown = "\n".join(map(repr, [*seen, *errors, *(vars(error) for error in errors), logged]))
        for secret in (world.token, PHONE, PHONE.lstrip("+"), SECOND_PHONE.lstrip("+"), SECRET_TEXT):
            assert secret not in shown

    async def _tried(self, call: Awaitable[Any]) -> list[Any]:
        """What it answers, or all that its refusal shows."""
        try:
            return [await call]
        except CrmError as error:
            return [error, error.detail, error.vendor_code, error.__cause__]

    async def test_what_it_has_not_it_says(self, world: World) -> None:
        assert self.lacks <= set(CALLS_OF)
        connector = await self.ready(world)
        for name in self.lacks:
            with pytest.raises(CrmError) as refusal:
                await CALLS_OF[name](connector)
            assert refusal.value.kind is CrmErrorKind.UNSUPPORTED
        if "find_contacts" in self.lacks:
            done: list[Any] = [*(await connector.find_contacts_of([PHONE])).values()]
            done += [*(await connector.upsert_contacts([Wanted(a_draft())])).values()]
            assert [one.kind for one in done if isinstance(one, CrmError)] == [CrmErrorKind.UNSUPPORTED] * 2

    def test_no_scenario_is_overridden(self) -> None:
        for name in (name for name in vars(ConnectorScenarios) if name.startswith("test_")):
            ours = getattr(type(self), name)
            marks = getattr(ours, "pytestmark", [])
            is_excused = any(mark.name == "xfail" and mark.kwargs.get("reason") for mark in marks)
            assert ours is getattr(ConnectorScenarios, name) or is_excused, f"{name} is overridden"


class RenewingScenarios(ConnectorScenarios):
    """For CRMs whose access tokens end, besides: nobody notices, and nobody asks twice. And an hour without the CRM."""

    async def test_a_token_that_ends_in_the_middle_is_replaced_unnoticed(self, world: World) -> None:
        connector = await self.ready(world)
        contact = await self.a_contact(world, connector)
        items = [an_item(contact=contact) for _ in range(6)]
        given = world.tokens_given()
        for place, item in enumerate(items):
            if place == 3:
                world.end_token()
            (result,) = await connector.upsert_media([item])
            assert not result.error
        assert world.tokens_given() == given + 1
        assert all(len(world.records(item.media_id)) == 1 for item in items)

    async def test_many_that_meet_the_end_of_a_token_ask_for_one(self, world: World) -> None:
        connector = await self.ready(world)
        contact = await self.a_contact(world, connector)
        given = world.tokens_given()
        world.end_token()
        items = [an_item(contact=contact) for _ in range(8)]
        results = await asyncio.gather(*(world.connector().upsert_media([item]) for item in items))
        assert not any(result.error for (result,) in results)
        assert world.tokens_given() == given + 1

    async def test_a_crm_that_is_away_for_an_hour_loses_and_doubles_nothing(self, world: World) -> None:
        connector = await self.ready(world)
        contact = await self.a_contact(world, connector)
        items = [an_item(contact=contact) for _ in range(10)]
        assert not (await connector.upsert_media(items[:3]))[0].error
        world.be_away(3600)
        (refused,) = await connector.upsert_media([items[3]])
        assert refused.error
        assert refused.error.is_retryable
        with pytest.raises(CrmError) as refusal:
            await connector.upsert_contact(a_draft(SECOND_PHONE))
        assert refusal.value.is_retryable
        began = world.time.now()
        await asyncio.gather(*(self._deliver(world, [item]) for item in items))
        assert world.time.now() - began >= 3500
        assert all(len(world.records(item.media_id)) == 1 for item in items)
