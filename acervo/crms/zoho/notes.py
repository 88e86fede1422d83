"""Files as notes on the contact, for editions without modules of one's own. A note has no key of ours: a marker in
its last line is the key, and the contact's notes are listed before anything new is written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from acervo.crms import batches
from acervo.crms.contract import (
    CrmError,
    CrmErrorKind,
    EraseResult,
    MediaLink,
    RecordRef,
    RecordState,
    WriteResult,
)
from acervo.crms.zoho import card, related
from acervo.crms.zoho.api import Api, Json, Outcome, done
from acervo.crms.zoho.errors import refuses_field
from acervo.crms.zoho.media import erase_blanked
from acervo.crms.zoho.names import CONTACTS, MODULES, Names
from acervo.crms.zoho.values import NAMELESS

NOTES = "Notes"
_READ = ("id", "Note_Title", "Note_Content", "Parent_Id")

Marked = Mapping[str, Sequence[Json]]
"""Our file ids to the notes that carry their marker, the oldest first."""


async def upsert(
    api: Api, names: Names, language: str, items: Sequence[MediaLink], moved: Mapping[str, str]
) -> list[WriteResult]:
    """One call for all new notes and one for all known ones, whosever they are."""
    results: dict[str, WriteResult] = {}
    places: dict[str, str] = {}
    for item in {item.media_id: item for item in items}.values():
        if item.contact:
            places[item.media_id] = moved.get(item.contact.record_id, item.contact.record_id)
        else:
            error = CrmError(CrmErrorKind.VALIDATION, "a note needs a contact to stand on")
            results[item.media_id] = WriteResult(item.media_id, error=error)
    open_ = [item for item in items if item.media_id in places]
    unknown = {places[item.media_id] for item in open_ if item.known_ref is None}
    there, faults = await _listed(api, unknown)
    for item in open_:
        if item.known_ref is None and (fault := faults.get(places[item.media_id])):
            results[item.media_id] = WriteResult(item.media_id, error=fault)
    known, new = {}, {}
    for item in open_:
        if item.media_id in results:
            continue
        rows = there.get(item.media_id, ())
        note_id = item.known_ref.record_id if item.known_ref else str(rows[0]["id"]) if rows else None
        if note_id:
            known[item.media_id] = (item, note_id)
        else:
            new[item.media_id] = item
    results |= await _update(api, names, language, list(known.values()))
    results |= await _create(api, names, language, list(new.values()), places)
    return [results[item.media_id] for item in items]


async def read(api: Api, names: Names, items: Sequence[MediaLink]) -> list[RecordState]:
    """By the notes on the contact; for a file whose contact we do not know any more, by the note we knew."""
    contacts = dict.fromkeys(item.contact.record_id for item in items if item.contact)
    notes: dict[str, Json] = {}
    for contact_id in contacts:
        notes |= {str(row["id"]): row for row in await api.related(CONTACTS, contact_id, NOTES, _READ)}
    lost = [
        item.known_ref.record_id for item in items if item.known_ref and item.known_ref.record_id not in notes
    ]
    notes |= {str(row["id"]): row for row in await api.read(NOTES, lost, _READ)}
    marked = _marked(list(notes.values()))
    return [_state(names, item, marked.get(item.media_id, ()), notes) for item in items]


async def link(api: Api, names: Names, note_id: str, to: Sequence[RecordRef]) -> None:
    """The same note on the deal or case too, unless it stands there already."""
    rows = await api.read(NOTES, [note_id], _READ)
    if not rows:
        raise CrmError(CrmErrorKind.NOT_FOUND, "the note does not exist in Zoho (any more)")
    content = str(rows[0].get("Note_Content") or "")
    media_id = card.marker(content)
    for ref in to:
        module = names.of(ref)
        if module is None or module == NOTES:
            raise CrmError(CrmErrorKind.UNSUPPORTED, f"a {ref.object_type} has no notes in Zoho")
        there = _marked(await api.related(module, ref.record_id, NOTES, _READ))
        if media_id not in there:
            note = {"Note_Title": rows[0].get("Note_Title"), "Note_Content": content}
            done(await api.create(NOTES, [{**note, **_parent(module, ref.record_id)}]))


async def unlink(api: Api, names: Names, note_id: str, from_: RecordRef) -> None:
    """The copy of the note on the deal or case goes; the note itself stays on the contact."""
    rows = await api.read(NOTES, [note_id], _READ)
    module = names.of(from_)
    media_id = card.marker(str(rows[0].get("Note_Content") or "")) if rows else None
    if module is None or module == NOTES or media_id is None:
        return
    there = _marked(await api.related(module, from_.record_id, NOTES, _READ))
    for copy in (str(row["id"]) for row in there.get(media_id, ())):
        await erase_blanked(api, NOTES, copy, _blank(copy))


async def erase(api: Api, names: Names, note_id: str) -> EraseResult:
    """With its copies on deals, cases and campaigns of the contact."""
    rows = await api.read(NOTES, [note_id], _READ)
    copies = await _copies(api, names, rows[0]) if rows else []
    results = [await erase_blanked(api, NOTES, one, _blank(one)) for one in (*copies, note_id)]
    return results[-1]


async def _listed(api: Api, contact_ids: set[str]) -> tuple[Marked, Mapping[str, CrmError]]:
    rows: list[Json] = []
    faults: dict[str, CrmError] = {}
    for contact_id in sorted(contact_ids):
        try:
            rows += await api.related(CONTACTS, contact_id, NOTES, _READ)
        except CrmError as error:
            faults[contact_id] = error
    return _marked(rows), faults


async def _update(
    api: Api, names: Names, language: str, known: Sequence[tuple[MediaLink, str]]
) -> dict[str, WriteResult]:
    async def write(batch: Sequence[tuple[MediaLink, str]]) -> Mapping[str, Outcome]:
        rows = [{"id": note_id, **card.render(item, language)} for item, note_id in batch]
        return _by_item([item for item, _ in batch], await api.update(NOTES, rows))

    outcomes = await batches.send(known, lambda one: one[0].media_id, write)
    results = {}
    for item, note_id in known:
        outcome = outcomes[item.media_id]
        error = outcome if isinstance(outcome, CrmError) else None
        ref = None if error else names.ref("note", note_id)
        results[item.media_id] = WriteResult(item.media_id, ref=ref, error=error)
    return results


async def _create(
    api: Api, names: Names, language: str, new: Sequence[MediaLink], places: Mapping[str, str]
) -> dict[str, WriteResult]:
    """Notes that may have been written although no answer came are looked for before anyone tries again."""

    async def write(batch: Sequence[MediaLink]) -> Mapping[str, Outcome]:
        rows = [{**card.render(item, language), **_parent(CONTACTS, places[item.media_id])} for item in batch]
        return _by_item(batch, await api.create(NOTES, rows))

    outcomes = await batches.send(new, lambda item: item.media_id, write)
    unsure = {places[media_id] for media_id, outcome in outcomes.items() if _is_unsure(outcome)}
    there, _ = await _listed(api, unsure)
    results = {}
    for item in new:
        outcome = outcomes[item.media_id]
        found = there.get(item.media_id) if _is_unsure(outcome) else None
        if found:
            outcome = found[0]
        if isinstance(outcome, CrmError):
            results[item.media_id] = WriteResult(item.media_id, error=_without_parent(outcome))
        else:
            ref = names.ref("note", str(outcome["id"]))
            results[item.media_id] = WriteResult(item.media_id, ref=ref, created=True)
    return results


def _by_item(batch: Sequence[MediaLink], outcomes: Sequence[Outcome]) -> dict[str, Outcome]:
    return {item.media_id: outcome for item, outcome in zip(batch, outcomes, strict=True)}


def _is_unsure(outcome: Outcome) -> bool:
    return isinstance(outcome, CrmError) and outcome.kind is CrmErrorKind.UNKNOWN_OUTCOME


def _without_parent(error: CrmError) -> CrmError:
    if error.kind is CrmErrorKind.VALIDATION and refuses_field(error, "Parent_Id"):
        return CrmError(
            CrmErrorKind.NOT_FOUND,
            "the contact does not exist in Zoho (any more)",
            status=error.status,
            vendor_code=error.vendor_code,
        )
    return error


async def _copies(api: Api, names: Names, note: Json) -> list[str]:
    parent, media_id = note.get("Parent_Id"), card.marker(str(note.get("Note_Content") or ""))
    if not (isinstance(parent, dict) and media_id):
        return []
    found: list[str] = []
    for one in await related.find(api, names, str(parent["id"])):
        rows = await api.related(MODULES[one.ref.object_type], one.ref.record_id, NOTES, _READ)
        found += (str(row["id"]) for row in _marked(rows).get(media_id, ()))
    return found


def _marked(rows: Sequence[Json]) -> Marked:
    marked: dict[str, list[Json]] = defaultdict(list)
    for row in sorted(
        rows, key=lambda row: (len(str(row["id"])), str(row["id"]))
    ):  # the oldest is the one to keep
        if media_id := card.marker(str(row.get("Note_Content") or "")):
            marked[media_id].append(row)
    return marked


def _state(names: Names, item: MediaLink, marked: Sequence[Json], notes: Mapping[str, Json]) -> RecordState:
    known = notes.get(item.known_ref.record_id) if item.known_ref else None
    note = known or next(iter(marked), None)
    if note is None:
        return RecordState(item.media_id, ref=None, copies=0)
    note_id = str(note["id"])
    copies = len({note_id, *(str(row["id"]) for row in marked)})
    return RecordState(item.media_id, ref=names.ref("note", note_id), values=card.read(note), copies=copies)


def _parent(module: str, record_id: str) -> Json:
    return {"Parent_Id": {"id": record_id, "module": {"api_name": module}}}


def _blank(note_id: str) -> Json:
    return {"id": note_id, "Note_Title": NAMELESS, "Note_Content": NAMELESS}
