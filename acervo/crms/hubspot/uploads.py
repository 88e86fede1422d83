"""The bytes of a file in HubSpot: a private file in a folder of ours, named by a field of the record it hangs on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from acervo.crms.bodies import Body
from acervo.crms.contract import (
    CrmError,
    CrmErrorKind,
    EraseResult,
    RecordRef,
    Upload,
    Uploaded,
    UploadTerms,
)
from acervo.crms.hubspot import schema
from acervo.crms.hubspot.api import Api
from acervo.crms.hubspot.records import properties_of

FOLDER = "/Acervo"
"""HubSpot makes it with the first file."""
MOST_BYTES = 20_000_000
"""What the smallest plan takes, by our notes (2026-11); larger ones take more."""
TERMS = UploadTerms(most_bytes=MOST_BYTES, hangs_on=("media", "note"))
OPTIONS: Mapping[str, Any] = {
    "access": "PRIVATE",
    "overwrite": False,
    "duplicateValidationStrategy": "NONE",
    "duplicateValidationScope": "EXACT_FOLDER",
}
"""HubSpot looks for no duplicates: two customers who sent the same picture would share one file, gone for both as soon
as one of them is erased. Of files with one name it names the later one anew, and that is where we look."""
LEFT_IN_HUBSPOT = (
    "HubSpot keeps in the record's history that a file hung there, and may take days to let go of its bytes"
)

_FIELDS = {"media": schema.FILE, "note": "hs_attachment_ids"}
_BETWEEN = ";"


@dataclass(frozen=True, slots=True)
class _Holder:
    """A record as it was just now, and the files that hang on it, whoever hung them there."""

    object_type: str
    """HubSpot's."""
    record_id: str
    field: str
    file_ids: Sequence[str]


class Uploads:
    """Of one account. `media_type`: of our object, for holders of type `media`."""

    def __init__(self, api: Api, language: str) -> None:
        self._api = api
        self._language = language
        self._is_field_there = False

    async def send(self, object_type: str, upload: Upload) -> Uploaded:
        """`object_type`: the holder's, as HubSpot calls it."""
        holder = await self._read(object_type, upload.holder)
        if upload.holder.object_type == "media" and not self._is_field_there:
            await schema.ensure_file_field(self._api, object_type, self._language)
            self._is_field_there = True
        file_id = await self._find(upload.file_name)
        if file_id:
            await self._hang(holder, file_id)
        else:
            file_id = await self._put(holder, upload)
        return Uploaded(upload.media_id, upload.file_name, upload.holder, file_id)

    async def remove(self, object_type: str, uploaded: Uploaded) -> EraseResult:
        """First off the record, so that it never names a file that is gone."""
        file_id = uploaded.file_id or await self._find(uploaded.file_name)
        if not file_id:
            return EraseResult("done")
        try:
            holder = await self._read(object_type, uploaded.holder)
            if file_id in holder.file_ids:
                await self._write(holder, [one for one in holder.file_ids if one != file_id])
        except CrmError as error:
            if error.kind is not CrmErrorKind.NOT_FOUND:
                raise
        await self._erase(file_id)
        return EraseResult("partial", LEFT_IN_HUBSPOT)

    async def _put(self, holder: _Holder, upload: Upload) -> str:
        """A file that hangs nowhere would be found by nobody: it does not stay."""
        file_id = await self._post(upload)
        try:
            await self._hang(holder, file_id)
        except CrmError as error:
            if not error.is_retryable:
                await self._erase(file_id)
            raise
        return file_id

    async def _post(self, upload: Upload) -> str:
        body = Body(upload.mime, upload.size_bytes, upload.content)
        try:
            file = await self._api.send_file(FOLDER, upload.file_name, body, OPTIONS)
        except CrmError as error:
            if error.kind is not CrmErrorKind.VALIDATION:
                raise
            raise CrmError(
                CrmErrorKind.VALIDATION,
                "HubSpot does not take this file: its type, its size, or no space is left",
                status=error.status,
                vendor_code=error.vendor_code,
                correlation_id=error.correlation_id,
            ) from error
        file_id = str(file["id"])
        if file.get("path") in {None, _place(upload.file_name)}:
            return file_id
        # Named anew: while ours was under way, somebody sent the same file. The first one counts.
        first_id = await self._find(upload.file_name)
        if first_id in {"", file_id}:
            return file_id
        await self._erase(file_id)
        return first_id

    async def _find(self, file_name: str) -> str:
        """Its id, or an empty text. By its place, which is exact at once; HubSpot's search lags by minutes."""
        try:
            file = (await self._api.file_at(_place(file_name))).get("file")
        except CrmError as error:
            if error.kind is not CrmErrorKind.NOT_FOUND:
                raise
            return ""
        is_there = isinstance(file, dict) and file.get("id") and not file.get("archived")
        return str(file["id"]) if file and is_there else ""

    async def _erase(self, file_id: str) -> None:
        try:
            await self._api.erase_file(file_id)
        except CrmError as error:
            if error.kind is not CrmErrorKind.NOT_FOUND:
                raise

    async def _read(self, object_type: str, ref: RecordRef) -> _Holder:
        """Raises CrmError NOT_FOUND, and UNSUPPORTED for a record that can hold no file."""
        field = _FIELDS.get(ref.object_type)
        if field is None:
            raise CrmError(CrmErrorKind.UNSUPPORTED, f"in HubSpot no file hangs on a {ref.object_type}")
        row = await self._api.read(object_type, ref.record_id, (field,))
        file_ids = [one for one in (properties_of(row).get(field) or "").split(_BETWEEN) if one]
        return _Holder(object_type, str(row["id"]), field, file_ids)

    async def _hang(self, holder: _Holder, file_id: str) -> None:
        if file_id not in holder.file_ids:
            await self._write(holder, [*holder.file_ids, file_id])

    async def _write(self, holder: _Holder, file_ids: Sequence[str]) -> None:
        await self._api.update(holder.object_type, holder.record_id, {holder.field: _BETWEEN.join(file_ids)})


def _place(file_name: str) -> str:
    return f"{FOLDER}/{file_name}"
