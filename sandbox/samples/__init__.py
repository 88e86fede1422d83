"""The files the demo sends when nothing can be made fresh; `README.md` says how each was made."""

from __future__ import annotations

from pathlib import Path

MIME_OF_ENDING = {
    ".ogg": "audio/ogg; codecs=opus",
    ".amr": "audio/amr",
    ".mp4": "video/mp4",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".pdf": "application/pdf",
}
"""As WhatsApp announces them."""

_HERE = Path(__file__).parent


def names() -> list[str]:
    """Every sample there is."""
    return sorted(path.name for path in _HERE.iterdir() if path.suffix in MIME_OF_ENDING)


def read(name: str) -> tuple[bytes, str]:
    """The bytes of a sample and its MIME type."""
    path = _HERE / name
    return path.read_bytes(), MIME_OF_ENDING[path.suffix]
