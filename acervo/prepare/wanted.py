"""Which copies a file should have, by what it is and what its workspace wants: decisions only, nothing is made here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from acervo.base.filetypes import Painter
from acervo.models import MadeAt, MediaPolicy, RenditionKind, When
from acervo.prepare.facts import Facts

WORTH_IT: Final = 0.8
"""A copy that only saves is kept below this share of the original."""

THUMBNAILS: Final = {RenditionKind.THUMB_640: 640, RenditionKind.THUMB_320: 320, RenditionKind.THUMB_96: 96}
"""Longest sides in pixels, the largest first."""
POSTERS: Final = {RenditionKind.POSTER: 640, RenditionKind.THUMB_320: 320, RenditionKind.THUMB_96: 96}

PLAYS_EVERYWHERE: Final = {
    "audio/mpeg": {"mp3"},
    "audio/mp4": {"aac", "mp3"},
    "audio/aac": {"aac"},
    "audio/flac": {"flac"},
    "audio/wav": {"pcm_s16le", "pcm_u8"},
}
"""Sound that needs no copy. Ogg Opus plays on Apple devices only since 18.4, and not reliably; AMR nowhere."""

MOVING: Final = {"GIF", "PNG", "WEBP"}

PLAYABLE_PROFILES: Final = {"Constrained Baseline", "Baseline", "Main", "High"}
PLAYABLE_PIXELS: Final = {"yuv420p", "yuvj420p"}
PLAYABLE_SOUND: Final = {None, "aac", "mp3"}


@dataclass(frozen=True, slots=True)
class Wish:
    """A copy that should be there."""

    kind: str
    serves: bool = True
    """The original cannot be shown everywhere; otherwise the copy must earn its place by being small."""
    at: str = MadeAt.ARRIVAL
    keeps_picture: bool = False
    """Of an MP4: the track is copied as it is, into another container."""
    keeps_sound: bool = False

    def is_worth_keeping(self, size_bytes: int, original_bytes: int) -> bool:
        return self.serves or size_bytes < WORTH_IT * original_bytes


def wanted(facts: Facts, policy: MediaPolicy) -> list[Wish]:
    """Every copy the workspace wants of such a file, at whatever time."""
    if not facts.is_readable:
        return []
    decide = {"audio": _of_audio, "video": _of_video, "image": _of_image, "document": _of_document}
    return decide[facts.kind](facts, policy)


def _of_audio(facts: Facts, policy: MediaPolicy) -> list[Wish]:
    is_needed = facts.audio_codec not in PLAYS_EVERYWHERE.get(facts.mime, ())
    if not _is_wanted(policy.mp3, is_needed=is_needed):
        return []
    return [Wish(RenditionKind.MP3, serves=is_needed, at=policy.mp3_at)]


def _of_video(facts: Facts, policy: MediaPolicy) -> list[Wish]:
    pictures = [Wish(kind) for kind in POSTERS]
    does_play = _plays_picture(facts) and facts.audio_codec in PLAYABLE_SOUND
    is_packed_well = facts.mime == "video/mp4" and facts.is_faststart
    serves = not (does_play and is_packed_well)
    is_too_large = _is_above_cap(facts, policy)
    if not _is_wanted(policy.mp4, is_needed=serves or is_too_large):
        return pictures
    # Another container is enough, unless the picture has to become smaller anyway.
    keeps_picture = serves and _plays_picture(facts) and not is_too_large
    keeps_sound = keeps_picture and facts.audio_codec in PLAYABLE_SOUND
    film = Wish(
        RenditionKind.MP4, serves, policy.mp4_at, keeps_picture=keeps_picture, keeps_sound=keeps_sound
    )
    return [*pictures, film]


def _of_image(facts: Facts, policy: MediaPolicy) -> list[Wish]:
    if not facts.filetype.still:
        return []
    # Whether it moves shows when it is opened: of one that stands still nothing comes of this wish.
    moving = [Wish(RenditionKind.ANIMATED)] if facts.filetype.still in MOVING else []
    return [*(Wish(kind) for kind in THUMBNAILS), *moving]


def _of_document(facts: Facts, policy: MediaPolicy) -> list[Wish]:
    """No page of ours ever opens a document itself, so its pictures are always needed."""
    if policy.pages == When.NEVER or facts.filetype.drawn_by is None:
        return []
    pages = [Wish(RenditionKind.PAGE, at=policy.pages_at)] if facts.filetype.drawn_by == Painter.PDF else []
    return [*(Wish(kind) for kind in THUMBNAILS), *pages]


def _is_wanted(when: str, *, is_needed: bool) -> bool:
    return when == When.ALWAYS or (when == When.NEEDED and is_needed)


def _plays_picture(facts: Facts) -> bool:
    return (
        facts.video_codec == "h264"
        and facts.video_profile in PLAYABLE_PROFILES
        and facts.pixel_format in PLAYABLE_PIXELS
    )


def _is_above_cap(facts: Facts, policy: MediaPolicy) -> bool:
    longest = max(facts.width or 0, facts.height or 0)
    return facts.claimed_bit_rate > 1000 * policy.video_cap_kbps or longest > policy.video_cap_side
