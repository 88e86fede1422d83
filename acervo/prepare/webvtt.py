"""Segments as captions: WebVTT cues short enough to be read under a film, and plain text for everything else."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from typing import Final, Protocol

LINE_LETTERS: Final = 42
LINES: Final = 2
LEAST_CUE_S: Final = 0.2
"""A cue must end after it begins, and an engine may say both are one moment."""


class Spoken(Protocol):
    """What a caption needs of a segment."""

    @property
    def start_s(self) -> float: ...
    @property
    def end_s(self) -> float: ...
    @property
    def text(self) -> str: ...


def captions(segments: Iterable[Spoken]) -> str:
    """A whole WebVTT file."""
    cues = [cue for segment in segments for cue in _cues(segment)]
    return "\n".join(["WEBVTT", "", *cues])


def plain(segments: Iterable[Spoken]) -> str:
    """A line a segment, with its time: `[0:23] A luz verde está acesa.`"""
    return "".join(f"[{_clock(segment.start_s)}] {segment.text}\n" for segment in segments if segment.text)


def _cues(segment: Spoken) -> Iterator[str]:
    """Nobody tells when each word was said, so a long text shares its time by letters."""
    parts = _screens(segment.text)
    letters = sum(map(len, parts))
    begin_s, length_s = segment.start_s, max(segment.end_s - segment.start_s, LEAST_CUE_S)
    for part in parts:
        end_s = begin_s + length_s * len(part) / letters
        yield f"{_timestamp(begin_s)} --> {_timestamp(end_s)}\n{_escaped(part)}\n"
        begin_s = end_s


def _screens(text: str) -> list[str]:
    """Two lines at a time, broken between words."""
    lines = textwrap.wrap(text, LINE_LETTERS)
    return ["\n".join(lines[at : at + LINES]) for at in range(0, len(lines), LINES)]


def _escaped(text: str) -> str:
    """Nothing said can be taken for a tag, an entity or the arrow of a time."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _timestamp(second: float) -> str:
    whole, millis = divmod(round(second * 1000), 1000)
    minutes, seconds = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}.{millis:03}"


def _clock(second: float) -> str:
    minutes, seconds = divmod(int(second), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
