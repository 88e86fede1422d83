"""Copies of the bytes as Salesforce Files: hung on the file's record, looked for before they are sent, deleted again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from acervo.crms.bodies import Body
from acervo.crms.contract import CrmError, CrmErrorKind, EraseResult, Upload, Uploaded, UploadTerms
from acervo.crms.salesforce.api import Api, Json
from acervo.crms.salesforce.errors import QUOTA_WAIT_S
from acervo.crms.salesforce.places import Place
from acervo.crms.salesforce.records import is_id, quoted, record_id, select

UPLOADS = UploadTerms(most_bytes=500_000_000, hangs_on=("media", "note"))
"""A file may have 2 GB there; but a call must end within ten minutes."""
LEFT_IN_SALESFORCE = "Salesforce keeps the deleted file up to 15 days in its recycle bin"

FULL = "STORAGE_LIMIT_EXCEEDED"
ENOUGH_PUBLISHED = "LIMIT_EXCEEDED"
"""Said when an account has taken its files of 24 hours (200,000; 2,500 in a trial). By memory: settle with a live
account."""
_IN_THE_BIN = "ENTITY_IS_DELETED"


async def send(api: Api, place: Place, upload: Upload) -> Uploaded:
    """Three calls: look for it, send it, ask for its id. `place`: where the holder is."""
    _keep_terms(upload)
    holder = record_id(upload.holder)
    is_live = select(["Id"], place.object_name, f"Id = {quoted(holder)}", "IsDeleted = false")
    holders, ours, linked = await api.query(is_live, *_hung_on(holder))
    if not holders:
        raise CrmError(
            CrmErrorKind.NOT_FOUND, "the record that shall hold the file does not exist (any more)"
        )
    known = _named(ours, linked, upload.file_name)
    file_id = known[0] if known else await _sent(api, holder, upload)
    return Uploaded(upload.media_id, upload.file_name, upload.holder, file_id)


async def remove(api: Api, uploaded: Uploaded) -> EraseResult:
    """All its versions and wherever else people hung it; a record's own deletion leaves its files."""
    file_ids = [uploaded.file_id]
    if not uploaded.file_id and is_id(uploaded.holder.record_id):
        ours, linked = await api.query(*_hung_on(uploaded.holder.record_id))
        file_ids = _named(ours, linked, uploaded.file_name)
    kept = [await _delete(api, file_id) for file_id in file_ids if is_id(file_id)]
    return EraseResult("partial", LEFT_IN_SALESFORCE) if any(kept) else EraseResult("done")


def _keep_terms(upload: Upload) -> None:
    if upload.holder.object_type not in UPLOADS.hangs_on:
        raise CrmError(CrmErrorKind.UNSUPPORTED, f"a file is not hung on a {upload.holder.object_type} here")
    if upload.size_bytes > UPLOADS.most_bytes:
        raise CrmError(CrmErrorKind.VALIDATION, "the file is too large for Salesforce")


def _hung_on(holder: str) -> tuple[str, str]:
    """Exact and immediate, and each knows what the other does not: our user's own files stay known when somebody
    takes them off the record, replaces them or deletes the record; those of our user before this one hang on it."""
    whose = quoted(holder)
    ours = select(
        ["ContentDocumentId", "PathOnClient"],
        "ContentVersion",
        f"FirstPublishLocationId = {whose}",
        "IsDeleted = false",
        then="ORDER BY CreatedDate",
    )
    linked = select(
        ["ContentDocumentId", "ContentDocument.LatestPublishedVersion.PathOnClient"],
        "ContentDocumentLink",
        f"LinkedEntityId = {whose}",
        "IsDeleted = false",
    )
    return ours, linked


def _named(ours: Sequence[Json], linked: Sequence[Json], file_name: str) -> list[str]:
    """Ids of the documents, without repetition."""
    found = [row for row in ours if row.get("PathOnClient") == file_name]
    found += (row for row in linked if _latest_path(row) == file_name)
    return list(dict.fromkeys(str(row["ContentDocumentId"]) for row in found))


def _latest_path(link: Json) -> object:
    document = link.get("ContentDocument") or {}
    return (document.get("LatestPublishedVersion") or {}).get("PathOnClient")


async def _sent(api: Api, holder: str, upload: Upload) -> str:
    values = {
        "Title": upload.file_name.rpartition(".")[0] or upload.file_name,
        "PathOnClient": upload.file_name,
        "FirstPublishLocationId": holder,
    }
    content = Body(upload.mime, upload.size_bytes, upload.content)
    try:
        version_id = await api.create_file(values, upload.file_name, content)
    except CrmError as error:
        raise _meant(error) from error
    (rows,) = await api.query(select(["ContentDocumentId"], "ContentVersion", f"Id = {quoted(version_id)}"))
    if not rows:
        raise CrmError(CrmErrorKind.UNKNOWN_OUTCOME, "Salesforce took the file and does not show it yet")
    return str(rows[0]["ContentDocumentId"])


def _meant(error: CrmError) -> CrmError:
    """Codes that mean something else where it is a file that is refused."""
    codes = (error.vendor_code or "").split()
    known = next((_MEANT[code] for code in codes if code in _MEANT), None)
    if known is None:
        return error
    kind, words, wait_s = known
    return CrmError(kind, words, status=error.status, vendor_code=error.vendor_code, retry_after_s=wait_s)


_MEANT: Mapping[str, tuple[CrmErrorKind, str, float | None]] = {
    FULL: (CrmErrorKind.VALIDATION, "the file storage of this Salesforce account is full", None),
    ENOUGH_PUBLISHED: (
        CrmErrorKind.QUOTA_EXHAUSTED,
        "Salesforce takes no more files within these 24 hours",
        QUOTA_WAIT_S,
    ),
}


async def _delete(api: Api, file_id: str) -> bool:
    """Whether it lies in the recycle bin now."""
    try:
        await api.delete("ContentDocument", file_id)
    except CrmError as error:
        if error.kind is not CrmErrorKind.NOT_FOUND:
            raise
        return _IN_THE_BIN in (error.vendor_code or "").split()
    return True
