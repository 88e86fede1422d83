"""Files as records of our own HubSpot object: upsert by our id, tie to the contact, read back, erase."""

from __future__ import annotations

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
from acervo.crms.fields import canonical, placed
from acervo.crms.hubspot import contacts
from acervo.crms.hubspot.api import Api, Json
from acervo.crms.hubspot.records import Records, properties_of, value_of
from acervo.crms.hubspot.schema import NAMES
from acervo.crms.hubspot.traces import outcomes

KEY = NAMES["media_id"]
_ALL = tuple(NAMES.values())
LEFT_IN_HUBSPOT = (
    "HubSpot keeps the history of emptied fields, and the record up to 90 days in its recycle bin"
)


async def upsert(api: Api, records: Records, type_id: str, items: Sequence[MediaLink]) -> list[WriteResult]:
    async def write(batch: Sequence[MediaLink]) -> Mapping[str, Json | CrmError]:
        answer = await api.upsert(type_id, [_entry(item) for item in batch])
        return outcomes(map(_media_id, batch), answer, lambda row: str(properties_of(row).get(KEY)))

    distinct = list({item.media_id: item for item in items}.values())
    rows = await batches.send(distinct, _media_id, write)
    ids = {media_id: str(row["id"]) for media_id, row in rows.items() if not isinstance(row, CrmError)}
    faults = await _tie(api, type_id, [item for item in distinct if item.media_id in ids], ids)
    return [_result(records, item, rows[item.media_id], faults.get(item.media_id)) for item in items]


async def read(api: Api, records: Records, type_id: str, items: Sequence[MediaLink]) -> list[RecordState]:
    """By our key; where that finds nothing, by the id we knew: a person may have emptied the key."""
    wanted = tuple({KEY, *(name for item in items for name in _names(item).values())})
    rows = {
        str(properties_of(row).get(KEY)): row
        for row in await api.read_many(type_id, [item.media_id for item in items], wanted, id_property=KEY)
    }
    lost = {item.known_ref.record_id: item for item in items if item.media_id not in rows and item.known_ref}
    for row in await api.read_many(type_id, list(lost), wanted):
        rows[lost[str(row["id"])].media_id] = row
    return [_state(records, item, rows.get(item.media_id)) for item in items]


async def erase(api: Api, type_id: str, record_id: str, also: Sequence[str] = ()) -> EraseResult:
    """Emptied first: archiving alone would leave the text readable in the recycle bin."""
    try:
        await api.update(type_id, record_id, {name: "" for name in (*_ALL, *also) if name != KEY})
        await api.archive(type_id, record_id)
    except CrmError as error:
        if error.kind is not CrmErrorKind.NOT_FOUND:
            raise
    return EraseResult("partial", LEFT_IN_HUBSPOT)


def _names(item: MediaLink) -> Mapping[str, str]:
    return item.field_map.names("media", NAMES)


def _media_id(item: MediaLink) -> str:
    return item.media_id


def _entry(item: MediaLink) -> Json:
    return {
        "idProperty": KEY,
        "id": item.media_id,
        "properties": {one.name: value_of(one) for one in placed(item, NAMES)},
        "objectWriteTraceId": item.media_id,  # asks for 207 with an error per item instead of 400 for all
    }


async def _tie(
    api: Api, type_id: str, items: Sequence[MediaLink], ids: Mapping[str, str]
) -> Mapping[str, CrmError | None]:
    """Default associations to the contacts. Safe to repeat, so it is done on every write."""

    async def associate(batch: Sequence[MediaLink]) -> Mapping[str, CrmError | None]:
        pairs = [(ids[item.media_id], item.contact.record_id) for item in batch if item.contact]
        answer = await api.associate_many(type_id, "contacts", pairs)
        done = {str(row["from"]["id"]) for row in answer.get("results", [])}
        return {
            item.media_id: None
            if ids[item.media_id] in done
            else CrmError(CrmErrorKind.NOT_FOUND, "HubSpot did not tie the record to the contact")
            for item in batch
        }

    tied = [item for item in items if item.contact]
    faults = await batches.send(tied, _media_id, associate)
    for item in tied:
        fault = faults[item.media_id]
        if fault and item.contact and fault.kind in {CrmErrorKind.NOT_FOUND, CrmErrorKind.VALIDATION}:
            faults[item.media_id] = await _tie_to_survivor(api, type_id, ids[item.media_id], item.contact)
    return faults


async def _tie_to_survivor(api: Api, type_id: str, record_id: str, contact: RecordRef) -> CrmError | None:
    """The contact may have been merged away since we learnt its id."""
    try:
        lives_on_as = await contacts.survivor(api, contact.record_id)
        await api.associate(type_id, record_id, "contacts", lives_on_as)
    except CrmError as error:
        return error
    return None


def _result(records: Records, item: MediaLink, row: Json | CrmError, fault: CrmError | None) -> WriteResult:
    if isinstance(row, CrmError):
        return WriteResult(item.media_id, error=row)
    ref = records.ref("media", str(row["id"]))
    return WriteResult(item.media_id, ref=ref, created=bool(row.get("new")), error=fault)


def _state(records: Records, item: MediaLink, row: Json | None) -> RecordState:
    if row is None:
        return RecordState(item.media_id, ref=None, copies=0)
    held = {name: properties_of(row).get(theirs) for name, theirs in _names(item).items()}
    values = canonical(held, item.field_map)
    return RecordState(item.media_id, ref=records.ref("media", str(row["id"])), values=values)
