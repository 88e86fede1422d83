"""What the bytes are by their own signature, and what their container claims; nothing of it is proven yet."""

from __future__ import annotations

import json
import struct
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from acervo.base.filetypes import SNIFFED_BYTES, FileType, by_mime, sniff
from acervo.prepare import ffmpeg, isolation, limits
from acervo.prepare.facts import Facts
from acervo.prepare.isolation import ToolFailed

FAMILY_OF_DECLARED: Final = {
    "voice": "audio",
    "audio": "audio",
    "video": "video",
    "image": "image",
    "sticker": "image",
}
"""A document may be anything."""

WITHOUT_PICTURE: Final = {
    "video/mp4": "audio/mp4",
    "video/quicktime": "audio/mp4",
    "video/3gpp": "audio/3gpp",
    "video/webm": "audio/webm",
}
WITH_PICTURE: Final = {"audio/mp4": "video/mp4", "audio/3gpp": "video/3gpp", "audio/webm": "video/webm"}


async def inspect(path: Path, declared_kind: str | None) -> Facts:
    """Looks at the outside of a local file. Raises ToolTimedOut, ToolMissing and NotIsolated."""
    with path.open("rb") as file:
        head = file.read(SNIFFED_BYTES)
    filetype = sniff(head)
    facts = Facts(filetype.mime, filetype.kind)
    if filetype.demuxer:
        facts = _opus_note(path, head) or await _claimed(path, filetype)
    return replace(facts, is_mismatch=is_mismatch(declared_kind, facts.kind))


def is_mismatch(declared_kind: str | None, kind: str) -> bool:
    family = FAMILY_OF_DECLARED.get(declared_kind or "")
    return family is not None and family != kind


def _opus_note(path: Path, head: bytes) -> Facts | None:
    """Nine of ten files are voice notes, and each says what it is in its first page: a third of their cost saved."""
    if head.startswith(b"OggS") and head[28:36] == b"OpusHead":
        return Facts("audio/ogg", "audio", audio_codec="opus", is_whole=_ends_like_ogg(path))
    return None


async def _claimed(path: Path, filetype: FileType) -> Facts:
    """What the container says of its first picture and first sound track."""
    try:
        result = await isolation.must(ffmpeg.ffprobe(path, filetype), reads=[path], limits=limits.DECODING)
    except ToolFailed:
        return Facts(filetype.mime, filetype.kind, is_readable=False, is_damaged=True)
    told = json.loads(result.stdout)
    streams: dict[str, dict[str, Any]] = {}
    for stream in told.get("streams", ()):
        if not stream.get("disposition", {}).get("attached_pic"):  # cover art is no film
            streams.setdefault(stream.get("codec_type", ""), stream)
    facts = _described(filetype, streams.get("video", {}), streams.get("audio", {}), told.get("format", {}))
    return replace(
        facts,
        is_faststart=filetype.demuxer != "mov" or _begins_with_index(path),
        is_whole=filetype.demuxer != "ogg" or _ends_like_ogg(path),
    )


def _described(
    filetype: FileType, video: dict[str, Any], audio: dict[str, Any], container: dict[str, Any]
) -> Facts:
    names = WITH_PICTURE if video else WITHOUT_PICTURE
    filetype = by_mime(names.get(filetype.mime, filetype.mime))
    if not (video.get("codec_name") or audio.get("codec_name")):
        return Facts(filetype.mime, filetype.kind, is_readable=False, is_damaged=True)
    width, height = video.get("width") or None, video.get("height") or None
    rotation = _rotation(video)
    if rotation in (90, 270):
        width, height = height, width
    return Facts(
        filetype.mime,
        filetype.kind,
        width=width,
        height=height,
        rotation=rotation if video else None,
        claimed_s=_number(container.get("duration")),
        video_codec=_name(video),
        video_profile=video.get("profile"),
        pixel_format=video.get("pix_fmt"),
        audio_codec=_name(audio),
        claimed_bit_rate=int(_number(video.get("bit_rate")) or _number(container.get("bit_rate"))),
    )


def _name(stream: dict[str, Any]) -> str | None:
    return str(stream["codec_name"])[:32] if stream.get("codec_name") else None


def _rotation(video: dict[str, Any]) -> int:
    """Clockwise; a display matrix counts the other way. What is no quarter turn turns nothing."""
    turns = [_number(side.get("rotation")) for side in video.get("side_data_list", ())]
    clockwise = -round(next((turn for turn in turns if turn), 0)) % 360
    return clockwise if clockwise % 90 == 0 else 0


def _number(told: object) -> float:
    with suppress(ValueError):
        number = float(str(told or 0))
        if 0 <= abs(number) < 1e12:
            return number
    return 0.0


def _ends_like_ogg(path: Path) -> bool:
    """The last page of a whole Ogg stream says that it is the last. A cut one decodes without complaint."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 65_536))  # a page is at most 65,307 bytes
        tail = file.read()
    page = tail.rfind(b"OggS")
    return page >= 0 and len(tail) > page + 5 and bool(tail[page + 5] & 0x04)


def _begins_with_index(path: Path) -> bool:
    """Whether `moov` stands before `mdat`. Walks at most 64 boxes, reading only their headers."""
    with path.open("rb") as file:
        for _ in range(64):
            header = file.read(16)
            if len(header) < 8:
                break
            size, name = struct.unpack(">I4s", header[:8])
            if name in (b"moov", b"mdat"):
                return bool(name == b"moov")
            if size == 1 and len(header) == 16:
                (size,) = struct.unpack(">Q", header[8:])
            if size < 8 or size > 1 << 62:
                break
            file.seek(size - len(header), 1)
    return False
