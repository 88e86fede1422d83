"""How far something was heard: told by the player when somebody leaves it, and written into the audit once a listening."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

from django.db import transaction
from starlette.requests import Request
from starlette.responses import Response

from acervo.base import filetypes, ids
from acervo.base.database import in_thread
from acervo.models import AuditEntry, Deed, MediaFile, RenditionKind
from acervo.play import links
from acervo.play.holder import Holder
from acervo.play.playable import KEY, ORIGINAL
from acervo.play.session import member_of

MAX_BODY_BYTES: Final = 1024
LONGEST_S: Final = 86_400.0
"""Of a file whose length nobody knows."""
MOST_A_MINUTE: Final = 60
"""Of one holder: more than a person can begin and leave, and too little to flood the audit."""
HEARD_AS: Final = frozenset({ORIGINAL, RenditionKind.MP3, RenditionKind.MP4})
_LISTENING: Final = re.compile(r"[0-9A-Za-z-]{8,40}")
_MOST_REMEMBERED: Final = 4096

_told: dict[UUID, list[float]] = {}


@dataclass(frozen=True, slots=True)
class Listening:
    """From pressing play until the page, the file or the end was left; a seek does not count as heard."""

    id: str
    what: str
    heard_s: float
    reached_s: float
    of_s: float

    @classmethod
    def read(cls, body: bytes) -> Listening:
        """Raises ValueError for whatever no player of ours sends."""
        told = json.loads(body)
        if not isinstance(told, dict):
            raise ValueError("Not an object.")
        listening, what = str(told.get("listening", "")), str(told.get("what", ""))
        if not _LISTENING.fullmatch(listening) or what not in HEARD_AS:
            raise ValueError("Neither a listening nor a copy of ours.")
        return cls(listening, what, *(_seconds(told.get(name)) for name in ("heard_s", "reached_s", "of_s")))

    def within(self, length_s: float | None) -> Listening:
        """Nobody hears more of a file than there is."""
        of_s = min(length_s or self.of_s, LONGEST_S)
        return Listening(
            self.id, self.what, min(self.heard_s, of_s), min(self.reached_s, of_s), round(of_s, 1)
        )


def _seconds(told: object) -> float:
    if isinstance(told, bool) or not isinstance(told, int | float) or told != told:
        raise ValueError("Not a number of seconds.")
    return round(min(max(told, 0.0), LONGEST_S), 1)


async def heard(request: Request) -> Response:
    """POST, from the player of our own pages alone. The same listening told twice is written once."""
    if not _is_from_our_pages(request):
        return _answer(403)
    has_key = KEY in request.query_params
    member = None if has_key else await member_of(request)
    if member is None and not has_key:
        return _answer(404)
    body = await _body(request)
    if body is None:
        return _answer(413)
    try:
        listening = Listening.read(body)
    except (ValueError, RecursionError):
        return _answer(400)
    holder = Holder.of(member) if member else await _holder_of_key(request, listening.what)
    if holder is None:
        return _answer(404)
    if _is_too_often(holder):
        return _answer(429)
    is_theirs = await in_thread(_write_down, holder, request.path_params["slug"], listening)
    return _answer(204 if is_theirs else 404)


async def _holder_of_key(request: Request, what: str) -> Holder | None:
    """Where there are no cookies: whoever holds the link that was heard."""
    return await in_thread(links.read, request.query_params[KEY], request.path_params["slug"], what)


def _is_from_our_pages(request: Request) -> bool:
    """Browsers say where a request comes from; one that says nothing is none of a page."""
    if site := request.headers.get("sec-fetch-site"):
        return site == "same-origin"
    origin = request.headers.get("origin", "")
    return bool(origin) and urlsplit(origin).netloc == request.headers.get("host")


async def _body(request: Request) -> bytes | None:
    """None where it is more than any player sends."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            return None
    return body


def _is_too_often(holder: Holder) -> bool:
    if len(_told) >= _MOST_REMEMBERED:
        _told.clear()
    now = time.monotonic()
    recent = [at for at in _told.get(holder.pk, []) if at > now - 60]
    _told[holder.pk] = [*recent, now][-MOST_A_MINUTE:]
    return len(recent) >= MOST_A_MINUTE


def forget() -> None:
    """Nobody has told anything yet."""
    _told.clear()


@transaction.atomic
def _write_down(holder: Holder, file: str, told: Listening) -> bool:
    """Whether the holder may hear the file at all."""
    try:
        file_id = ids.parse(file)
    except ValueError:
        return False
    media = MediaFile.objects.visible_to(holder.member).openable().filter(pk=file_id).first()
    if media is None:
        return False
    listening = told.within(media.duration_s)
    # The browser may send one listening twice.
    holder.lock()
    if listening.heard_s <= 0 or _is_written(media, holder.by, listening):
        return True
    is_seen = filetypes.by_mime(media.mime or "").kind == "video"
    details = {
        "listening": listening.id,
        "what": listening.what,
        "heard_s": listening.heard_s,
        "reached_s": listening.reached_s,
        "of_s": listening.of_s,
        **holder.details,
    }
    deed = Deed("file.watched" if is_seen else "file.heard", "file", media.pk, details=details)
    AuditEntry.objects.record(media.workspace_id, holder.by, [deed])
    return True


def _is_written(media: MediaFile, by: str, listening: Listening) -> bool:
    entries = AuditEntry.objects.of("file", media.pk)
    return entries.filter(workspace_id=media.workspace_id, by=by, details__listening=listening.id).exists()


def _answer(status: int) -> Response:
    return Response(status_code=status, headers=dict(filetypes.SERVING_HEADERS))
