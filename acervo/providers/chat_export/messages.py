"""An export's text as messages: who is said to have written what, and when, line by line and in little memory."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePosixPath
from typing import Final

from acervo.base.errors import Refused
from acervo.providers.chat_export import phrases
from acervo.providers.chat_export.headers import MARKS, Header, Order, Shape, header, plain

MOST_PREFACE: Final = 3
"""Lines before the first message; more of them, and it is another text."""
MOST_BODY: Final = 256 * 1024
"""Letters; WhatsApp itself ends a message at 65,536."""
MEDIA: Final = ("voice", "audio", "video", "image", "sticker", "document")
TEXT, SYSTEM, DELETED, UNSEEN, OMITTED = "text", "system", "deleted", "unseen", "media_omitted"


class NotAnExport(Refused):
    """This text is no chat export of WhatsApp."""

    code = "not_an_export"


@dataclass(frozen=True, slots=True)
class Message:
    """One message as the export has it. Who wrote it is a claim of the file: anybody could have typed that line."""

    line: int
    """Where it begins, from 1: the only order there is among messages of one minute."""
    sent_at: datetime
    """On the clock of the phone, without a zone; whole minutes on Android."""
    literal: str
    author: str | None
    """None: the app itself speaks."""
    kind: str
    """TEXT, SYSTEM, DELETED, UNSEEN, OMITTED or one of MEDIA."""
    text: str
    attachment: str | None = None
    """The name of its file."""
    omitted: str = ""
    """For OMITTED: the kind of file, where the app says it."""
    is_edited: bool = False
    whole: str = ""
    """Where a file is named: the text as it stood, for when there is no such file and somebody only typed its name."""


def messages(lines: Iterable[str], order: Order) -> Iterator[Message]:
    """All messages, in the order of the file. Raises NotAnExport."""
    for raw in split(lines, order):
        moment = raw.header.stamp.moment(order)
        if moment is not None:
            yield understood(raw, moment)


@dataclass(slots=True)
class Raw:
    """A header with all lines up to the next one."""

    line: int
    header: Header
    body: str


def split(lines: Iterable[str], order: Order | None = None) -> Iterator[Raw]:
    """Header by header. With an order, a line whose date does not exist in it begins nothing. Raises NotAnExport."""
    shape: Shape | None = None
    held: _Held | None = None
    preface = number = 0
    for number, line in enumerate(lines, 1):
        line = line.removesuffix("\n").removesuffix("\r").replace("\0", "")
        found = header(line, shape)
        if found is not None and (order is None or found.stamp.moment(order) is not None):
            shape = found.shape
            if held is not None:
                yield held.raw()
            held = _Held(number, found)
        elif held is not None:
            held.add(line)
        else:
            preface += bool(line.strip())
            if preface > MOST_PREFACE:
                raise NotAnExport()
    if held is None:
        raise NotAnExport()
    yield held.raw()


class _Held:
    """The message at hand. Empty lines at its end belong to nobody, so they wait for a line behind them."""

    def __init__(self, line: int, found: Header) -> None:
        self.line, self.header = line, found
        self.parts = [found.body]
        self.length = len(found.body)

    def add(self, line: str) -> None:
        self.length += len(line) + 1
        if self.length > MOST_BODY:
            raise NotAnExport("One message of this text is longer than any of WhatsApp's.")
        self.parts.append(line)

    def raw(self) -> Raw:
        while len(self.parts) > 1 and not self.parts[-1].strip():
            self.parts.pop()
        return Raw(self.line, self.header, "\n".join(self.parts))


def understood(raw: Raw, sent_at: datetime) -> Message:
    """What the message is. Marks of the app are looked for in the whole of it, so that who quotes one is not misread."""
    body = raw.body.strip(MARKS + " ")
    said = Message(raw.line, sent_at, raw.header.literal, raw.header.author, TEXT, body)
    bare = plain(body).strip()
    if raw.header.author is None or bare.startswith(phrases.ENCRYPTION):
        return replace(said, kind=SYSTEM)
    if (omitted := phrases.omitted_kind(bare)) is not None:
        return replace(said, kind=OMITTED, text="", omitted=omitted)
    if phrases.says_deleted(bare):
        return replace(said, kind=DELETED, text="")
    if not bare or bare in phrases.UNSEEN:
        return replace(said, kind=UNSEEN, text="")
    if named := _named(bare):
        name, text = named
        return replace(said, kind=kind_of(name), text=text, attachment=name, whole=body)
    text, is_edited = phrases.without_edited(body)
    return replace(said, text=text, is_edited=is_edited)


def _named(body: str) -> tuple[str, str] | None:
    """The file a message names, and the text beside it."""
    first, _, caption = body.partition("\n")
    first = first.rstrip()
    # Hardly any text ends like this, and the expression is slow to find that out.
    if first.endswith((")", ">")) and (found := phrases.NAMED_FIRST.fullmatch(first)):
        return found["name"], caption
    if "<" in body and (found := phrases.NAMED_INSIDE.search(body)):
        beside = (body[: found.start()].strip(), body[found.end() :].strip())
        return found["name"], "\n".join(part for part in beside if part)
    return None


_KINDS: Final = (
    ("voice", re.compile(r"PTT-", re.IGNORECASE)),
    ("audio", re.compile(r"AUD-|\d+-AUDIO-", re.IGNORECASE)),
    ("image", re.compile(r"IMG-|\d+-PHOTO-|\d{4}-\d\d-\d\d-PHOTO-", re.IGNORECASE)),
    ("video", re.compile(r"VID-|\d+-(?:VIDEO|GIF)-|\d{4}-\d\d-\d\d-VIDEO-", re.IGNORECASE)),
    ("sticker", re.compile(r"STK-|\d+-STICKER-", re.IGNORECASE)),
    ("document", re.compile(r"DOC-", re.IGNORECASE)),
)
_BY_EXTENSION: Final = {
    ".opus": "voice", ".ogg": "audio", ".m4a": "audio", ".mp3": "audio", ".aac": "audio", ".amr": "audio",
    ".wav": "audio", ".mp4": "video", ".3gp": "video", ".mov": "video", ".webm": "video", ".jpg": "image",
    ".jpeg": "image", ".png": "image", ".gif": "image", ".heic": "image", ".webp": "sticker",
}  # fmt: skip


def kind_of(name: str) -> str:
    """By the app's own way of naming files, else by the extension. What the bytes are is looked at later."""
    for kind, begin in _KINDS:
        if begin.match(name):
            return kind
    return _BY_EXTENSION.get(PurePosixPath(name).suffix.lower(), "document")
