"""What is behind an address of the player: bytes, words, a file that is held, or a copy that may still be made."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from acervo.base import filetypes, ids
from acervo.models import MediaFile, Member, Rendition, RenditionKind
from acervo.play import first_play

KEY: Final = "key"
"""What a short link is called in an address."""
ORIGINAL: Final = "original"
CAPTIONS: Final = "captions.vtt"
PICTURES: Final = frozenset(
    {
        RenditionKind.POSTER,
        RenditionKind.THUMB_96,
        RenditionKind.THUMB_320,
        RenditionKind.THUMB_640,
        RenditionKind.ANIMATED,
    }
)
"""Of lists: a browser may keep them, and seeing one is not opening the file."""
PICTURE_MAX_AGE_S: Final = 3600
_PAGE: Final = re.compile(r"page-([1-9][0-9]{0,3})")


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
        name = filetypes.safe_file_name(self.media.file_name or self.media.slug, self.filetype)
        headers = headers_for(name, self.filetype.mime, inline=self.filetype.inline and not download)
        headers |= {"Accept-Ranges": "bytes", "ETag": self.etag}
        if self.what in PICTURES:
            headers["Cache-Control"] = f"private, max-age={PICTURE_MAX_AGE_S}"
        return headers


@dataclass(frozen=True, slots=True)
class Captions:
    """What is said in a file, in cues; made from its transcript at each asking."""

    media: MediaFile

    def headers(self, *, download: bool) -> dict[str, str]:
        filetype = filetypes.by_mime(self.media.mime or "")
        name = filetypes.safe_file_name(self.media.file_name or self.media.slug, filetype)
        return headers_for(f"{PurePosixPath(name).stem}.vtt", "text/vtt; charset=utf-8", inline=not download)


@dataclass(frozen=True, slots=True)
class Held:
    """A file that nobody may have now: the scanner has not looked at it yet, or has found something in it."""

    media: MediaFile


@dataclass(frozen=True, slots=True)
class Unmade:
    """A copy that is wanted and that nobody has asked for before."""

    media: MediaFile
    kind: str


Found = Playable | Captions | Held | Unmade


def headers_for(name: str, mime: str, *, inline: bool) -> dict[str, str]:
    return dict(filetypes.SERVING_HEADERS) | {
        "Content-Type": mime,
        "Content-Disposition": filetypes.content_disposition(name, inline),
        "Vary": "Cookie",
    }


def find(member: Member, file: str, what: str) -> Found | None:
    """None for whatever the member may not see, exactly as for what does not exist. One query for what is there,
    besides those that say what an agent's teams allow."""
    try:
        file_id = ids.parse(file)
    except ValueError:
        return None
    visible = MediaFile.objects.visible_to(member).kept().filter(pk=file_id)
    kind, page = _copy(what)
    if kind:
        made = Rendition.objects.select_related("media")
        rendition = made.filter(media__in=visible, kind=kind, page=page).first()
        if rendition:
            return _unless_held(rendition.media, Playable(rendition.media, rendition, what))
    media = visible.first()
    if media is None:
        return None
    if what == ORIGINAL:
        return _unless_held(media, Playable(media, media, what))
    if what == CAPTIONS:
        return _unless_held(media, Captions(media))
    may_come = kind and first_play.may_come(media, kind, page)
    return _unless_held(media, Unmade(media, kind) if may_come else None)


def _unless_held(media: MediaFile, found: Found | None) -> Found | None:
    return found if media.is_openable else Held(media)


def _copy(what: str) -> tuple[str, int]:
    """The kind and the page of a rendition; an empty kind for everything else."""
    if page := _PAGE.fullmatch(what):
        return RenditionKind.PAGE, int(page.group(1))
    return (what, 0) if what in RenditionKind.values and what != RenditionKind.PAGE else ("", 0)
