"""Which copies of a prepared file may still be made for whoever asks, as far as its row and the policy tell."""

from __future__ import annotations

from acervo.base import filetypes
from acervo.models import MadeAt, MediaFile, MediaPolicy, RenditionKind, When
from acervo.prepare.wanted import PLAYS_EVERYWHERE

PLAYABLE_CODECS = {None, "h264"}
"""None: the row was written before codecs were."""


def to_come(media: MediaFile, policy: MediaPolicy) -> frozenset[str]:
    """Kinds worth asking for, whether or not they are there. Costs no query. The last word has who makes them: only
    the bytes tell whether a film can begin before it is there as a whole."""
    filetype = filetypes.by_mime(media.mime or "")
    if media.prepared_at is None:
        return frozenset()
    if filetype.kind == "audio":
        return _if(RenditionKind.MP3, policy.mp3, policy.mp3_at, is_needed=not _sounds_everywhere(media))
    if filetype.kind == "video":
        is_needed = not filetype.inline or media.video_codec not in PLAYABLE_CODECS
        return _if(RenditionKind.MP4, policy.mp4, policy.mp4_at, is_needed=is_needed, perhaps=True)
    if media.page_count:
        return _if(RenditionKind.PAGE, policy.pages, policy.pages_at, is_needed=True)
    return frozenset()


def _if(kind: str, when: str, at: str, *, is_needed: bool, perhaps: bool = False) -> frozenset[str]:
    """What a copy is needed for is also made of a file that came under another policy; what only saves is made of
    those that wait for their first play."""
    waits = at == MadeAt.FIRST_PLAY and (perhaps or when == When.ALWAYS)
    return frozenset({kind}) if when != When.NEVER and (is_needed or waits) else frozenset()


def _sounds_everywhere(media: MediaFile) -> bool:
    known = PLAYS_EVERYWHERE.get(media.mime or "", set())
    return media.audio_codec in known if media.audio_codec else bool(known)
