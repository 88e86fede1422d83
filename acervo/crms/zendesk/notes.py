"""Files as internal notes on a ticket of the customer, for plans without custom objects. A comment cannot be changed
and has no key of ours: a marker in its text is the key, the newest comment that carries it counts, and the ticket is
read before anything is written to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from acervo.crms import batches, card
from acervo.crms.contract import (
    CrmError,
    CrmErrorKind,
    EraseResult,
    MediaLink,
    RecordRef,
    RecordState,
    WriteResult,
)
from acervo.crms.fields import written
from acervo.crms.zendesk import contacts, tickets
from acervo.crms.zendesk.api import Api, Json
from acervo.crms.zendesk.records import Records, note_parts

COMMENT_LIMIT = 60_000
"""Zendesk takes 64 kB of a comment; letters beyond ASCII count more than once."""
CARDS_PER_COMMENT = 20
"""One ticket takes some thirty changes in ten minutes from one user: files that come together share a comment."""
TRIES = 3
_SIDE_BY_SIDE = 4
NEEDS_WORKSPACE = "Zendesk removes text from comments only in accounts with its Agent Workspace"


@dataclass
class Told:
    """What the comments of one ticket say about our files."""

    ticket: Json
    cards: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    """File to (comment id, html of its card), the newest last."""
    bodies: dict[str, str] = field(default_factory=dict)
    """Comment id to its html, as Zendesk gives it."""

    @property
    def ticket_id(self) -> str:
        return str(self.ticket["id"])

    def newest(self, media_id: str) -> str | None:
        found = self.cards.get(media_id)
        return found[-1][1] if found else None


async def upsert(api: Api, records: Records, language: str, items: Sequence[MediaLink]) -> list[WriteResult]:
    """Customers side by side, the tickets of one customer one after the other."""
    return await batches.by_contact(
        items, _SIDE_BY_SIDE, lambda contact, group: _write_for(api, records, language, contact, group)
    )


async def read(api: Api, records: Records, items: Sequence[MediaLink]) -> list[RecordState]:
    """By the ticket we wrote to; for a file we do not know the ticket of, by those it would have gone to."""
    told: dict[str, Told] = {}
    wanted: dict[str, list[str]] = {}
    for item in items:
        if known := _known(item):
            wanted[item.media_id] = [note_parts(known)[0]]
        elif item.contact:
            wanted[item.media_id] = await _ticket_ids(api, item.contact.record_id)
    for ticket_id in dict.fromkeys(ticket_id for ids in wanted.values() for ticket_id in ids):
        if there := await _told_if_there(api, ticket_id):
            told[ticket_id] = there
    return [
        _state(records, item, [told[one] for one in wanted.get(item.media_id, ()) if one in told])
        for item in items
    ]


async def erase(api: Api, ref: RecordRef) -> EraseResult:
    """Removed for good, also from closed tickets; other files in the same comment stay."""
    ticket_id, media_id = note_parts(ref)
    told = await _told_if_there(api, ticket_id)
    try:
        if told:
            await _redact(api, told, media_id)
    except CrmError as error:
        if error.kind is not CrmErrorKind.FORBIDDEN:
            raise
        return EraseResult("impossible", NEEDS_WORKSPACE)
    return EraseResult("done")


async def values_of(api: Api, ref: RecordRef) -> Mapping[str, str | None]:
    """What the note says now. Raises NOT_FOUND where nothing is left of it."""
    ticket_id, media_id = note_parts(ref)
    told = await _told_if_there(api, ticket_id)
    if told is None or (html := told.newest(media_id)) is None:
        raise _gone()
    return card.read(html)


async def _write_for(
    api: Api, records: Records, language: str, contact_id: str, items: Sequence[MediaLink]
) -> list[WriteResult]:
    if not contact_id:
        error = CrmError(CrmErrorKind.VALIDATION, "a note needs a contact to stand on")
        return [WriteResult(item.media_id, error=error) for item in items]
    results: dict[str, WriteResult] = {}
    left = list(items)
    for attempt in range(TRIES):
        try:
            await _Round(api, records, language, contact_id, left, results).run()
        except CrmError as error:
            left = [item for item in items if item.media_id not in results]
            if error.kind is CrmErrorKind.CONFLICT and attempt + 1 < TRIES:
                continue  # somebody wrote to the ticket since we read it: read it again
            if error.kind is CrmErrorKind.CONFLICT:
                error.kind = CrmErrorKind.LOCKED
            results |= {item.media_id: WriteResult(item.media_id, error=error) for item in left}
        break
    return [results[item.media_id] for item in items]


@dataclass
class _Round:
    """One look at a customer's tickets, and the writes that follow from it. Raises CrmError for what is left."""

    api: Api
    records: Records
    language: str
    contact_id: str
    items: Sequence[MediaLink]
    results: dict[str, WriteResult]

    async def run(self) -> None:
        by_ticket: dict[str, list[MediaLink]] = defaultdict(list)
        for item in self.items:
            known = _known(item)
            by_ticket[note_parts(known)[0] if known else ""].append(item)
        new = by_ticket.pop("", [])
        for ticket_id, group in by_ticket.items():
            await self._renew(ticket_id, group)
        if new:
            await self._add(new)

    async def _renew(self, ticket_id: str, items: Sequence[MediaLink]) -> None:
        """A note that changed is written anew, and the old one emptied."""
        told = await _told_if_there(self.api, ticket_id)
        changed: list[MediaLink] = []
        for item in items:
            html = told.newest(item.media_id) if told else None
            if html is None:
                self.results[item.media_id] = WriteResult(item.media_id, error=_gone())
            elif _says(html, item):
                self._done(item, ticket_id)
            else:
                changed.append(item)
        if not changed or told is None:
            return
        place = told
        if tickets.is_closed(told.ticket):
            place = await self._place(await tickets.of(self.api, self.contact_id))
        await self._comment(place, changed)
        for item in changed:
            await _redact(self.api, told, item.media_id)

    async def _add(self, items: Sequence[MediaLink]) -> None:
        """What may have been written although no answer came is looked for first."""
        self.contact_id = await contacts.survivor(self.api, self.contact_id)
        found = await tickets.of(self.api, self.contact_id)
        looked = [await _told(self.api, ticket) for ticket in found.to_look_in]
        missing = [item for item in items if not self._adopt(item, looked)]
        if missing:
            chosen = found.chosen
            place = next((one for one in looked if chosen and one.ticket_id == str(chosen["id"])), None)
            await self._write(place, missing)

    def _adopt(self, item: MediaLink, looked: Sequence[Told]) -> bool:
        for told in looked:
            if told.newest(item.media_id) is not None:
                self._done(item, told.ticket_id)
                return True
        return False

    async def _write(self, place: Told | None, items: Sequence[MediaLink]) -> None:
        try:
            if place is None:
                first, *rest = _comments(items, self.language)
                ticket = await tickets.create(self.api, self.contact_id, first.html)
                self._done_all(first, str(ticket["id"]))
                place = Told(ticket)
                items = [item for comment in rest for item in comment.items]
            if items:
                await self._comment(place, items)
        except CrmError as error:
            if error.kind is CrmErrorKind.UNKNOWN_OUTCOME:
                await self._look_again(items)
            raise

    async def _look_again(self, items: Sequence[MediaLink]) -> None:
        """After a write without an answer: what is there all the same."""
        found = await tickets.of(self.api, self.contact_id)
        looked = [await _told(self.api, ticket) for ticket in found.to_look_in]
        for item in items:
            if item.media_id not in self.results:
                self._adopt(item, looked)

    async def _place(self, found: tickets.Found) -> Told:
        if found.chosen:
            return Told(found.chosen)
        return Told(await tickets.create(self.api, self.contact_id, None))

    async def _comment(self, place: Told, items: Sequence[MediaLink]) -> None:
        for comment in _comments(items, self.language):
            place.ticket = await tickets.comment(self.api, place.ticket, comment.html)
            self._done_all(comment, place.ticket_id, is_new=_known(comment.items[0]) is None)

    def _done_all(self, comment: _Comment, ticket_id: str, *, is_new: bool = True) -> None:
        for item in comment.items:
            self._done(item, ticket_id, is_new=is_new)

    def _done(self, item: MediaLink, ticket_id: str, *, is_new: bool = False) -> None:
        ref = self.records.note(ticket_id, item.media_id)
        self.results[item.media_id] = WriteResult(item.media_id, ref=ref, created=is_new)


