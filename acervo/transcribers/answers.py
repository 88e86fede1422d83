"""What engines share: segments of an untrusted answer, made orderly. Times within the sound, text that can be stored."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from typing import Any, Final

from babel import Locale

from acervo.transcribers.contract import LANGUAGES, Said, UnusableAnswer

MOST_SEGMENTS: Final = 20_000
LONGEST_TEXT: Final = 5_000
"""Of one segment: Whisper's are at most 30 s long, and nobody says this much in that time."""


def segments(told: Any, duration_s: float) -> tuple[Said, ...]:
    """From a list of `{start, end, text, avg_logprob}`. Raises UnusableAnswer for anything else."""
    if not isinstance(told, list) or len(told) > MOST_SEGMENTS:
        raise UnusableAnswer("The segments are no list.")
    read = (_segment(entry, duration_s) for entry in told)
    return tuple(sorted((said for said in read if said.text), key=lambda said: (said.start_s, said.end_s)))


def whole(text: Any, duration_s: float) -> tuple[Said, ...]:
    """Of an engine that tells no times: one segment over everything, or none where nobody speaks."""
    words = clean(text)
    return (Said(0.0, duration_s, words),) if words else ()


def clean(text: Any) -> str:
    """Raises UnusableAnswer for what is no text."""
    if not isinstance(text, str):
        raise UnusableAnswer("A text is no text.")
    # PostgreSQL keeps no NUL, and half a surrogate is no letter.
    kept = text.encode(errors="ignore").decode().replace("\0", "")
    return " ".join(kept.split())


def language_code(told: Any) -> str:
    """`pt`, of "pt", "pt-BR", "portuguese" or "Portuguese"; empty for what we do not know."""
    if not isinstance(told, str):
        return ""
    word = told.strip().lower()
    code = _codes_by_name().get(word) or word.replace("_", "-").partition("-")[0]
    return code if code in LANGUAGES else ""


def confidence(average_logprob: Any) -> float | None:
    """The mean probability of a segment's words, from the mean of their logarithms."""
    try:
        return round(math.exp(min(_number(average_logprob), 0.0)), 4)
    except UnusableAnswer:
        return None


def in_order(pieces: Iterable[tuple[float, tuple[Said, ...]]]) -> tuple[Said, ...]:
    """The segments of consecutive pieces, each moved to where its piece begins."""
    return tuple(
        Said(said.start_s + begin_s, said.end_s + begin_s, said.text, said.confidence)
        for begin_s, its in pieces
        for said in its
    )


def _segment(entry: Any, duration_s: float) -> Said:
    if not isinstance(entry, dict):
        raise UnusableAnswer("A segment is no object.")
    # Whisper pads a sound to 30 s and may let the last word end in the padding.
    start_s = min(max(_number(entry.get("start")), 0.0), duration_s)
    end_s = min(max(_number(entry.get("end")), start_s), duration_s)
    text = clean(entry.get("text"))[:LONGEST_TEXT]
    return Said(round(start_s, 3), round(end_s, 3), text, confidence(entry.get("avg_logprob")))


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UnusableAnswer("A number is none.")
    return float(value)


@functools.cache
def _codes_by_name() -> dict[str, str]:
    names = Locale("en").languages
    return {str(names[code]).lower(): code for code in LANGUAGES if code in names}
