"""Files as notes on the contact, for plans without custom objects. A note has no key of ours: a marker in its
text is the key, and the contact's notes are listed before anything new is written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from acervo.crms import batches, card
from acervo.crms.contract import CrmError, CrmErrorKind, EraseResult, MediaLink, RecordState, WriteResult
from acervo.crms.fields import moment
from acervo.crms.hubspot import contacts
from acervo.crms.hubspot.api import Api
from acervo.crms.hubspot.records import Records, properties_of

NOTE_TO_CONTACT = 202
"""HubSpot's own association type, the same in every account."""
LEFT_IN_HUBSPOT = "HubSpot keeps the note's history, and the note up to 90 days in its recycle bin"
_SIDE_BY_SIDE = 4
_READ = ("hs_note_body",)

Notes = Mapping[str, Sequence[str]]
"""Our file ids to the ids of the notes that carry their marker."""


async def upsert(api: Api, records: Records, language: str, items: Sequence[MediaLink]) -> list[WriteResult]:
    """Contacts side by side, the notes of one contact one after the other: HubSpot locks by record."""
    return await batches.by_contact(
        items, _SIDE_BY_SIDE, lambda contact, group: _write_for(api, records, language, contact, group)
    )


async def read(api: Api, records: Records, items: Sequence[MediaLink]) -> list[RecordState]:
    """By the notes on the contact; for a file whose contact we do not know any more, by the note we knew."""
    bodies: dict[str, str] = {}
    for contact_id in dict.fromkeys(item.contact.record_id for item in items if item.contact):
        bodies |= await _bodies_on(api, contact_id)
    known = [item.known_ref.record_id for item in items if item.known_ref]
    bodies |= await _bodies(api, [note_id for note_id in known if note_id not in bodies])
    marked = _marked(bodies)
    return [_state(records, item, marked, bodies) for item in items]


async def erase(api: Api, record_id: str) -> EraseResult:
    """Emptied first: archiving alone would leave the text readable in the recycle bin."""
    try:
        await api.update("notes", record_id, {"hs_note_body": ""})
        await api.archive("notes", record_id)
    except CrmError as error:
        if error.kind is not CrmErrorKind.NOT_FOUND:
            raise
    return EraseResult("partial", LEFT_IN_HUBSPOT)


async def _write_for(
    api: Api, records: Records, language: str, contact_id: str, items: Sequence[MediaLink]
) -> list[WriteResult]:
    if not contact_id:
        error = CrmError(CrmErrorKind.VALIDATION, "a note needs a contact to stand on")
        return [WriteResult(item.media_id, error=error) for item in items]
    try:
        there: Notes = {}
        if any(item.known_ref is None for item in items):
            contact_id = await contacts.survivor(api, contact_id)
            there = _marked(await _bodies_on(api, contact_id))
    except CrmError as error:
        return [WriteResult(item.media_id, error=error) for item in items]
    return [await _write(api, records, language, contact_id, item, there) for item in items]


async def _write(
    api: Api, records: Records, language: str, contact_id: str, item: MediaLink, there: Notes
) -> WriteResult:
    note_ids = there.get(item.media_id, ())
    note_id = item.known_ref.record_id if item.known_ref else next(iter(note_ids), None)
    properties = {"hs_note_body": card.render(item, language), "hs_timestamp": moment(item.received_at)}
    try:
        if note_id:
            await api.update("notes", note_id, properties)
            return WriteResult(item.media_id, ref=records.ref("note", note_id))
        new_id = await _create(api, contact_id, item, properties)
    except CrmError as error:
        return WriteResult(item.media_id, error=error)
    return WriteResult(item.media_id, ref=records.ref("note", new_id), created=True)


async def _create(api: Api, contact_id: str, item: MediaLink, properties: Mapping[str, str]) -> str:
    """A note that may have been written although no answer came is looked for before anyone tries again."""
    association = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": NOTE_TO_CONTACT}
    body = {
        "properties": properties,
        "associations": [{"to": {"id": contact_id}, "types": [association]}],
    }
    try:
        return str((await api.create("notes", body))["id"])
    except CrmError as error:
        if error.kind is not CrmErrorKind.UNKNOWN_OUTCOME:
            raise
        written = _marked(await _bodies_on(api, contact_id)).get(item.media_id)
        if not written:
            raise
        return written[0]


async def _bodies_on(api: Api, contact_id: str) -> dict[str, str]:
    return await _bodies(api, await api.associated_ids("contacts", contact_id, "notes"))


async def _bodies(api: Api, note_ids: Sequence[str]) -> dict[str, str]:
    rows = await api.read_many("notes", note_ids, _READ)
    return {str(row["id"]): properties_of(row).get("hs_note_body") or "" for row in rows}


def _marked(bodies: Mapping[str, str]) -> Notes:
    marked: dict[str, list[str]] = defaultdict(list)
    for note_id in sorted(bodies, key=lambda text: (len(text), text)):  # the oldest is the one to keep
        if media_id := card.marker(bodies[note_id]):
            marked[media_id].append(note_id)
    return marked


def _state(records: Records, item: MediaLink, marked: Notes, bodies: Mapping[str, str]) -> RecordState:
    note_ids = list(marked.get(item.media_id, ()))
    if item.known_ref and item.known_ref.record_id in bodies:
        note_id = item.known_ref.record_id
    elif note_ids:
        note_id = note_ids[0]
    else:
        return RecordState(item.media_id, ref=None, copies=0)
    copies = len({*note_ids, note_id})
    values = card.read(bodies[note_id])
    return RecordState(item.media_id, ref=records.ref("note", note_id), values=values, copies=copies)