@dataclass
class _Comment:
    items: list[MediaLink] = field(default_factory=list)
    html: str = ""


def _comments(items: Iterable[MediaLink], language: str) -> list[_Comment]:
    """Files that came together, as few comments as they fit into."""
    comments: list[_Comment] = []
    for item in items:
        html = card.render(item, language, limit=COMMENT_LIMIT)
        is_full = not comments or len(comments[-1].items) == CARDS_PER_COMMENT
        if is_full or _weight(comments[-1].html) + _weight(html) > COMMENT_LIMIT:
            comments.append(_Comment())
        comments[-1].items.append(item)
        comments[-1].html += html
    return comments


def _weight(html: str) -> int:
    return len(html.encode())


def _known(item: MediaLink) -> RecordRef | None:
    """The note we wrote; a record from when the plan still had objects is not one."""
    return item.known_ref if item.known_ref and item.known_ref.object_type == "note" else None


def _says(html: str, item: MediaLink) -> bool:
    expected = written(item, max_text=card.MAX_TEXT)
    said = _values(html, item)
    # A line that was switched off since is still there: it goes with the next writing.
    return all((value or "") == expected.get(name, "") for name, value in said.items())


def _values(html: str, item: MediaLink) -> dict[str, str | None]:
    """What the card says. Spaces and line ends are Zendesk's to set: they are no difference."""
    expected = written(item, max_text=card.MAX_TEXT)
    said = card.read(html)
    for name, value in said.items():
        if value and value.split() == expected.get(name, "").split():
            said[name] = expected[name]
    return said


