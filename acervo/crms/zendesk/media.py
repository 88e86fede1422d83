"""Files as records of our own Zendesk object: upsert by our id, many in a job, read back, erase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from acervo.crms.contract import (
    CrmError,
    CrmErrorKind,
    EraseResult,
    MediaLink,
    RecordRef,
    RecordState,
    WriteResult,
)
from acervo.crms.fields import Placed, canonical, moment, placed, stored_type, written
from acervo.crms.mapping import AS_IT_WAS, PLAIN, FieldMap
from acervo.crms.zendesk import contacts, jobs, tickets
from acervo.crms.zendesk.api import Api, Json
from acervo.crms.zendesk.records import Records
from acervo.crms.zendesk.schema import CONTACT, KEY, NAMES, RECEIVED_ON, TICKET, TITLE, option

MAX_TEXT = 30_000
"""What a `textarea` takes is not documented (2026-11); this much is safe."""
ERASED = "—"


async def upsert(api: Api, records: Records, items: Sequence[MediaLink]) -> list[WriteResult]:
    distinct = list({item.media_id: item for item in items}.values())
    results = await (_write_job(api, records, distinct) if len(distinct) > jobs.FEW else _none())
    for item in distinct:
        if item.media_id not in results:
            results[item.media_id] = await _write(api, records, item)
    return [results[item.media_id] for item in items]


async def read(api: Api, records: Records, items: Sequence[MediaLink]) -> list[RecordState]:
    """By our key; where that finds nothing, by the id we knew: a person may have emptied the key."""
    found = await api.records("external_ids", [item.media_id for item in items])
    rows = {str(row.get(KEY)): row for row in found}
    lost = {item.known_ref.record_id: item for item in items if item.media_id not in rows and item.known_ref}
    for row in await api.records("ids", list(lost)):
        rows[lost[str(row["id"])].media_id] = row
    return [_state(records, item.media_id, rows.get(item.media_id), item.field_map) for item in items]


async def erase(api: Api, record_id: str, also: Sequence[str] = ()) -> EraseResult:
    """Emptied first: whatever follows the changes of records in that account then follows this one too. The note
    on the ticket it names goes as well."""
    blank: dict[str, Any] = dict.fromkeys([*NAMES.values(), *also, RECEIVED_ON])
    try:
        row = await api.record(record_id)
        if ticket_id := _held(row).get(TICKET):
            await tickets.take_back(api, str(ticket_id), str(row.get(KEY) or ""))
        await api.update_record(record_id, {TITLE: ERASED, "custom_object_fields": blank})
        await api.delete_record(record_id)
    except CrmError as error:
        if error.kind is not CrmErrorKind.NOT_FOUND:
            raise
    return EraseResult("done")


async def tie(api: Api, record_id: str, ticket_id: str) -> tuple[str, Mapping[str, str | None]]:
    """The record names the ticket. What it is the record of, and what it says."""
    row = await api.record(record_id)
    state = _state(Records(""), str(row.get(KEY) or ""), row)
    if str(_held(row).get(TICKET)) != ticket_id:
        await api.update_record(record_id, {"custom_object_fields": {TICKET: ticket_id}})
    return state.media_id, state.values


async def untie(api: Api, record_id: str, ticket_id: str) -> str:
    """The record names the ticket no longer, unless somebody led it elsewhere. What it is the record of."""
    row = await api.record(record_id)
    if str(_held(row).get(TICKET)) == ticket_id:
        await api.update_record(record_id, {"custom_object_fields": {TICKET: None}})
    return str(row.get(KEY) or "")


async def _none() -> dict[str, WriteResult]:
    return {}


async def _write_job(api: Api, records: Records, items: Sequence[MediaLink]) -> dict[str, WriteResult]:
    """What a job wrote. What it refused is left out, to be tried alone: that says exactly why. The shape of a
    job's results is not written down well, so what they do not call a fault is believed when it is there."""
    try:
        job = await api.start_upserts([{KEY: item.media_id, **_record(item)} for item in items])
        done = await jobs.finished(api, job, len(items))
        faulty = {items[place].media_id for place in done.faulty}
        rows = await api.records("external_ids", [item.media_id for item in items])
    except CrmError as error:
        return {item.media_id: WriteResult(item.media_id, error=error) for item in items}
    there = {str(row.get(KEY)): row for row in rows}
    results: dict[str, WriteResult] = {}
    for item in items:
        if item.media_id in there and item.media_id not in faulty and done.is_over:
            results[item.media_id] = _result(records, item, there[item.media_id])
        elif not done.is_over:
            results[item.media_id] = WriteResult(item.media_id, error=jobs.still_running())
    return results


async def _write(api: Api, records: Records, item: MediaLink) -> WriteResult:
    try:
        return _result(records, item, await api.upsert_record(item.media_id, _record(item)))
    except CrmError as error:
        if error.kind is not CrmErrorKind.VALIDATION or item.contact is None:
            return WriteResult(item.media_id, error=error)
        return await _write_to_survivor(api, records, item, item.contact, error)


async def _write_to_survivor(
    api: Api, records: Records, item: MediaLink, contact: RecordRef, refusal: CrmError
) -> WriteResult:
    """The contact may have been merged away, or deleted, since we learnt its id."""
    try:
        lives_on_as = await contacts.survivor(api, contact.record_id)
        if lives_on_as == contact.record_id:
            return WriteResult(item.media_id, error=refusal)
        moved = replace(item, contact=RecordRef("contact", lives_on_as))
        return _result(records, item, await api.upsert_record(item.media_id, _record(moved)))
    except CrmError as error:
        return WriteResult(item.media_id, error=error)


def _record(item: MediaLink) -> dict[str, Any]:
    """Everything, each time: what is empty now is emptied there too."""
    values = written(item, max_text=MAX_TEXT)
    fields: dict[str, Any] = {one.name: value_of(one) for one in placed(item, NAMES, max_text=MAX_TEXT)}
    fields[RECEIVED_ON] = moment(item.received_at)[:10]
    if item.contact:
        fields[CONTACT] = item.contact.record_id
    return {TITLE: values["title"], "custom_object_fields": fields}


def value_of(one: Placed) -> str | int | bool | None:
    """As Zendesk stores it: a choice of ours is a tag, somebody else's is what they made it."""
    if one.type == "choice" and one.ours and one.text:
        return option(one.ours, one.text)
    return one.as_json


def _shown(name: str, value: Any, field_map: FieldMap) -> str | None:
    if value is None or value == "":
        return None
    is_ours = field_map.rules("media").get(name, AS_IT_WAS).to is None
    is_choice = is_ours and stored_type("media", name) == "choice"
    return str(value).removeprefix(option(name, "")) if is_choice else str(value)


def _held(row: Json) -> Mapping[str, Any]:
    fields = row.get("custom_object_fields")
    return fields if isinstance(fields, dict) else {}


def _result(records: Records, item: MediaLink, row: Json) -> WriteResult:
    is_new = item.known_ref is None and row.get("created_at") == row.get("updated_at")
    return WriteResult(item.media_id, ref=records.ref("media", str(row["id"])), created=is_new)


def _state(records: Records, media_id: str, row: Json | None, field_map: FieldMap = PLAIN) -> RecordState:
    if row is None:
        return RecordState(media_id, ref=None, copies=0)
    values = {
        name: _shown(name, _held(row).get(theirs), field_map)
        for name, theirs in field_map.names("media", NAMES).items()
    }
    values |= {"media_id": row.get(KEY) or None, "title": row.get(TITLE) or None}
    return RecordState(
        media_id, ref=records.ref("media", str(row["id"])), values=canonical(values, field_map)
    )
