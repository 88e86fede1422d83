"""Copies made for the eye, the ear and the browser: thumbnails, poster, MP3, MP4. The original is never replaced."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from acervo.base.filetypes import by_mime
from acervo.prepare import ffmpeg, isolation, pictures
from acervo.prepare.inspection import Facts, claimed
from acervo.prepare.isolation import ToolFailed

log = logging.getLogger(__name__)

PLAYS_EVERYWHERE: Final = {
    "audio/mpeg": {"mp3"},
    "audio/mp4": {"aac", "mp3"},
    "audio/aac": {"aac"},
    "audio/flac": {"flac"},
    "audio/wav": {"pcm_s16le", "pcm_u8"},
}
"""Sound that needs no copy. Ogg Opus plays on Apple devices only since 18.4, and not reliably; AMR nowhere."""

PLAYABLE_PROFILES: Final = {"Constrained Baseline", "Baseline", "Main", "High"}
PLAYABLE_PIXELS: Final = {"yuv420p", "yuvj420p"}
PLAYABLE_SOUND: Final = {None, "aac", "mp3"}

# Without -ar the 48 kHz of Opus would be kept, and the MP3 grow to 3.3 times the note instead of twice.
TO_MP3: Final = (
    *("-ac", "1", "-ar", "16000", "-c:a", "libmp3lame", "-q:a", "7"),
    *("-write_xing", "1", "-id3v2_version", "0", "-f", "mp3"),
)
SHRUNK: Final = "scale='min(1280,iw)':'min(1280,ih)':force_original_aspect_ratio=decrease:force_divisible_by=2:flags=bilinear"
TO_H264: Final = (
    *("-vf", SHRUNK, "-fpsmax", "30", "-c:v", "libx264", "-preset", "veryfast", "-crf", "26"),
    *("-maxrate", "1800k", "-bufsize", "3600k", "-profile:v", "main", "-level", "4.0", "-pix_fmt", "yuv420p"),
)
TO_AAC: Final = ("-c:a", "aac", "-b:a", "64k", "-ac", "1", "-ar", "44100")
ONE_FRAME: Final = ("-frames:v", "1", "-q:v", "2", "-f", "image2", "-update", "1")


@dataclass(frozen=True, slots=True)
class Made:
    """A finished copy in the working folder."""

    kind: str
    """`thumb_320`, `thumb_640`, `poster`, `mp3` or `mp4`."""
    path: Path
    mime: str
    width: int | None = None
    height: int | None = None
    duration_s: float | None = None

    @property
    def size_bytes(self) -> int:
        return self.path.stat().st_size


async def make(path: Path, facts: Facts, out_dir: Path) -> list[Made]:
    """Every copy this file needs, in `out_dir`. What cannot be made of it is left out, so the list may be empty.
    Carries neither EXIF nor place nor any other tag. Raises ToolTimedOut, ToolMissing and NotIsolated."""
    if not facts.is_readable:
        return []
    makers = {"image": (_thumbnails,), "video": (_poster, _mp4), "audio": (_mp3,)}.get(facts.kind, ())
    made: list[Made] = []
    for maker in makers:
        try:
            made += await maker(path, facts, out_dir)
        except ToolFailed as error:
            log.warning("prepare.copy_failed", extra={"copy": maker.__name__, "returncode": error.returncode})
    return made


async def _thumbnails(path: Path, facts: Facts, out_dir: Path) -> list[Made]:
    if not facts.filetype.still:
        return []
    return await _shrunk(path, facts.mime, out_dir, {"thumb_640": 640, "thumb_320": 320})


async def _poster(path: Path, facts: Facts, out_dir: Path) -> list[Made]:
    """From the first second on: the very first frame is often black."""
    frame = out_dir / "frame.jpg"
    for seek_s in (min(1.0, (facts.duration_s or 0) / 3), 0):
        command = ffmpeg.ffmpeg(path, facts.filetype, seek_s=seek_s)
        command += ["-map", "0:v:0", *ffmpeg.OUTPUT, *ONE_FRAME, f"file:{frame}"]
        await isolation.must(command, reads=[path], writes=out_dir, limits=ffmpeg.DECODING)
        if frame.exists():
            break
    try:
        return await _shrunk(frame, "image/jpeg", out_dir, {"poster": 640, "thumb_320": 320})
    finally:
        frame.unlink(missing_ok=True)


async def _shrunk(path: Path, mime: str, out_dir: Path, sides: dict[str, int]) -> list[Made]:
    outputs = {out_dir / f"{kind}.webp": side for kind, side in sides.items()}
    sizes = await pictures.shrink(path, by_mime(mime), outputs)
    return [
        Made(kind, output, "image/webp", width, height)
        for kind, output, (width, height) in zip(sides, outputs, sizes, strict=True)
    ]


async def _mp3(path: Path, facts: Facts, out_dir: Path) -> list[Made]:
    if facts.audio_codec in PLAYS_EVERYWHERE.get(facts.mime, ()):
        return []
    output = out_dir / "sound.mp3"
    command = ffmpeg.ffmpeg(path, facts.filetype)
    command += ["-map", "0:a:0", *ffmpeg.OUTPUT, *TO_MP3, f"file:{output}"]
    await isolation.must(command, reads=[path], writes=out_dir, limits=ffmpeg.ENCODING)
    return [Made("mp3", output, "audio/mpeg", duration_s=facts.duration_s)]


async def _mp4(path: Path, facts: Facts, out_dir: Path) -> list[Made]:
    """Only what a browser cannot play as it is. Copies the tracks that it could play in another container."""
    plays_picture, plays_sound = _plays_picture(facts), facts.audio_codec in PLAYABLE_SOUND
    if plays_picture and plays_sound and facts.mime == "video/mp4" and facts.is_faststart:
        return []
    picture = ("-c:v", "copy") if plays_picture else TO_H264
    sound = ("-c:a", "copy") if plays_sound else TO_AAC
    output = out_dir / "film.mp4"
    command = ffmpeg.ffmpeg(path, facts.filetype)
    command += ["-map", "0:v:0", "-map", "0:a:0?", *ffmpeg.OUTPUT, *picture, *sound]
    command += ["-movflags", "+faststart", "-f", "mp4", f"file:{output}"]
    await isolation.must(command, reads=[path], writes=out_dir, limits=ffmpeg.ENCODING)
    film = await claimed(output, by_mime("video/mp4"))
    return [Made("mp4", output, film.mime, film.width, film.height, facts.duration_s)]


def _plays_picture(facts: Facts) -> bool:
    return (
        facts.video_codec == "h264"
        and facts.video_profile in PLAYABLE_PROFILES
        and facts.pixel_format in PLAYABLE_PIXELS
    )
