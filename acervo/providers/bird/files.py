"""Files of Bird's payloads: everything but a picture arrives as `file`, told apart by its content type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from acervo.providers.contract import AnnouncedFile, Kind, Outcome
from acervo.providers.links import identifier
from acervo.providers.untrusted import as_mapping, as_text

VOICE_NOTE_TYPES = frozenset({"audio/ogg"})
"""No voice flag is told. WhatsApp records voice notes as Ogg Opus, and hardly anybody sends such a file by hand."""
STICKER_TYPES = frozenset({"image/webp"})
BY_FAMILY = {"image": Kind.IMAGE, "audio": Kind.AUDIO, "video": Kind.VIDEO}
BY_WORD = {
    "voice": Kind.VOICE,
    "audio": Kind.AUDIO,
    "video": Kind.VIDEO,
    "image": Kind.IMAGE,
    "sticker": Kind.STICKER,
    "document": Kind.DOCUMENT,
}
"""`meta.extraInformation["whatsapp.media.type"]`, seen on some messages: WhatsApp's own word, better than a guess."""


def announced(told: Mapping[str, Any], *, name: str, is_picture: bool, word: str | None) -> AnnouncedFile:
    """One element of `images` or `files`. `name`: its id where its address is too long to be one."""
    mime = _mime(told.get("contentType"))
    url = as_text(told.get("mediaUrl"))
    return AnnouncedFile(
        provider_id=identifier(url, otherwise=name) if url else "",
        kind=_kind(mime, is_picture=is_picture, word=word),
        mime=mime,
        file_name=as_text(told.get("filename")),
        url=url,
        is_animated=as_mapping(told.get("metadata")).get("isAnimated") is True,
        # Without an address there is nothing to ask for: people must see that something came.
        refusal=None if url else Outcome.LOST_AT_PROVIDER,
    )


def _kind(mime: str | None, *, is_picture: bool, word: str | None) -> Kind:
    essence = (mime or "").partition(";")[0].strip()
    if word == "audio" and essence in VOICE_NOTE_TYPES:
        return Kind.VOICE
    if word in BY_WORD:
        return BY_WORD[word]
    if is_picture:
        return Kind.IMAGE
    if essence in VOICE_NOTE_TYPES:
        return Kind.VOICE
    if essence in STICKER_TYPES:
        return Kind.STICKER
    return BY_FAMILY.get(essence.partition("/")[0], Kind.DOCUMENT)


def _mime(value: object) -> str | None:
    essence, separator, parameters = (as_text(value) or "").partition(";")
    return f"{essence.strip().lower()}{separator}{parameters}" or None
