"""What is true of a file, whatever was announced."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from acervo.base.filetypes import FileType, by_mime


@dataclass(frozen=True, slots=True)
class Facts:
    """First what the container claims, then what decoding proved."""

    mime: str
    kind: str
    """`audio`, `video`, `image` or `document`."""
    width: int | None = None
    """Pixels as seen: turned upright."""
    height: int | None = None
    rotation: int | None = None
    """Degrees clockwise that the bytes ask a viewer to turn them."""
    claimed_s: float = 0
    duration_s: float | None = None
    """Counted while decoding; at most `limits.MAX_DURATION_S`."""
    video_codec: str | None = None
    video_profile: str | None = None
    pixel_format: str | None = None
    audio_codec: str | None = None
    claimed_bit_rate: int = 0
    """Of the picture, or of everything where a container does not tell them apart."""
    loudness_lufs: float | None = None
    waveform: bytes | None = field(default=None, repr=False)
    """Of audio: 160 peaks, one byte each."""
    page_count: int | None = None
    is_animated: bool = False
    is_faststart: bool = True
    """A player can begin before it has the whole file."""
    is_whole: bool = True
    """False: the container says that its end is missing, which decoding alone would not notice."""
    is_readable: bool = True
    """False: nothing could be decoded, so nothing can be derived from it."""
    is_damaged: bool = False
    """Something is missing or broken, perhaps since its making: the stored bytes are those the provider promised."""
    is_mismatch: bool = False
    """Not of the family that was declared."""

    @property
    def filetype(self) -> FileType:
        return by_mime(self.mime)

    def columns(self, size_bytes: int) -> dict[str, Any]:
        """For the row of the file."""
        return {
            "mime": self.mime,
            "width": self.width,
            "height": self.height,
            "rotation": self.rotation,
            "duration_s": self.duration_s,
            "video_codec": self.video_codec,
            "audio_codec": self.audio_codec,
            "bit_rate": round(8 * size_bytes / self.duration_s) if self.duration_s else None,
            "loudness_lufs": self.loudness_lufs,
            "page_count": self.page_count,
            "is_animated": self.is_animated,
            "waveform": self.waveform,
            "is_damaged": self.is_damaged,
            "is_mistyped": self.is_mismatch,
        }
