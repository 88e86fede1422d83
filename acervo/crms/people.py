"""Many people in few calls: read together, written together, and whoever is odd alone, by the rules for one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from acervo.crms.batches import FAULT_OF_ONE
from acervo.crms.contract import ContactDraft, ContactMatch, CrmError, CrmErrorKind, RecordRef, Wanted

Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item")
Outcome = TypeVar("Outcome")
Row = TypeVar("Row")

OF_THE_ACCOUNT = frozenset(
    {
        CrmErrorKind.AUTH_EXPIRED,
        CrmErrorKind.AUTH_REVOKED,
        CrmErrorKind.FORBIDDEN,
        CrmErrorKind.RATE_LIMITED,
        CrmErrorKind.QUOTA_EXHAUSTED,
        CrmErrorKind.UNAVAILABLE,
        CrmErrorKind.UNKNOWN_OUTCOME,
    }
)
"""Whoever comes next would be refused for the same: nobody else is tried."""


class OneByOne:
    """The batch forms of the contract, for CRMs that take one person a call."""

    async def find_contacts(self, phone: str) -> Sequence[ContactMatch]:
        raise NotImplementedError

    async def upsert_contact(self, draft: ContactDraft, *, known: RecordRef | None = None) -> RecordRef:
        raise NotImplementedError

    async def find_contacts_of(
        self, phones: Sequence[str]
    ) -> Mapping[str, Sequence[ContactMatch] | CrmError]:
        return await in_turn(phones, str, self.find_contacts)

    async def upsert_contacts(self, wanted: Sequence[Wanted]) -> Mapping[str, RecordRef | CrmError]:
        return await in_turn(wanted, person_of, lambda one: self.upsert_contact(one.draft, known=one.known))


class Batches(Protocol[Row]):
    """What a CRM offers for many people at once. What stopped a whole call is raised, or is everyone's outcome."""

    async def read(self, wanted: Sequence[Wanted]) -> Mapping[str, Row]:
        """By person: the known contact as it is, or else whoever carries our stamp. Missing: neither is there."""
        ...

    async def complete(self, there: Sequence[tuple[Row, ContactDraft]]) -> Mapping[str, RecordRef | CrmError]:
        """What is missing or newer, and no call where nothing is."""
        ...

    async def create(self, drafts: Sequence[ContactDraft]) -> Mapping[str, RecordRef | CrmError]: ...

    async def alone(self, one: Wanted) -> RecordRef: ...


async def find(
    phones: Sequence[str],
    exactly: Callable[[Sequence[str]], Awaitable[Mapping[str, Sequence[ContactMatch]]]],
    loosely: Callable[[Sequence[str]], Awaitable[Mapping[str, Sequence[ContactMatch] | CrmError]]],
) -> dict[str, Sequence[ContactMatch] | CrmError]:
    """Whoever carries our stamp (`exactly`: nobody is missing who does), and a search for the others alone."""
    try:
        stamped = dict(await exactly(phones))
        return stamped | dict(await loosely([phone for phone in phones if not stamped.get(phone)]))
    except CrmError as error:
        return dict.fromkeys(phones, error)


async def upsert(many: Batches[Row], wanted: Sequence[Wanted]) -> dict[str, RecordRef | CrmError]:
    """By person; whoever is missing was not tried, for what the others say. A known contact that a batch does not
    find may have been merged or deleted, and a contact that it refuses has a reason of its own: they are tried alone,
    where the rules for that are."""
    if len(wanted) < 2:
        return await in_turn(wanted, person_of, many.alone)
    try:
        rows = await many.read(wanted)
        there = [(rows[person_of(one)], one.draft) for one in wanted if person_of(one) in rows]
        strangers = [one.draft for one in wanted if person_of(one) not in rows and one.known is None]
        done = {**(await many.complete(there) if there else {})}
        done |= await many.create(strangers) if strangers else {}
    except CrmError as error:
        return {person_of(one): error for one in wanted}
    odd = [one for one in wanted if _is_odd(done.get(person_of(one)))]
    return done | await in_turn(odd, person_of, many.alone)


async def in_turn(
    items: Iterable[Item], key: Callable[[Item], Key], call: Callable[[Item], Awaitable[Outcome]]
) -> dict[Key, Outcome | CrmError]:
    """One call each, until one is refused for what would meet the next as well."""
    done: dict[Key, Outcome | CrmError] = {}
    for item in items:
        try:
            done[key(item)] = await call(item)
        except CrmError as error:
            done[key(item)] = error
            if error.kind in OF_THE_ACCOUNT:
                break
    return done


def person_of(one: Wanted) -> str:
    return one.draft.person_id


def held_by(
    rows: Iterable[Row], key: Callable[[Row], str | None], forms: Mapping[str, Sequence[str]]
) -> dict[str, list[Row]]:
    """Rows by the number they were asked for: each number has several forms, and a row holds one of them."""
    holders: dict[str, list[Row]] = {}
    for row in rows:
        holders.setdefault(key(row) or "", []).append(row)
    return {
        phone: found
        for phone, its in forms.items()
        if (found := [row for form in its for row in holders.get(form, ())])
    }


def _is_odd(outcome: RecordRef | CrmError | None) -> bool:
    return outcome is None or (isinstance(outcome, CrmError) and outcome.kind in FAULT_OF_ONE)
