"""The allow-list: what bytes may be called, which decoder may read them, and how they may be served."""

from __future__ import annotations

import enum
import functools
import re
import unicodedata
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

import magic
from django.utils.http import content_disposition_header

SNIFFED_BYTES: Final = 4096
"""Enough for libmagic: on 77 good and hostile samples the answer equals that for the whole file."""

SERVING_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-store",
    "Referrer-Policy": "no-referrer",
}
"""Sent with every file, besides its type and disposition: a polyglot stays what we say it is."""

MAX_NAME_BYTES: Final = 200


class Painter(enum.Enum):
    """How a document becomes pictures."""

    PDF = "pdf"
    """Its pages are drawn."""
    PREVIEW = "preview"
    """The small picture that its program put into it is taken out."""


@dataclass(frozen=True, slots=True)
class FileType:
    """One line of the allow-list."""

    mime: str
    kind: str
    """`audio`, `video`, `image` or `document`: the family, not what the sender's app called it."""
    extension: str
    """With its dot."""
    demuxer: str | None = None
    """The only ffmpeg demuxer that may open it; None: ffmpeg never sees it."""
    still: str | None = None
    """The only Pillow decoder that may open it; None: Pillow never sees it."""
    drawn_by: Painter | None = None
    inline: bool = False
    """A browser may show it in place. Nothing that can carry script ever may."""
    sniffed: tuple[str, ...] = ()
    """Other names libmagic gives to the same thing."""
    extensions: tuple[str, ...] = ()
    """Other extensions that tell the truth about it."""


def _document(
    mime: str,
    extension: str,
    drawn_by: Painter | None = None,
    *,
    extensions: tuple[str, ...] = (),
    sniffed: tuple[str, ...] = (),
) -> FileType:
    return FileType(mime, "document", extension, drawn_by=drawn_by, extensions=extensions, sniffed=sniffed)


UNKNOWN: Final = FileType("application/octet-stream", "document", ".bin")

_OOXML: Final = "application/vnd.openxmlformats-officedocument"
_ODF: Final = "application/vnd.oasis.opendocument"
_OFFICE_IN_ZIP: Final = (".docx", ".xlsx", ".pptx", ".odt", ".ods", ".odp", ".epub", ".kmz")
_OFFICE_IN_CDF: Final = (".doc", ".xls", ".ppt", ".msg")

FILE_TYPES: Final = (
    FileType("image/jpeg", "image", ".jpg", still="JPEG", inline=True, extensions=(".jpeg", ".jfif")),
    FileType("image/png", "image", ".png", still="PNG", inline=True),
    FileType("image/webp", "image", ".webp", still="WEBP", inline=True),
    FileType("image/gif", "image", ".gif", still="GIF"),
    FileType("image/heic", "image", ".heic", extensions=(".heif",), sniffed=("image/heif",)),
    FileType(
        "audio/ogg",
        "audio",
        ".ogg",
        "ogg",
        inline=True,
        extensions=(".oga", ".opus"),
        sniffed=("application/ogg",),
    ),
    FileType("audio/mpeg", "audio", ".mp3", "mp3", inline=True, extensions=(".mpga",)),
    FileType(
        "audio/mp4", "audio", ".m4a", "mov", inline=True, extensions=(".mp4",), sniffed=("audio/x-m4a",)
    ),
    FileType(
        "audio/aac", "audio", ".aac", "aac", inline=True, sniffed=("audio/x-hx-aac-adts", "audio/x-aac")
    ),
    FileType("audio/amr", "audio", ".amr", "amr", inline=True),
    FileType("audio/3gpp", "audio", ".3gp", "mov", inline=True, extensions=(".3gpp",)),
    FileType("audio/webm", "audio", ".weba", "matroska", inline=True, extensions=(".webm",)),
    FileType("audio/wav", "audio", ".wav", "wav", inline=True, sniffed=("audio/x-wav",)),
    FileType("audio/flac", "audio", ".flac", "flac", inline=True, sniffed=("audio/x-flac",)),
    FileType(
        "video/mp4", "video", ".mp4", "mov", inline=True, extensions=(".m4v",), sniffed=("video/x-m4v",)
    ),
    FileType("video/3gpp", "video", ".3gp", "mov", extensions=(".3gpp", ".3g2"), sniffed=("video/3gpp2",)),
    FileType("video/quicktime", "video", ".mov", "mov", extensions=(".qt",)),
    FileType("video/webm", "video", ".webm", "matroska"),
    _document("application/pdf", ".pdf", Painter.PDF),
    _document(f"{_OOXML}.wordprocessingml.document", ".docx", Painter.PREVIEW),
    _document(f"{_OOXML}.spreadsheetml.sheet", ".xlsx", Painter.PREVIEW),
    _document(f"{_OOXML}.presentationml.presentation", ".pptx", Painter.PREVIEW),
    _document(f"{_ODF}.text", ".odt", Painter.PREVIEW),
    _document(f"{_ODF}.spreadsheet", ".ods", Painter.PREVIEW),
    _document(f"{_ODF}.presentation", ".odp", Painter.PREVIEW),
    _document("application/msword", ".doc", extensions=(".dot",)),
    _document("application/vnd.ms-excel", ".xls"),
    _document("application/vnd.ms-powerpoint", ".ppt"),
    # Old Office files whose inner name lies beyond the first 4 KiB are only known as their container.
    _document("application/x-ole-storage", ".doc", extensions=_OFFICE_IN_CDF, sniffed=("application/CDFV2",)),
    _document("text/rtf", ".rtf", sniffed=("application/rtf",)),
    _document("text/plain", ".txt", extensions=(".csv", ".log", ".md", ".vcf", ".ics", ".tsv")),
    _document("text/csv", ".csv"),
    _document("text/vcard", ".vcf"),
    _document("application/xml", ".xml", sniffed=("text/xml",)),  # every Brazilian invoice (NF-e) is one
    _document("application/json", ".json"),
    _document("application/epub+zip", ".epub"),
    _document("application/vnd.google-earth.kmz", ".kmz"),
    # Office files that do not begin with their usual entries look like any zip; their name may keep saying more.
    _document("application/zip", ".zip", extensions=_OFFICE_IN_ZIP),
)

