"""The bytes of a file on a ticket: an internal note of its own, with the file on it. A comment has no key of ours, so a
marker in its text and the file's name are the key, and the ticket is read before anything is put on it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from html import escape

from acervo.crms import card
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
from acervo.crms.fields import CHOICE_LABELS, choice_label
from acervo.crms.zendesk import tickets
from acervo.crms.zendesk.api import Api, Json
from acervo.crms.zendesk.records import note_parts
from acervo.crms.zendesk.schema import OBJECT_LABEL

MOST_BYTES = 50_000_000
"""Zendesk takes 50 MB of one file; how it counts them is not said (2026-11)."""
TERMS = UploadTerms(MOST_BYTES, hangs_on=("note", "ticket"))
TRIES = 3
LEFT_IN_ZENDESK = (
    "the file on a closed ticket: Zendesk takes it away there only in accounts with its Agent Workspace"
)

_REFUSED = frozenset({CrmErrorKind.FORBIDDEN, CrmErrorKind.VALIDATION})
_MAYBE_DONE = frozenset({CrmErrorKind.UNKNOWN_OUTCOME, CrmErrorKind.UNAVAILABLE})


@dataclass(frozen=True, slots=True)
class _Copy:
    """A file of ours where it hangs."""

    ticket_id: str
    comment_id: str
    attachment_id: str
    url: str = field(repr=False)
    html: str = field(repr=False)
    """Of its comment, as Zendesk gives it."""

    @property
    def file_id(self) -> str:
        return f"{self.ticket_id}/{self.comment_id}/{self.attachment_id}"


async def put(api: Api, language: str, upload: Upload) -> Uploaded:
    """Four calls: two to look, one for the bytes, one for the note they hang on."""
    if upload.size_bytes > MOST_BYTES:
        raise CrmError(CrmErrorKind.VALIDATION, "the file is too large for Zendesk")
    ticket, copy = await _look(api, upload)
    if copy is None:
        copy = await _send(api, language, upload, ticket)
    return Uploaded(upload.media_id, upload.file_name, upload.holder, copy.file_id)


async def remove(api: Api, uploaded: Uploaded) -> EraseResult:
    """The file is emptied for good and the note's text blacked out; what people wrote beside it stays."""
    try:
        ticket_id = uploaded.file_id.partition("/")[0] or _place(uploaded.holder)[0]
        comments = await api.comments(ticket_id)
    except CrmError as error:
        if error.kind is not CrmErrorKind.NOT_FOUND:
            raise
        return EraseResult("done")
    copies = _copies(ticket_id, comments, uploaded)
    is_gone = [await _take_away(api, uploaded, copy) for copy in copies]
    return EraseResult("done") if all(is_gone) else EraseResult("impossible", LEFT_IN_ZENDESK)


async def _look(api: Api, upload: Upload) -> tuple[Json, _Copy | None]:
    """The ticket, read before its comments, so that its stamp tells whether anything came since; and the file, if it
    hangs there. Raises CrmError where it does not and cannot."""
    ticket_id, note_of = _place(upload.holder)
    ticket = await api.ticket(ticket_id)
    comments = await api.comments(ticket_id)
    if note_of and not any(note_of in card.cards(_html(row)) for row in comments):
        raise CrmError(CrmErrorKind.NOT_FOUND, "the note is no longer on its ticket", status=404)
    for copy in _copies(ticket_id, comments, _sought(upload)):
        return ticket, copy
    if tickets.is_closed(ticket):
        raise CrmError(CrmErrorKind.VALIDATION, "a closed ticket in Zendesk takes no files")
    return ticket, None


async def _send(api: Api, language: str, upload: Upload, ticket: Json) -> _Copy:
    """The bytes, then the note they hang on. Until it has them anybody signed in could read them by their address, so
    what will not hang is taken away at once; but not what may hang all the same."""
    api.expect_share(str(ticket["id"]))
    token = await api.upload(upload.file_name, Body(upload.mime, upload.size_bytes, upload.content))
    try:
        copies = await _hang(api, upload, ticket, _note(upload, language), token)
    except CrmError as error:
        if error.kind not in _MAYBE_DONE:
            await _drop(api, token)
        raise
    copies = copies or _copies(str(ticket["id"]), await api.comments(str(ticket["id"])), _sought(upload))
    if not copies:
        raise CrmError(CrmErrorKind.VALIDATION, "Zendesk took the note and left out the file")
    return copies[0]


