"""Files as records of our own object, or as tasks: upsert by our id, tie to the contact, read back, erase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from acervo.crms.batches import chunks
from acervo.crms.contract import (
    CrmError,
    CrmErrorKind,
    EraseResult,
    MediaLink,
    RecordState,
    WriteResult,
)
from acervo.crms.fields import canonical, cut, placed, written
from acervo.crms.salesforce import contacts
from acervo.crms.salesforce.api import BATCH, Api, Json
from acervo.crms.salesforce.places import Place
from acervo.crms.salesforce.records import Records, is_id, listed, quoted, select

LEFT_IN_SALESFORCE = "Salesforce keeps the emptied record up to 15 days in its recycle bin"
NO_TITLE = "-"
"""Salesforce gives a record without a name its id as one."""

Outcomes = dict[str, Json | CrmError]


async def upsert(api: Api, records: Records, place: Place, items: Sequence[MediaLink]) -> list[WriteResult]:
    """Never raises for what Salesforce answers. A contact merged away since we learnt its id is followed."""
    distinct = {item.media_id: item for item in items}
    outcomes = await _write(api, place, [(item, _contact_id(item)) for item in distinct.values()])
    lost = [item for item in distinct.values() if item.contact and _is_gone(outcomes[item.media_id])]
    if lost:
        try:
            moved = await contacts.survivors(api, {item.contact.record_id for item in lost if item.contact})
        except CrmError as error:
            outcomes |= {item.media_id: error for item in lost}
        else:
            again = [(item, moved[id_]) for item in lost if (id_ := _contact_id(item) or "") in moved]
            outcomes |= await _write(api, place, again)
    return [_result(records, place, item, outcomes[item.media_id]) for item in items]


async def read(api: Api, records: Records, place: Place, items: Sequence[MediaLink]) -> list[RecordState]:
    """By our key; where that finds nothing, by the id we knew: a person may have emptied the key."""
    rows: dict[str, list[Json]] = {}
    columns = _columns(place, items)
    for row in await _rows_with(api, place, columns, place.key, [item.media_id for item in items]):
        rows.setdefault(str(row.get(place.key)), []).append(row)
    lost = {
        item.known_ref.record_id: item.media_id
        for item in items
        if item.known_ref and item.media_id not in rows and is_id(item.known_ref.record_id)
    }
    for row in await _rows_with(api, place, columns, "Id", list(lost)):
        rows.setdefault(lost[str(row["Id"])], []).append(row)
    return [_state(records, place, item, rows.get(item.media_id, [])) for item in items]


async def tie(api: Api, place: Place, record_id: str, to: Mapping[str, str]) -> None:
    """`to`: our word for a record, and its id. A file's record leads to one of each kind."""
    await api.update(place.object_name, record_id, {place.lookups[kind]: id_ for kind, id_ in to.items()})


async def untie(api: Api, place: Place, record_id: str, kind: str, id_: str) -> None:
    """Unless somebody led it elsewhere meanwhile."""
    lookup = place.lookups[kind]
    (rows,) = await api.query(
        select(["Id", lookup], place.object_name, f"Id = {quoted(record_id)}", "IsDeleted = false")
    )
    if rows and str(rows[0].get(lookup) or "")[:15] == id_[:15]:
        await api.update(place.object_name, record_id, {lookup: None})


async def erase(api: Api, place: Place, record_id: str, also: Sequence[str] = ()) -> EraseResult:
    """Emptied first: deleting alone would leave the text readable in the recycle bin."""
    ours = (name for name in place.names.values() if name != place.key)
    emptied: dict[str, str | None] = dict.fromkeys((*ours, *also))
    try:
        await api.update(place.object_name, record_id, {**emptied, place.names["title"]: NO_TITLE})
        await api.delete(place.object_name, record_id)
    except CrmError as error:
        if error.kind is not CrmErrorKind.NOT_FOUND:
            raise
    return EraseResult("partial", LEFT_IN_SALESFORCE)


async def _write(api: Api, place: Place, items: Sequence[tuple[MediaLink, str | None]]) -> Outcomes:
    outcomes: Outcomes = {}
    for batch in chunks(items, BATCH):
        try:
            entries = [_record(place, item, contact_id) for item, contact_id in batch]
            answers = await api.upsert(place.object_name, place.key, entries)
        except CrmError as error:
            outcomes |= {item.media_id: error for item, _ in batch}
        else:
            outcomes |= {item.media_id: answer for (item, _), answer in zip(batch, answers, strict=True)}
    return outcomes


def _record(place: Place, item: MediaLink, contact_id: str | None) -> Json:
    """All our fields, the empty ones too: an upsert leaves what is not named."""
    values: dict[str, object] = {one.name: one.as_json for one in placed(item, place.names)}
    values |= {place.names["title"]: _title(place, written(item)["title"]), **place.always}
    if contact_id:
        values[place.lookups["contact"]] = contact_id
    return values


def _title(place: Place, title: str) -> str:
    return cut(title, place.title_limit) or NO_TITLE


def _contact_id(item: MediaLink) -> str | None:
    return item.contact.record_id if item.contact else None


def _is_gone(outcome: Json | CrmError) -> bool:
    return isinstance(outcome, CrmError) and outcome.kind is CrmErrorKind.NOT_FOUND


def _result(records: Records, place: Place, item: MediaLink, outcome: Json | CrmError) -> WriteResult:
    if isinstance(outcome, CrmError):
        # Without its contact a record is not written; one from before stands, and it is the contact that is missing.
        stands = item.known_ref if _is_gone(outcome) and item.contact else None
        return WriteResult(item.media_id, ref=stands, error=outcome)
    ref = records.ref(place.object_type, str(outcome["id"]))
    return WriteResult(item.media_id, ref=ref, created=bool(outcome.get("created")))


def _state(records: Records, place: Place, item: MediaLink, rows: Sequence[Json]) -> RecordState:
    if not rows:
        return RecordState(item.media_id, ref=None, copies=0)
    row = rows[0]
    names = item.field_map.names("media", place.names)
    values = {name: _text(row.get(theirs)) for name, theirs in names.items()}
    title = written(item)["title"]
    if values["title"] == _title(place, title):
        values["title"] = title  # as much of it as a record's name can hold
    return RecordState(
        item.media_id,
        ref=records.ref(place.object_type, str(row["Id"])),
        values=canonical(values, item.field_map),
        copies=len(rows),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _columns(place: Place, items: Sequence[MediaLink]) -> list[str]:
    wanted = [name for item in items for name in item.field_map.names("media", place.names).values()]
    return list(dict.fromkeys(("Id", place.key, *wanted)))


async def _rows_with(
    api: Api, place: Place, columns: Sequence[str], name: str, values: Sequence[str]
) -> list[Json]:
    queries = [
        select(columns, place.object_name, f"{name} IN {listed(ids)}", "IsDeleted = false")
        for ids in chunks(values, BATCH)
    ]
    return [row for found in await api.query(*queries) for row in found]