# fmt: off
RUNS_WHEN_OPENED: Final = frozenset({
    ".app", ".apk", ".bat", ".chm", ".cmd", ".com", ".cpl", ".desktop", ".dll", ".dmg", ".exe", ".hta", ".htm",
    ".html", ".inf", ".iso", ".jar", ".js", ".jse", ".lnk", ".mht", ".mhtml", ".msc", ".msi", ".msp", ".pif", ".ps1",
    ".py", ".reg", ".scf", ".scr", ".sh", ".svg", ".swf", ".url", ".vb", ".vbe", ".vbs", ".wsf", ".wsh", ".xht",
    ".xhtml", ".xsl",
})
# fmt: on
"""Extensions a desktop or a browser acts on. Never the last one of a name we give out."""

_BY_MIME: Final = {known.mime: known for known in FILE_TYPES}
_BY_SNIFFED: Final = _BY_MIME | {alias: known for known in FILE_TYPES for alias in known.sniffed}
_CLAIMED: Final = frozenset(end for known in FILE_TYPES for end in (known.extension, *known.extensions))


def sniff(first_bytes: bytes) -> FileType:
    """What the bytes are, whatever their sender called them; UNKNOWN when they are not on the list."""
    return _BY_SNIFFED.get(_libmagic().from_buffer(first_bytes[:SNIFFED_BYTES]), UNKNOWN)


@functools.cache
def _libmagic() -> magic.Magic:
    return magic.Magic(mime=True)  # locks around each call, so one is enough for all threads


def by_mime(mime: str) -> FileType:
    """The line of a canonical type, as kept on rows; UNKNOWN for anything else."""
    return _BY_MIME.get(mime, UNKNOWN)


def safe_file_name(announced: str | None, filetype: FileType) -> str:
    """A name for saving: no folders, nothing invisible, at most 200 bytes, and an extension that tells the truth.

    >>> safe_file_name("../nota.exe", by_mime("application/pdf"))
    'nota.exe.pdf'
    """
    stem, extension = _split(_visible(announced or ""))
    if _is_truth(extension, filetype):
        ending = extension
    else:
        stem, ending = stem + extension, filetype.extension
    room = MAX_NAME_BYTES - len(ending.encode())
    stem = stem.encode()[:room].decode(errors="ignore").rstrip(" .")
    return (stem or "file") + ending


def _visible(announced: str) -> str:
    """The last part of a path, without controls, format characters (right-to-left overrides) and reserved marks."""
    text = unicodedata.normalize("NFC", announced.encode(errors="ignore").decode())
    text = "".join(letter for letter in text if unicodedata.category(letter)[0] != "C")
    last = re.split(r"[/\\]", text)[-1]
    return " ".join(re.sub(r'[<>:"|?*]', "_", last).split()).lstrip(".")


def _split(name: str) -> tuple[str, str]:
    extension = PurePosixPath(name).suffix if name else ""
    if not re.fullmatch(r"\.[A-Za-z0-9]{1,8}", extension):
        return name, ""
    return name.removesuffix(extension), extension


def _is_truth(extension: str, filetype: FileType) -> bool:
    end = extension.lower()
    if filetype is not UNKNOWN:
        return end == filetype.extension or end in filetype.extensions
    # We do not know a drawing from a database: keep what the sender says, unless it is a lie or a trap.
    return bool(end) and end not in _CLAIMED and end not in RUNS_WHEN_OPENED


def content_disposition(name: str, inline: bool) -> str:
    """The header of RFC 6266 for a name from `safe_file_name`."""
    return content_disposition_header(not inline, name) or "attachment"
