"""How ffmpeg and ffprobe are asked about hostile files: one decoder, one local file, one thread, capped in all sizes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from acervo.base.filetypes import FileType
from acervo.prepare import limits, waveform
from acervo.prepare.facts import Facts
from acervo.prepare.isolation import tool
from acervo.prepare.wanted import Wish

OUTPUT: Final = ("-threads", "1", "-sn", "-dn", "-map_metadata", "-1", "-map_chapters", "-1")
"""Before each output: nothing that a sender wrote into the file travels on."""
PICTURE: Final = "0:V:0"
"""The first one that is no cover art."""
SOUND: Final = "0:a:0"
LOUDNESS_FILE: Final = "loudness.txt"
SOUND_FILE: Final = "sound.raw"

MEASURED: Final = f"ebur128=metadata=1,ametadata=mode=print:key=lavfi.r128.I:file={LOUDNESS_FILE}"
"""Says the loudness so far ten times a second, into the folder the tool works in: on stderr any word is a fault."""
VOICE_CODECS: Final = {"opus", "amr_nb", "amr_wb", "speex"}
VOICE_RATE: Final = 16_000
"""Measured at 16 kHz, where all of a voice is, instead of Opus's 48: 11 % of a note's run instead of 17."""
METERED: Final = ("-ac", "1", "-ar", str(waveform.SAMPLE_RATE), "-f", waveform.ENCODING, f"file:{SOUND_FILE}")
"""Into a file, read at the end: from a pipe our event loop would be woken by every 20 ms of sound, which cost more than
the measuring."""

# Without -ar the 48 kHz of Opus would be kept, and the MP3 grow to 3.3 times the note instead of twice.
TO_MP3: Final = (
    *("-ac", "1", "-ar", "16000", "-c:a", "libmp3lame", "-q:a", "7"),
    *("-write_xing", "1", "-id3v2_version", "0", "-f", "mp3"),
)
TO_H264: Final = (
    *("-fpsmax", "30", "-c:v", "libx264", "-preset", "veryfast", "-crf", "26"),
    *("-profile:v", "main", "-level", "4.0", "-pix_fmt", "yuv420p"),
)
TO_AAC: Final = ("-c:a", "aac", "-b:a", "64k", "-ac", "1", "-ar", "44100")
TO_WEBP: Final = (
    "-fps_mode",
    "passthrough",
    "-c:v",
    "libwebp",
    "-quality",
    "70",
    "-f",
    "image2",
    "-update",
    "1",
)
SHARE_OF_CAP: Final = 0.72
"""An encoded picture may have so much of the cap, in its densest seconds."""


def ffprobe(path: Path, filetype: FileType) -> list[str]:
    """What the container claims, as JSON. Claims only: it says yes to truncated and to absurd files."""
    entries = (
        "stream=index,codec_type,codec_name,profile,pix_fmt,width,height,duration,bit_rate"
        ":stream_disposition=attached_pic:stream_side_data=rotation:format=duration,bit_rate"
    )
    return [
        *(tool("ACERVO_FFPROBE"), "-hide_banner", "-v", "error"),
        *("-protocol_whitelist", "file", "-f", str(filetype.demuxer)),
        *("-max_pixels", str(limits.MAX_FRAME_PIXELS)),
        *("-show_entries", entries, "-of", "json", f"file:{path}"),
    ]


def ffmpeg(path: Path, filetype: FileType, *, is_strict: bool = False, seek_s: float = 0) -> list[str]:
    """The beginning of every run, up to the input; outputs follow.

    The demuxer is the one of the sniffed type: left to guess, ffmpeg follows playlists and scripts in disguise.
    `is_strict` stops at the first fault, for judging a file; otherwise as much as possible is saved from it.
    """
    manner = (
        ("error", "-xerror", "-err_detect", "crccheck+bitstream+buffer+explode") if is_strict else ("quiet",)
    )
    seek = ("-ss", f"{seek_s:.3f}") if seek_s else ()
    return [
        *(tool("ACERVO_FFMPEG"), "-nostdin", "-y", "-hide_banner", "-v", *manner),
        *("-protocol_whitelist", "file", "-f", str(filetype.demuxer)),
        *("-max_pixels", str(limits.MAX_FRAME_PIXELS)),
        *("-threads", "1", "-t", str(limits.MAX_DURATION_S), *seek, "-i", f"file:{path}"),
    ]


def progress() -> list[str]:
    """How far the longest output came, once, at the end."""
    return ["-stats_period", "60", "-progress", "pipe:2"]


def watched(*, is_decoded: bool) -> list[str]:
    """The picture into the void; or only its packets."""
    return ["-map", PICTURE, "-c", "wrapped_avframe" if is_decoded else "copy", "-f", "null", "-"]


def heard(facts: Facts) -> list[str]:
    """The sound into our meter, that of a film into the void; its loudness is measured on the way."""
    is_voice = facts.audio_codec in VOICE_CODECS and not facts.video_codec
    measured = f"aresample={VOICE_RATE},{MEASURED}" if is_voice else MEASURED
    return ["-map", SOUND, "-af", measured, *(("-f", "null", "-") if facts.video_codec else METERED)]


def mp3(output: Path) -> list[str]:
    return ["-map", SOUND, *OUTPUT, *TO_MP3, f"file:{output}"]


def mp4(output: Path, facts: Facts, wish: Wish, *, cap_kbps: int, longest_side: int) -> list[str]:
    """Tracks that a browser could play in another container are copied, the others encoded."""
    picture: Sequence[str] = ("-c:v", "copy")
    if not wish.keeps_picture:
        width, height = fitted(facts, longest_side, is_even=True)
        kbps = round(SHARE_OF_CAP * cap_kbps)
        caps = ("-maxrate", f"{kbps}k", "-bufsize", f"{2 * kbps}k")
        picture = ("-vf", f"scale={width}:{height}:flags=bilinear", *TO_H264, *caps)
    sound = ("-c:a", "copy") if wish.keeps_sound else TO_AAC
    tracks = ["-map", PICTURE, "-map", f"{SOUND}?", *OUTPUT]
    return [*tracks, *picture, *sound, "-movflags", "+faststart", "-f", "mp4", f"file:{output}"]


def still(output: Path, facts: Facts, longest_side: int, *, at_s: float | None) -> list[str]:
    """The first frame, overwritten by the one at `at_s` if there is one: the very first is often black. With None the
    first one is all, and the run can end."""
    width, height = fitted(facts, longest_side)
    size = f"scale={width}:{height}"
    if at_s is None:
        return ["-map", PICTURE, *OUTPUT, "-frames:v", "1", "-vf", size, *TO_WEBP, f"file:{output}"]
    chosen = f"select='eq(n,0)+gte(t,{at_s:.3f})*lt(prev_selected_t,{at_s:.3f})'"
    return ["-map", PICTURE, *OUTPUT, "-vf", f"{chosen},{size}", *TO_WEBP, f"file:{output}"]


def fitted(facts: Facts, longest_side: int, *, is_even: bool = False) -> tuple[int, int]:
    """Width and height of a copy no larger than that, and never enlarged."""
    width, height = facts.width or 1, facts.height or 1
    share = min(1.0, longest_side / max(width, height))
    step = 2 if is_even else 1
    return tuple(max(step, round(side * share / step) * step) for side in (width, height))  # type: ignore[return-value]
