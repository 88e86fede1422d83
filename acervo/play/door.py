"""Bytes to a player: `/play/<file>/<what>`, whole or in ranges, to whoever may see the file and to nobody else."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Final

from django.conf import settings
from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from acervo.base import filetypes
from acervo.base.database import in_thread
from acervo.base.errors import AcervoError, Gone, TryLater
from acervo.keep import vault
from acervo.models import Member
from acervo.play import first_play, links, ranges
from acervo.play.holder import Holder
from acervo.play.noted import note
from acervo.play.playable import KEY, PICTURES, Captions, Found, Held, Playable, Unmade, find
from acervo.play.session import member_of
from acervo.prepare import transcripts

log = logging.getLogger(__name__)

LANGUAGE_COOKIE: Final = "acervo_language"
"""Where the pages keep the choice of somebody who has not signed in."""
LOCKED: Final = 423


async def play(request: Request) -> Response:
    """GET and HEAD. Whatever the member may not see is a 404, exactly like what does not exist."""
    holder = await _asking(request)
    found = await _found(request, holder.member) if holder else None
    # People read refusals in their own language, here as everywhere.
    with translation.override(_language(request, holder)):
        if holder is None or found is None:
            return _refusal(404, _("This file does not exist, or is not yours to see."))
        if isinstance(found, Held):
            return _held(found)
        if isinstance(found, Unmade):
            return _not_yet()
        if isinstance(found, Captions):
            return await _captions(request, holder, found)
        return await _play(request, holder, found)


async def _asking(request: Request) -> Holder | None:
    """Whoever holds the key in the address, if there is one; else whoever is signed in."""
    key = request.query_params.get(KEY)
    if key is None:
        member = await member_of(request)
        return Holder.of(member) if member else None
    return await in_thread(links.read, key, request.path_params["slug"], request.path_params["what"])


async def _found(request: Request, member: Member) -> Found | None:
    """A copy that is made at its first play is waited for."""
    asked = (member, request.path_params["slug"], request.path_params["what"])
    found = await in_thread(find, *asked)
    if isinstance(found, Unmade):
        await first_play.come(found.media, found.kind)
        found = await in_thread(find, *asked)
    return found


async def _play(request: Request, holder: Holder, found: Playable) -> Response:
    """Conditions in the order of RFC 9110, 13.2.2. Range is for GET alone (14.2): HEAD tells of the whole."""
    download = request.query_params.get("download") == "1"
    headers = found.headers(download=download)
    if ranges.is_refused(request.headers.get("if-match"), found.etag):
        return Response(status_code=412, headers=headers)
    if ranges.is_known(request.headers.get("if-none-match"), found.etag):
        return Response(status_code=304, headers=headers)
    if request.method == "HEAD":
        return Response(headers=headers | {"Content-Length": str(found.size_bytes)})
    try:
        span = _span(request, found)
    except ranges.NotSatisfiable:
        return Response(status_code=416, headers=headers | {"Content-Range": f"bytes */{found.size_bytes}"})
    if found.what not in PICTURES:
        await note(holder, found.media, _deed(found, download=download), found.what)
    return await _answer(found, span, headers)


def _span(request: Request, found: Playable) -> ranges.Span | None:
    """The part that is asked for, or None for the whole."""
    if not ranges.is_still(request.headers.get("if-range"), found.etag):
        return None
    return ranges.wanted(", ".join(request.headers.getlist("range")), found.size_bytes)


def _deed(found: Playable, *, download: bool) -> str:
    if download:
        return "file.downloaded"
    return "file.played" if found.filetype.kind in ("audio", "video") else "file.opened"


async def _answer(found: Playable, span: ranges.Span | None, headers: dict[str, str]) -> Response:
    sent = span or ranges.Span(0, found.size_bytes)
    headers["Content-Length"] = str(sent.length)
    if span:
        headers["Content-Range"] = f"bytes {span.start}-{span.stop - 1}/{found.size_bytes}"
    status = 206 if span else 200
    if sent.length == 0:
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


async def _captions(request: Request, holder: Holder, found: Captions) -> Response:
    text = await in_thread(transcripts.captions, found.media.pk)
    if text is None:
        return _refusal(404, _("Nothing said in this file has been written down yet."))
    download = request.query_params.get("download") == "1"
    if request.method == "GET":
        action = "file.downloaded" if download else "file.opened"
        await note(holder, found.media, action, request.path_params["what"])
    return Response(text, headers=found.headers(download=download))


def _held(found: Held) -> Response:
    if found.media.is_quarantined:
        return _refusal(
            LOCKED,
            _("This file is in quarantine. The data-protection officer decides whether anybody may open it."),
        )
    return _refusal(
        LOCKED, _("This file is waiting for the malware scanner. It can be opened once it is found clean.")
    )


def _not_yet() -> Response:
    sentence = _("A copy that this browser can play is being made. Try again in a few seconds.")
    return _refusal(503, sentence, {"Retry-After": str(first_play.COME_AGAIN_S)})


def _cannot_be_read(found: Playable, error: AcervoError) -> Response:
    log.warning("file.unreadable", extra={"media": found.media.slug, "what": found.what, "code": error.code})
    if isinstance(error, TryLater):
        return _refusal(
            503, _("The storage does not answer right now. The file is safe; try again in a minute.")
        )
    if isinstance(error, Gone):
        return _refusal(410, _("This file was erased."))
    return _refusal(500, _("This file cannot be opened. The people who run this archive have been told."))


def _refusal(status: int, sentence: Promise, headers: dict[str, str] | None = None) -> Response:
    return PlainTextResponse(
        str(sentence), status_code=status, headers=dict(filetypes.SERVING_HEADERS) | (headers or {})
    )


def _language(request: Request, holder: Holder | None) -> str:
    chosen = holder.member.language if holder else request.cookies.get(LANGUAGE_COOKIE, "")
    return chosen if chosen in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE
