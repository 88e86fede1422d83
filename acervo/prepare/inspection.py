"""What the bytes really are: type, size, length and health, found by decoding, never by believing the container."""

from __future__ import annotations

import json
import re
import struct
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from acervo.base.filetypes import SNIFFED_BYTES, FileType, by_mime, sniff
from acervo.prepare import ffmpeg, isolation, pictures
from acervo.prepare.isolation import MIB, ToolFailed
from acervo.prepare.waveform import SAMPLE_RATE, Meter

FAMILY_OF_DECLARED: Final = {
    "voice": "audio",
    "audio": "audio",
    "video": "video",
    "image": "image",
    "sticker": "image",
}
"""A document may be anything."""

FULLY_DECODED_BYTES: Final = 16 * MIB
"""WhatsApp's ceiling for a video. Larger ones come as documents, and decoding every frame of those would cost minutes:
there the packets are read and the sound is decoded."""

WITHOUT_PICTURE: Final = {
    "video/mp4": "audio/mp4",
    "video/quicktime": "audio/mp4",
    "video/3gpp": "audio/3gpp",
    "video/webm": "audio/webm",
}
WITH_PICTURE: Final = {"audio/mp4": "video/mp4", "audio/3gpp": "video/3gpp", "audio/webm": "video/webm"}


@dataclass(frozen=True, slots=True)
class Facts:
    """What is true of a file, whatever was announced."""

    mime: str
    kind: str
    """`audio`, `video`, `image` or `document`."""
    width: int | None = None
    """Pixels as seen: turned upright."""
    height: int | None = None
    duration_s: float | None = None
    """Counted while decoding; at most `ffmpeg.MAX_DURATION_S`."""
    video_codec: str | None = None
    video_profile: str | None = None
    pixel_format: str | None = None
    audio_codec: str | None = None
    waveform: bytes | None = field(default=None, repr=False)
    """Of audio: 160 peaks, one byte each."""
    page_count: int | None = None
    is_animated: bool = False
    is_faststart: bool = True
    """A player can begin before it has the whole file."""
    is_readable: bool = True
    """False: not one frame or sample could be decoded, so nothing can be derived from it."""
    is_damaged: bool = False
    """Something is missing or broken, perhaps since its making: the stored bytes are those the provider promised."""
    is_mismatch: bool = False
    """Not of the family that was declared."""

    @property
    def filetype(self) -> FileType:
        return by_mime(self.mime)


async def inspect(path: Path, declared_kind: str | None) -> Facts:
    """Looks at a local file. A damaged or hostile one gives facts that say so. Raises ToolTimedOut, ToolMissing and
    NotIsolated."""
    with path.open("rb") as file:
        head = file.read(SNIFFED_BYTES)
    filetype = sniff(head)
    facts = Facts(filetype.mime, filetype.kind)
    try:
        if filetype.still:
            facts = replace(facts, **await pictures.look(path, filetype))
        elif filetype.demuxer:
            facts = await _play(path, filetype, head)
    except ToolFailed:
        facts = replace(facts, is_readable=False, is_damaged=True)
    family = FAMILY_OF_DECLARED.get(declared_kind or "")
    return replace(facts, is_mismatch=family is not None and family != facts.kind)


async def _play(path: Path, filetype: FileType, head: bytes) -> Facts:
    facts = _opus_note(head) or await claimed(path, filetype)
    if not facts.video_codec and not facts.audio_codec:
        return replace(facts, is_readable=False, is_damaged=True)
    decoded = await _decode(path, facts, is_strict=True)
    is_damaged = decoded.is_faulty or (filetype.demuxer == "ogg" and not _ends_like_ogg(path))
    if decoded.is_faulty:
        decoded = await _decode(path, facts, is_strict=False)
    return replace(
        facts,
        duration_s=decoded.duration_s or None,
        waveform=decoded.meter.points() if facts.kind == "audio" and decoded.duration_s else None,
        is_faststart=filetype.demuxer != "mov" or _begins_with_index(path),
        is_readable=decoded.duration_s > 0,
        is_damaged=is_damaged,
    )


def _opus_note(head: bytes) -> Facts | None:
    """Nine of ten files are voice notes, and each says what it is in its first page: a third of their cost saved."""
    if head.startswith(b"OggS") and head[28:36] == b"OpusHead":
        return Facts("audio/ogg", "audio", audio_codec="opus")
    return None


async def claimed(path: Path, filetype: FileType) -> Facts:
    """What the container says of its first picture and first sound track, unproven. Raises ToolFailed."""
    result = await isolation.must(ffmpeg.ffprobe(path, filetype), reads=[path], limits=ffmpeg.DECODING)
    streams: dict[str, dict[str, Any]] = {}
    for stream in json.loads(result.stdout).get("streams", ()):
        if not stream.get("disposition", {}).get("attached_pic"):  # cover art is no film
            streams.setdefault(stream.get("codec_type", ""), stream)
    return _described(filetype, video=streams.get("video", {}), audio=streams.get("audio", {}))


def _described(filetype: FileType, *, video: dict[str, Any], audio: dict[str, Any]) -> Facts:
    names = WITH_PICTURE if video else WITHOUT_PICTURE
    filetype = by_mime(names.get(filetype.mime, filetype.mime))
    width, height = video.get("width") or None, video.get("height") or None
    if any(side.get("rotation", 0) % 180 == 90 for side in video.get("side_data_list", ())):
        width, height = height, width
    return Facts(
        filetype.mime,
        filetype.kind,
        width=width,
        height=height,
        video_codec=video.get("codec_name"),
        video_profile=video.get("profile"),
        pixel_format=video.get("pix_fmt"),
        audio_codec=audio.get("codec_name"),
    )


@dataclass(frozen=True, slots=True)
class _Decoded:
    meter: Meter
    duration_s: float
    is_faulty: bool


async def _decode(path: Path, facts: Facts, *, is_strict: bool) -> _Decoded:
    """One run that plays everything: sound into the meter, pictures into the void."""
    command = ffmpeg.ffmpeg(path, facts.filetype, is_strict=is_strict)
    if facts.video_codec:
        whole = ("-c", "wrapped_avframe") if path.stat().st_size <= FULLY_DECODED_BYTES else ("-c", "copy")
        command += ["-stats_period", "60", "-progress", "pipe:2", "-map", "0:v:0", *whole, "-f", "null", "-"]
    if facts.audio_codec:
        command += ["-map", "0:a:0", "-ac", "1", "-ar", str(SAMPLE_RATE), "-f", "s16le", "pipe:1"]
    meter = Meter()
    result = await isolation.run(command, reads=[path], limits=ffmpeg.DECODING, on_stdout=meter.feed)
    played_s, complaints = _progress(result.stderr.decode(errors="replace"))
    duration_s = min(played_s, ffmpeg.MAX_DURATION_S) if facts.video_codec else meter.duration_s
    return _Decoded(meter, round(duration_s, 3), is_faulty=bool(result.returncode or complaints))


def _progress(stderr: str) -> tuple[float, list[str]]:
    """Seconds played, and what else was said: with `-v error` any word is a fault, even when the return code is 0."""
    lines = [line for line in stderr.splitlines() if line.strip()]
    complaints = [line for line in lines if not re.fullmatch(r"[a-z_0-9]+= *\S*", line)]
    played = re.findall(r"^out_time_us=(\d+)$", stderr, re.MULTILINE)
    return (int(played[-1]) / 1_000_000 if played else 0.0), complaints


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
