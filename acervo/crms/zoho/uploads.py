"""The bytes themselves as an attachment of a file's record or note: looked for by name, sent once, taken away again."""

from __future__ import annotations

from acervo.crms.bodies import Body, FilePart
from acervo.crms.contract import (
    CrmError,
    CrmErrorKind,
    EraseResult,
    RecordRef,
    Upload,
    Uploaded,
    UploadTerms,
)
from acervo.crms.zoho.api import ATTACHMENTS, Api
from acervo.crms.zoho.names import Names

TERMS = UploadTerms(most_bytes=20_000_000, hangs_on=("media", "note"))
"""Zoho's papers name 100 MB for a request, older ones 20 MB (2026-11): the smaller holds everywhere, and counted so
there is room for the form around the file."""
LEFT_IN_ZOHO = "the file may stay in Zoho's recycle bin for up to 60 days"
_STILL_THERE_WAIT_S = 30.0


async def add(api: Api, names: Names, upload: Upload) -> Uploaded:
    """Two calls. Whoever sees the record, or the note's record, sees the file."""
    module = _module(names, upload.holder)
    if upload.size_bytes > TERMS.most_bytes:
        raise CrmError(CrmErrorKind.VALIDATION, "the file is larger than Zoho takes")
    there = await _named(api, module, upload.holder, upload.file_name)
    file_id = there[0] if there else await api.attach(module, upload.holder.record_id, _form(upload))
    return Uploaded(upload.media_id, upload.file_name, upload.holder, file_id)


async def remove(api: Api, names: Names, uploaded: Uploaded) -> EraseResult:
    """By name as well where the id is known: the name is ours alone, and doubles go with it."""
    module, holder = _module(names, uploaded.holder), uploaded.holder
    try:
        listed = await _named(api, module, holder, uploaded.file_name)
    except CrmError as error:
        if error.kind is not CrmErrorKind.NOT_FOUND:
            raise
        listed = []  # gone with what they hung on
    known = [uploaded.file_id] if uploaded.file_id and uploaded.file_id not in listed else []
    is_left = False
    for file_id in (*listed, *known):
        was_there = await _detach(api, module, holder, file_id, is_listed=file_id in listed)
        is_left |= await _stays_in_bin(api, file_id, was_there=was_there)
    return EraseResult("partial", LEFT_IN_ZOHO) if is_left else EraseResult("done")


async def _named(api: Api, module: str, holder: RecordRef, file_name: str) -> list[str]:
    """The oldest first, which is the one to keep."""
    rows = await api.related(module, holder.record_id, ATTACHMENTS, ("id", "File_Name"))
    found = [str(row["id"]) for row in rows if row.get("File_Name") == file_name]
    return sorted(found, key=lambda file_id: (len(file_id), file_id))


async def _detach(api: Api, module: str, holder: RecordRef, file_id: str, *, is_listed: bool) -> bool:
    """Whether it was there. Zoho says with one code that a file is gone and that it could not be deleted: of one that
    was just listed, only the second can be meant."""
    try:
        await api.detach(module, holder.record_id, file_id)
    except CrmError as error:
        if error.kind is not CrmErrorKind.NOT_FOUND:
            raise
        if is_listed:
            raise CrmError(
                CrmErrorKind.LOCKED,
                "Zoho did not let go of the file",
                status=error.status,
                vendor_code=error.vendor_code,
                retry_after_s=_STILL_THERE_WAIT_S,
            ) from error
        return False
    return True


async def _stays_in_bin(api: Api, file_id: str, *, was_there: bool) -> bool:
    """Whether files pass through the bin by their own id is not written anywhere: only a clear answer counts."""
    try:
        await api.empty_from_bin(file_id)
    except CrmError as error:
        if error.kind is CrmErrorKind.FORBIDDEN:
            return True
        if error.kind is not CrmErrorKind.NOT_FOUND:
            raise
        return was_there
    return False


def _form(upload: Upload) -> Body:
    content = Body(upload.mime, upload.size_bytes, upload.content)
    return Body.multipart([], FilePart("file", upload.file_name, content))


def _module(names: Names, holder: RecordRef) -> str:
    module = names.of(holder) if holder.object_type in TERMS.hangs_on else None
    if module is None:
        raise CrmError(CrmErrorKind.UNSUPPORTED, f"no file of ours hangs on a {holder.object_type} in Zoho")
    return module