async def _hang(api: Api, upload: Upload, ticket: Json, html: str, token: str) -> list[_Copy]:
    """Where it hangs now, as far as Zendesk's answer tells it."""
    for _ in range(TRIES):
        try:
            made = await tickets.attach(api, ticket, html, token)
        except CrmError as error:
            if error.kind is not CrmErrorKind.CONFLICT:
                raise
            ticket, copy = await _look(api, upload)  # somebody wrote to it: perhaps another worker of ours
            if copy:
                await _drop(api, token)
                return [copy]
        else:
            return _copies(str(ticket["id"]), made, _sought(upload))
    raise CrmError(CrmErrorKind.LOCKED, "the ticket changed again and again meanwhile")


async def _drop(api: Api, token: str) -> None:
    """An upload nobody took: Zendesk would forget it after an hour, if this does not come through."""
    try:
        await api.delete_upload(token)
    except CrmError:
        return


async def _take_away(api: Api, uploaded: Uploaded, copy: _Copy) -> bool:
    """Whether the bytes are gone. First the way that works on every ticket, in accounts with the Agent Workspace."""
    black = tickets.blacked_out(copy.html)
    try:
        comment = await api.redact_comment(copy.comment_id, copy.ticket_id, black, [copy.url])
        if not any(one.get("file_name") == uploaded.file_name for one in _files(comment)):
            return True
    except CrmError as error:
        if error.kind is CrmErrorKind.NOT_FOUND:
            return True
        if error.kind not in _REFUSED:
            raise
    try:
        await api.redact_attachment(copy.ticket_id, copy.comment_id, copy.attachment_id)
    except CrmError as error:
        if error.kind is CrmErrorKind.NOT_FOUND:
            return True
        if error.kind in _REFUSED and tickets.is_closed(await api.ticket(copy.ticket_id)):
            return False
        raise
    return True


def _sought(upload: Upload) -> Uploaded:
    return Uploaded(upload.media_id, upload.file_name, upload.holder)


def _place(holder: RecordRef) -> tuple[str, str]:
    """The ticket, and the file whose note on it must still be there, if a note is meant."""
    if holder.object_type == "note":
        return note_parts(holder)
    if holder.object_type != "ticket":
        raise CrmError(CrmErrorKind.UNSUPPORTED, f"Zendesk has no place for a file on a {holder.object_type}")
    if not holder.record_id.isdigit():
        raise CrmError(CrmErrorKind.NOT_FOUND, "this is not the number of a ticket")
    return holder.record_id, ""


def _copies(ticket_id: str, comments: Iterable[Json], sought: Uploaded) -> list[_Copy]:
    """Of this file, in comments of ours: an agent who sends the same file on to the customer keeps theirs."""
    found: list[_Copy] = []
    for row in comments:
        html = _html(row)
        for one in _files(row):
            copy = _Copy(ticket_id, str(row.get("id")), str(one.get("id")), str(one.get("content_url")), html)
            is_ours = _marker(sought.media_id) in html or copy.file_id == sought.file_id
            if is_ours and one.get("file_name") == sought.file_name and not one.get("deleted"):
                found.append(copy)
    return found


def _note(upload: Upload, language: str) -> str:
    kind = upload.file_name.partition("-")[0]
    label = choice_label(kind, language) if kind in CHOICE_LABELS else OBJECT_LABEL
    return f"<p>WhatsApp: {escape(label)}</p><p>{_marker(upload.media_id)}</p>"


def _marker(media_id: str) -> str:
    return f"wa-copy:{media_id}"


def _html(comment: Json) -> str:
    return str(comment.get("html_body") or "")


def _files(comment: Json) -> list[Json]:
    rows = comment.get("attachments")
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
