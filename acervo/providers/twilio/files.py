"""Files at Twilio: which address is one of ours, and what kind of file a message says it is."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import yarl

from acervo.providers.contract import AnnouncedFile, Kind, Outcome
from acervo.providers.untrusted import as_text

MESSAGE_SID: Final = r"(?:SM|MM)[0-9a-f]{32}"

_MEDIA_PATH = re.compile(
    rf"/2010-04-01/Accounts/(AC[0-9a-f]{{32}})/Messages/({MESSAGE_SID})/Media/(ME[0-9a-f]{{32}})(?:\.json)?"
)
_PROVIDER_ID = re.compile(rf"({MESSAGE_SID})/(ME[0-9a-f]{{32}})")
_FILE_NAME = re.compile(r"[^\r\n/\\]{1,200}\.[A-Za-z0-9]{1,8}")

KINDS: Final = {
    "audio": Kind.AUDIO,
    "video": Kind.VIDEO,
    "image": Kind.IMAGE,
    "sticker": Kind.STICKER,
    "document": Kind.DOCUMENT,
}
"""By MessageType, and by the family of a MIME type."""
VOICE_MIMES: Final = frozenset({"audio/ogg", "application/ogg"})
"""Twilio tells nothing of voice notes, and drops the codec. WhatsApp's recorder writes Ogg, and hardly anything else
that people share as audio does."""
STICKER_MIME: Final = "image/webp"
BODY_MAY_NAME_A_DOCUMENT: Final = True
"""Unsure: the name of a document was seen in Body, where captions are too. Kept as both."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where Twilio keeps a file. The account is not part of it: it is always ours."""

    message_sid: str
    media_sid: str

    @classmethod
    def of_link(cls, url: object, *, account_sid: str, origins: Collection[str]) -> Place | None:
        """The place a link names; None unless it is one of this account at one of these origins, and nothing else."""
        try:
            link = yarl.URL(as_text(url) or "")
            match = _MEDIA_PATH.fullmatch(link.raw_path)
            is_ours = link.user is None and str(link.origin()) in origins
        except ValueError:
            return None
        if match is None or not is_ours or match[1] != account_sid or link.raw_query_string:
            return None
        return cls(match[2], match[3])

    @classmethod
    def of_id(cls, provider_id: str) -> Place | None:
        match = _PROVIDER_ID.fullmatch(provider_id)
        return cls(match[1], match[2]) if match else None

    @property
    def provider_id(self) -> str:
        return f"{self.message_sid}/{self.media_sid}"

    @property
    def path(self) -> str:
        """Below the account."""
        return f"/Messages/{self.message_sid}/Media/{self.media_sid}"


def announced(place: Place, message_type: str, mime: object, body: str | None) -> AnnouncedFile:
    """The file at this place, as its message describes it."""
    known_mime = mime_type(mime)
    kind = kind_of(message_type, known_mime)
    is_name = BODY_MAY_NAME_A_DOCUMENT and kind is Kind.DOCUMENT and _FILE_NAME.fullmatch(body or "")
    return AnnouncedFile(
        provider_id=place.provider_id, kind=kind, mime=known_mime, file_name=body if is_name else None
    )


def lost(message_type: str, mime: object) -> AnnouncedFile:
    """A file that was sent and never reached Twilio. It is announced all the same: people must see that it was sent."""
    known_mime = mime_type(mime)
    return AnnouncedFile(
        provider_id="",
        kind=kind_of(message_type, known_mime),
        mime=known_mime,
        refusal=Outcome.LOST_AT_PROVIDER,
    )


def kind_of(message_type: str, mime: str | None) -> Kind:
    """A document or a sticker is one because the message says so; else what Twilio takes the bytes for comes first,
    since a message has one type and may have several files."""
    essence = (mime or "").partition(";")[0].strip()
    if message_type in ("document", "sticker"):
        return KINDS[message_type]
    kind = KINDS.get(essence.partition("/")[0]) or KINDS.get(message_type)
    if essence in VOICE_MIMES and kind in (Kind.AUDIO, None):
        return Kind.VOICE
    if essence == STICKER_MIME:
        return Kind.STICKER
    return kind or Kind.DOCUMENT


def mime_type(value: object) -> str | None:
    """As declared, parameters kept, the type itself in lower case."""
    essence, separator, rest = (as_text(value) or "").partition(";")
    return f"{essence.strip().lower()}{separator}{rest}" or None
