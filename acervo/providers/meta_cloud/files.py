"""Media objects of a payload: ids, hashes in two spellings, links that live five minutes."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import yarl

from acervo.base.errors import AcervoError
from acervo.providers.asking import Reply
from acervo.providers.contract import AnnouncedFile, Kind, Outcome, ProviderBusy, Resolved
from acervo.providers.meta_cloud import errors
from acervo.providers.untrusted import as_count, as_id, as_moment, as_text, parse_object

KINDS = {
    "image": Kind.IMAGE,
    "audio": Kind.AUDIO,
    "voice": Kind.VOICE,  # on-premise shape, still seen
    "video": Kind.VIDEO,
    "sticker": Kind.STICKER,
    "document": Kind.DOCUMENT,
}
MEDIA_DOWNLOAD_ERROR = 131052
"""Meta itself could not fetch the file; there is nothing for us to fetch either (Media page, April 2026)."""

_HEX = re.compile(r"[0-9a-fA-F]{64}")
_BASE64 = re.compile(r"[A-Za-z0-9+/_\-]{43}=?")
_MEDIA_ID = re.compile(r"[A-Za-z0-9_\-][A-Za-z0-9_\-.]{0,255}")  # on-premise ids looked like file names


def media_id(value: object) -> str | None:
    """An id that may stand in a URL path as it is."""
    text = as_id(value)
    return text if text and _MEDIA_ID.fullmatch(text) else None


def announced(media: Mapping[str, Any], kind: Kind, *, refusal: str | None = None) -> AnnouncedFile | None:
    """The file a media object announces; None when it names no usable id."""
    provider_id = media_id(media.get("id"))
    if provider_id is None:
        return None
    mime = mime_type(media.get("mime_type"))
    url = as_text(media.get("url"))
    return AnnouncedFile(
        provider_id=provider_id,
        kind=_audio_kind(media, mime) if kind is Kind.AUDIO else kind,
        mime=mime,
        sha256=sha256_hex(media.get("sha256")),
        size_bytes=as_count(media.get("file_size")),
        file_name=as_text(media.get("filename")),
        url=url,
        url_expires_at=url_expiry(url) if url else None,
        is_animated=media.get("animated") is True,
        refusal=refusal,
    )


def lost(kind: Kind, media: Mapping[str, Any]) -> AnnouncedFile:
    """A file Meta lost before we heard of it; mostly without an id. It is announced all the same: people must see
    that something was sent."""
    return announced(media, kind, refusal=Outcome.LOST_AT_PROVIDER) or AnnouncedFile(
        provider_id="",
        kind=kind,
        mime=mime_type(media.get("mime_type")),
        file_name=as_text(media.get("filename")),
        refusal=Outcome.LOST_AT_PROVIDER,
    )


def placeholder() -> AnnouncedFile:
    """A file of the history whose id comes later, if at all. Which kind of file it was is not told either."""
    return AnnouncedFile(provider_id="", kind=Kind.DOCUMENT, is_placeholder=True)


def resolved(answer: Reply, *, vendor: str = "Meta") -> Resolved:
    """What the look-up of a media id tells. Raises ProviderBusy for an answer without a link."""
    try:
        told = parse_object(answer.body)
    except AcervoError:
        told = {}
    url = as_text(told.get("url"))
    if url is None:
        raise ProviderBusy(f"{vendor} answered without a link.", code=Outcome.UNKNOWN)
    return Resolved(
        url=url,
        expires_at=url_expiry(url),
        mime=mime_type(told.get("mime_type")),
        sha256=sha256_hex(told.get("sha256")),
        size_bytes=as_count(told.get("file_size")),
        usage=errors.usage(answer.headers),
    )


def mime_type(value: object) -> str | None:
    """As declared, parameters kept, the type itself in lower case."""
    text = as_text(value)
    if text is None:
        return None
    essence, separator, parameters = text.partition(";")
    return f"{essence.strip().lower()}{separator}{parameters}" or None


def sha256_hex(value: object) -> str | None:
    """Message webhooks spell the hash in base64, `GET /{media-id}` and history webhooks in hex."""
    text = as_text(value) or ""
    if _HEX.fullmatch(text):
        return text.lower()
    if not _BASE64.fullmatch(text):
        return None
    standard = text.replace("-", "+").replace("_", "/").rstrip("=") + "="
    try:
        return base64.b64decode(standard, validate=True).hex()
    except binascii.Error:
        return None


def url_expiry(url: str) -> datetime | None:
    """Meta writes the end of a link's five minutes into it, as Unix seconds in `ext`."""
    try:
        return as_moment(yarl.URL(url).query.get("ext"))
    except ValueError:
        return None


def _audio_kind(media: Mapping[str, Any], mime: str | None) -> Kind:
    # A forwarded voice note arrives with `voice: false` and the voice recorder's own format
    # (captured by pywa's test data, seen 2026-11); a shared audio file names no Opus codec.
    is_recorder_format = mime is not None and mime.startswith("audio/ogg") and "opus" in mime.lower()
    return Kind.VOICE if media.get("voice") is True or is_recorder_format else Kind.AUDIO
