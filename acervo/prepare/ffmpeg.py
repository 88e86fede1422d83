"""How ffmpeg and ffprobe are asked about hostile files: one decoder, one local file, one thread, capped in all sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from acervo.base.filetypes import FileType
from acervo.prepare.isolation import MIB, Limits, tool

MAX_PIXELS: Final = 16_777_216
"""4096 × 4096. Also what keeps the memory of one frame below the limit."""
MAX_DURATION_S: Final = 2 * 3600
"""Longer recordings are prepared up to here."""

# Decoding is 20 to 200 times faster than playing; encoding H.264 at 720p twice as fast, on one core.
DECODING: Final = Limits(wall_s=180, cpu_s=60)
ENCODING: Final = Limits(wall_s=1800, cpu_s=1500, file_bytes=512 * MIB)


def ffprobe(path: Path, filetype: FileType) -> list[str]:
    """What the container claims, as JSON. Claims only: it says yes to truncated and to absurd files."""
    entries = (
        "stream=index,codec_type,codec_name,profile,pix_fmt,width,height,duration"
        ":stream_disposition=attached_pic:stream_side_data=rotation"
    )
    return [
        *(tool("ACERVO_FFPROBE"), "-hide_banner", "-v", "error"),
        *("-protocol_whitelist", "file", "-f", str(filetype.demuxer), "-max_pixels", str(MAX_PIXELS)),
        *("-show_entries", entries, "-of", "json", f"file:{path}"),
    ]


def ffmpeg(path: Path, filetype: FileType, *, is_strict: bool = False, seek_s: float = 0) -> list[str]:
    """The beginning of every run, up to the input; outputs follow, each after `OUTPUT`.

    The demuxer is the one of the sniffed type: left to guess, ffmpeg follows playlists and scripts in disguise.
    `is_strict` stops at the first fault, for judging a file; otherwise as much as possible is saved from it.
    """
    manner = (
        ("error", "-xerror", "-err_detect", "crccheck+bitstream+buffer+explode") if is_strict else ("quiet",)
    )
    seek = ("-ss", f"{seek_s:.3f}") if seek_s else ()
    return [
        *(tool("ACERVO_FFMPEG"), "-nostdin", "-y", "-hide_banner", "-v", *manner),
        *("-protocol_whitelist", "file", "-f", str(filetype.demuxer), "-max_pixels", str(MAX_PIXELS)),
        *("-threads", "1", "-t", str(MAX_DURATION_S), *seek, "-i", f"file:{path}"),
    ]


OUTPUT: Final = ("-threads", "1", "-sn", "-dn", "-map_metadata", "-1", "-map_chapters", "-1")
"""Before each output: nothing that a sender wrote into the file travels on."""