async def _ticket_ids(api: Api, contact_id: str) -> list[str]:
    try:
        found = await tickets.of(api, contact_id)
    except CrmError as error:
        if error.kind is CrmErrorKind.NOT_FOUND:
            return []
        raise
    return [str(ticket["id"]) for ticket in found.to_look_in]


async def _told_if_there(api: Api, ticket_id: str) -> Told | None:
    try:
        return await _told(api, await api.ticket(ticket_id))
    except CrmError as error:
        if error.kind is CrmErrorKind.NOT_FOUND:
            return None
        raise


async def _told(api: Api, ticket: Json) -> Told:
    """`ticket` was read before its comments, so that its stamp tells whether anything came since."""
    told = Told(ticket)
    for comment in await api.comments(told.ticket_id):
        html = str(comment.get("html_body") or "")
        for media_id, part in card.cards(html).items():
            told.cards[media_id].append((str(comment["id"]), part))
            told.bodies[str(comment["id"])] = html
    return told


async def _redact(api: Api, told: Told, media_id: str) -> None:
    """Every card of this file that was there when the ticket was read."""
    for comment_id, part in told.cards.get(media_id, ()):
        body = told.bodies[comment_id]
        emptied = body.replace(part, tickets.blacked_out(part))
        told.bodies[comment_id] = emptied
        await api.redact_comment(comment_id, told.ticket_id, emptied)


def _state(records: Records, item: MediaLink, looked: Sequence[Told]) -> RecordState:
    copies = sum(len(told.cards.get(item.media_id, ())) for told in looked)
    for told in looked:
        if (html := told.newest(item.media_id)) is not None:
            ref = records.note(told.ticket_id, item.media_id)
            return RecordState(item.media_id, ref=ref, values=_values(html, item), copies=copies)
    return RecordState(item.media_id, ref=None, copies=0)


def _gone() -> CrmError:
    return CrmError(CrmErrorKind.NOT_FOUND, "the note is no longer on its ticket", status=404)
