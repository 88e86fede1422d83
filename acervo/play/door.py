"""Bytes to a player: `/play/<file>/<what>`, whole or in ranges, to whoever may see the file and to nobody else."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from acervo.base import filetypes, ids
from acervo.base.database import in_thread
from acervo.base.errors import AcervoError, Gone, TryLater
from acervo.keep import vault
from acervo.models import AuditEntry, Deed, MediaFile, Member, Rendition, RenditionKind, by_member
from acervo.play import ranges
from acervo.play.session import member_of

log = logging.getLogger(__name__)

ORIGINAL: Final = "original"
PICTURES: Final = frozenset({RenditionKind.POSTER, RenditionKind.THUMB_320, RenditionKind.THUMB_640})
PICTURE_MAX_AGE_S: Final = 3600
NOTED_AGAIN_AFTER_S: Final = 3600
"""One audit entry for a member and a file in this time: a player asks for dozens of ranges."""
_MOST_NOTED: Final = 10_000

_noted: dict[tuple[UUID, UUID, str], float] = {}


@dataclass(frozen=True, slots=True)
class Playable:
    """Bytes somebody may have, and how they are to be called."""

    media: MediaFile
    row: MediaFile | Rendition
    what: str

    @property
    def filetype(self) -> filetypes.FileType:
        return filetypes.by_mime(self.row.mime or "")

    @property
    def size_bytes(self) -> int:
        return self.row.size_bytes or 0

    @property
    def etag(self) -> str:
        return f'"{self.row.sha256}"'

    def headers(self, *, download: bool) -> dict[str, str]:
        inline = self.filetype.inline and not download
        name = filetypes.safe_file_name(self.media.file_name or self.media.slug, self.filetype)
        headers = dict(filetypes.SERVING_HEADERS) | {
            "Content-Type": self.filetype.mime,
            "Content-Disposition": filetypes.content_disposition(name, inline),
            "Accept-Ranges": "bytes",
            "ETag": self.etag,
            "Vary": "Cookie",
        }
        if self.what in PICTURES:
            headers["Cache-Control"] = f"private, max-age={PICTURE_MAX_AGE_S}"
        return headers


async def play(request: Request) -> Response:
    """GET and HEAD. Whatever the member may not see is a 404, exactly like what does not exist."""
    member = await member_of(request)
    found = (
        await in_thread(_find, member, request.path_params["slug"], request.path_params["what"])
        if member
        else None
    )
    if member is None or found is None:
        return _refusal(404, _("This file does not exist, or is not yours to see."))
    download = request.query_params.get("download") == "1"
    headers = found.headers(download=download)
    if found.what in PICTURES and request.headers.get("if-none-match") == found.etag:
        return Response(status_code=304, headers=headers)
    try:
        span = ranges.wanted(request.headers.get("range"), found.size_bytes)
    except ranges.NotSatisfiable:
        return Response(status_code=416, headers=headers | {"Content-Range": f"bytes */{found.size_bytes}"})
    if not ranges.is_still(request.headers.get("if-range"), found.etag):
        span = None
    if request.method == "GET":
        await _note(member, found, download=download)
    return await _answer(request, found, span, headers)


async def _answer(
    request: Request, found: Playable, span: ranges.Span | None, headers: dict[str, str]
) -> Response:
    sent = span or ranges.Span(0, found.size_bytes)
    headers["Content-Length"] = str(sent.length)
    if span:
        headers["Content-Range"] = f"bytes {span.start}-{span.stop - 1}/{found.size_bytes}"
    status = 206 if span else 200
    if request.method == "HEAD" or sent.length == 0:
        return Response(status_code=status, headers=headers)
    pieces = vault.read(found.row, sent.start, sent.stop)
    try:
        first = await anext(pieces)
    except AcervoError as error:
        return _cannot_be_read(found, error)
    return StreamingResponse(_all(first, pieces), status_code=status, headers=headers)


async def _all(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


def _cannot_be_read(found: Playable, error: AcervoError) -> Response:
    log.warning("file.unreadable", extra={"media": found.media.slug, "what": found.what, "code": error.code})
    if isinstance(error, TryLater):
        return _refusal(
            503, _("The storage does not answer right now. The file is safe; try again in a minute.")
        )
    if isinstance(error, Gone):
        return _refusal(410, _("This file was erased."))
    return _refusal(500, _("This file cannot be opened. The people who run this archive have been told."))


def _refusal(status: int, sentence: str) -> Response:
    return PlainTextResponse(sentence, status_code=status, headers=filetypes.SERVING_HEADERS)


def _find(member: Member, file: str, what: str) -> Playable | None:
    """One query, besides those that say what an agent's teams allow."""
    try:
        file_id = ids.parse(file)
    except ValueError:
        return None
    visible = MediaFile.objects.visible_to(member).filter(pk=file_id, stored_at__isnull=False)
    if what == ORIGINAL:
        media = visible.first()
        return Playable(media, media, what) if media else None
    rendition = Rendition.objects.select_related("media").filter(media__in=visible, kind=what).first()
    return Playable(rendition.media, rendition, what) if rendition else None


def forget_notes() -> None:
    """Write the next playing down, whoever plays what."""
    _noted.clear()


async def _note(member: Member, found: Playable, *, download: bool) -> None:
    """Who opened what stands in the audit before the first byte leaves; pictures of lists are not opened files."""
    if found.what in PICTURES:
        return
    played = found.filetype.kind in ("audio", "video")
    action = "file.downloaded" if download else "file.played" if played else "file.opened"
    about = (member.pk, found.media.pk, action)
    now = time.monotonic()
    if _noted.get(about, now) > now:
        return
    await in_thread(_record, member, found, action)
    if len(_noted) >= _MOST_NOTED:
        _noted.clear()
    _noted[about] = now + NOTED_AGAIN_AFTER_S


@transaction.atomic
def _record(member: Member, found: Playable, action: str) -> None:
    deed = Deed(action, "file", found.media.pk, details={"what": found.what})
    AuditEntry.objects.record(member.workspace_id, by_member(member), [deed])
