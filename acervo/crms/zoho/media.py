"""Files as records of our own Zoho module: upsert by our id, tie to the contact, read back, erase."""

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
from acervo.crms.zoho.api import Api, Json, Outcome, done
from acervo.crms.zoho.errors import refuses_field
from acervo.crms.zoho.names import LOOKUPS, Names
from acervo.crms.zoho.values import NAMELESS, media, own_media, read_media

LEFT_IN_ZOHO = "Zoho's timeline and audit log may keep what stood in emptied fields"
LEFT_IN_BIN = "the record stays in Zoho's recycle bin for up to 60 days, and " + LEFT_IN_ZOHO


async def upsert(
    api: Api, names: Names, items: Sequence[MediaLink], moved: Mapping[str, str]
) -> list[WriteResult]:
    async def write(batch: Sequence[MediaLink]) -> Mapping[str, Outcome]:
        rows = [_row(names, item, moved) for item in batch]
        outcomes = await api.upsert(names.module, names.media["media_id"], rows)
        return {item.media_id: outcome for item, outcome in zip(batch, outcomes, strict=True)}

    distinct = list({item.media_id: item for item in items}.values())
    outcomes = await batches.send(distinct, lambda item: item.media_id, write)
    return [_result(names, item, outcomes[item.media_id]) for item in items]


async def read(api: Api, names: Names, items: Sequence[MediaLink]) -> list[RecordState]:
    """By our key; where that finds nothing, by the id we knew: a person may have emptied the key. The values come
    by a second call, since long texts cannot be asked for together with a key."""
    key = names.media["media_id"]
    ids: dict[str, list[str]] = {item.media_id: [] for item in items}
    for row in await api.by_key(names.module, key, list(ids), ()):
        ids.setdefault(str(row.get(key)), []).append(str(row["id"]))
    for item in items:
        if item.known_ref and not ids[item.media_id]:
            ids[item.media_id].append(item.known_ref.record_id)
    wanted = [record_id for found in ids.values() for record_id in found]
    own = own_media(names)
    fields = list({theirs for item in items for theirs in item.field_map.names("media", own).values()})
    rows = {str(row["id"]): row for row in await api.read(names.module, wanted, fields)}
    return [_state(names, item, [rows[one] for one in ids[item.media_id] if one in rows]) for item in items]


async def link(api: Api, names: Names, record_id: str, to: Sequence[RecordRef]) -> None:
    """A record points at one deal, one case and one campaign: of several of a kind, the last one stays."""
    changes = {}
    for ref in to:
        if ref.object_type not in LOOKUPS or ref.object_type not in names.media:
            raise CrmError(CrmErrorKind.UNSUPPORTED, f"files cannot be tied to a {ref.object_type} here")
        changes[names.media[ref.object_type]] = {"id": ref.record_id}
    if changes:
        done(await api.update(names.module, [{"id": record_id, **changes}]))


async def unlink(api: Api, names: Names, record_id: str, from_: RecordRef) -> None:
    """Unless somebody led it elsewhere meanwhile."""
    field = names.media.get(from_.object_type) if from_.object_type in LOOKUPS else None
    if field is None:
        raise CrmError(CrmErrorKind.UNSUPPORTED, f"files cannot be tied to a {from_.object_type} here")
    rows = await api.read(names.module, [record_id], [field])
    held = rows[0].get(field) if rows else None
    if isinstance(held, dict) and str(held.get("id")) == from_.record_id:
        done(await api.update(names.module, [{"id": record_id, field: None}]))


async def erase(api: Api, names: Names, record_id: str, also: Sequence[str] = ()) -> EraseResult:
    """Emptied first: in the recycle bin the text would still be readable."""
    kept = {"media_id", "title"}
    empty: Json = dict.fromkeys((*(own for name, own in names.media.items() if name not in kept), *also))
    blank = {"id": record_id, **empty, names.media["title"]: NAMELESS}
    return await erase_blanked(api, names.module, record_id, blank)


async def erase_blanked(api: Api, module: str, record_id: str, blank: Json) -> EraseResult:
    """Emptied, deleted, and taken out of the recycle bin where the access allows it. Safe to repeat."""
    try:
        done(await api.update(module, [blank]))
        await api.delete(module, record_id)
    except CrmError as error:
        if error.kind is not CrmErrorKind.NOT_FOUND:
            raise
    try:
        await api.empty_from_bin(record_id)
    except CrmError as error:
        if error.kind is CrmErrorKind.FORBIDDEN:
            return EraseResult("partial", LEFT_IN_BIN)
        if error.kind is not CrmErrorKind.NOT_FOUND:
            raise
    return EraseResult("partial", LEFT_IN_ZOHO)


def _row(names: Names, item: MediaLink, moved: Mapping[str, str]) -> Json:
    row = media(names, item)
    if item.contact:
        contact_id = moved.get(item.contact.record_id, item.contact.record_id)
        row[names.media["contact"]] = {"id": contact_id}
    return row


def _result(names: Names, item: MediaLink, outcome: Outcome) -> WriteResult:
    if not isinstance(outcome, CrmError):
        # Whether Zoho inserted or updated is not told reliably; what we had written before is.
        created = item.known_ref is None
        return WriteResult(item.media_id, names.ref("media", str(outcome["id"])), created)
    if outcome.kind is CrmErrorKind.VALIDATION and refuses_field(outcome, names.media["contact"]):
        missing = CrmError(
            CrmErrorKind.NOT_FOUND,
            "the contact does not exist in Zoho (any more)",
            status=outcome.status,
            vendor_code=outcome.vendor_code,
        )
        return WriteResult(item.media_id, ref=item.known_ref, error=missing)
    return WriteResult(item.media_id, error=outcome)


def _state(names: Names, item: MediaLink, rows: Sequence[Json]) -> RecordState:
    if not rows:
        return RecordState(item.media_id, ref=None, copies=0)
    ref = names.ref("media", str(rows[0]["id"]))
    values = read_media(names, rows[0], item.field_map)
    return RecordState(item.media_id, ref=ref, values=values, copies=len(rows))
