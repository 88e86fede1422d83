"""What a player may try for a file, and in which order for which browser."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from acervo.base import filetypes
from acervo.models import MediaFile, MediaPolicy, Rendition, RenditionKind
from acervo.prepare.to_come import to_come

MOST_PAGES: Final = 20
"""Of a document whose pictures are still to be made; as many as are made."""
QUIET_SHARE: Final = 0.08
"""Of the loudest point: what is below is a pause, whatever hums in it."""
LEAST_QUIET_POINTS: Final = 2
LEAST_QUIET_S: Final = 0.3
"""Shorter pauses are breath; without them speech sounds chopped."""
MARGIN_S: Final = 0.06
"""Of a pause that is left at each side of it."""

SOUNDS_AND_FILMS: Final = (RenditionKind.MP3, RenditionKind.MP4)
WITH_CODEC: Final = {
    ("audio/ogg", ""): "audio/ogg; codecs=opus",
    ("audio/ogg", "opus"): "audio/ogg; codecs=opus",
    ("audio/ogg", "vorbis"): "audio/ogg; codecs=vorbis",
    ("video/mp4", "hevc"): 'video/mp4; codecs="hvc1.1.6.L93.B0"',
    ("video/mp4", "mpeg4"): 'video/mp4; codecs="mp4v.20.8"',
    ("video/mp4", "h263"): 'video/mp4; codecs="s263"',
}
"""Where a browser that plays the container may not play what is in it: asked by the bare type, it would say yes and
then show a black picture."""

_APPLE_DEVICE: Final = re.compile(r"\b(iPhone|iPad|iPod)\b")
_NOT_SAFARI: Final = re.compile(r"\b(Chrome|Chromium|CriOS|Edg|Firefox|OPR)/")


@dataclass(frozen=True, slots=True)
class Source:
    """One address a player may try."""

    address: str
    mime: str
    """As `canPlayType` is asked, with the codec where that matters."""
    is_for_all: bool = False
    """A copy made for every browser."""


def sources(media: MediaFile) -> tuple[Source, ...]:
    """The original where browsers may be able to, then what was made for all, then what is made once it is asked for."""
    if not media.is_openable or media.mime is None:
        return ()
    made = {rendition.kind: rendition for rendition in media.renditions.all()}
    found = []
    filetype = filetypes.by_mime(media.mime)
    if filetype.inline:
        found.append(Source(_address(media, "original"), _mime(media)))
    elif filetype.kind == "image" and RenditionKind.ANIMATED in made:
        moving = made[RenditionKind.ANIMATED]
        found.append(Source(_address(media, moving.kind), moving.mime, is_for_all=True))
    coming = to_come(media, policy_of(media))
    for kind, mime in zip(SOUNDS_AND_FILMS, ("audio/mpeg", "video/mp4"), strict=True):
        if kind in made:
            found.append(Source(_address(media, kind), made[kind].mime, is_for_all=True))
        elif kind in coming:
            # Whether a film needs its copy is known once it is made; sound is known to.
            found.append(Source(_address(media, kind), mime, is_for_all=kind == RenditionKind.MP3))
    return tuple(found)


def for_browser(found: Iterable[Source], *, is_apple: bool) -> list[Source]:
    """Apple's browsers say they play Ogg, and some of them then do not: they get what was made for all first."""
    return sorted(found, key=lambda source: is_apple and not source.is_for_all)


def is_apple(user_agent: str) -> bool:
    """Safari, and everything on an iPhone or iPad, where every browser and every app's window is WebKit."""
    if _APPLE_DEVICE.search(user_agent):
        return True
    is_webkit_on_mac = "Macintosh" in user_agent and "AppleWebKit/" in user_agent
    return is_webkit_on_mac and not _NOT_SAFARI.search(user_agent)


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a document as a picture."""

    number: int
    address: str
    width: int | None = None
    height: int | None = None


def pages(media: MediaFile) -> list[Page]:
    """Those that were made, or those that are made once the first is looked at. One query."""
    if not media.is_openable or filetypes.by_mime(media.mime or "").kind != "document":
        return []
    made = Rendition.objects.filter(media=media, kind=RenditionKind.PAGE).order_by("page")
    if found := [Page(row.page, _address(media, row.what), row.width, row.height) for row in made]:
        return found
    if RenditionKind.PAGE not in to_come(media, policy_of(media)):
        return []
    count = min(media.page_count or 0, MOST_PAGES)
    return [Page(number, _address(media, f"page-{number}")) for number in range(1, count + 1)]


def silences(media: MediaFile) -> list[tuple[float, float]]:
    """Seconds from and to which nobody speaks, by the waveform, with a breath left at both ends."""
    loud, length_s = bytes(media.waveform or b""), media.duration_s or 0
    if not loud or not max(loud):
        return []
    point_s, ceiling = length_s / len(loud), QUIET_SHARE * max(loud)
    found, began = [], None
    for at, point in enumerate([*loud, 255]):
        if point < ceiling:
            began = at if began is None else began
        elif began is not None:
            if at - began >= LEAST_QUIET_POINTS and (at - began) * point_s >= LEAST_QUIET_S:
                found.append((round(began * point_s + MARGIN_S, 2), round(at * point_s - MARGIN_S, 2)))
            began = None
    return found


def policy_of(media: MediaFile) -> MediaPolicy:
    """Fetched with the file; without a row of its own the workspace has the defaults."""
    return getattr(media.workspace, "media_policy", None) or MediaPolicy(workspace_id=media.workspace_id)


def _address(media: MediaFile, what: str) -> str:
    return f"/play/{media.slug}/{what}"


def _mime(media: MediaFile) -> str:
    mime = media.mime or ""
    codec = media.video_codec if mime.startswith("video/") else media.audio_codec
    return WITH_CODEC.get((mime, codec or ""), mime)
