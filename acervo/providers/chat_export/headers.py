"""The line that begins a message in an export: its marks, its moment as written, and what stands behind it."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Final

MARKS: Final = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
"""Direction marks, which the app writes around names and before media. The emoji joiner is none of them."""
BLANKS: Final = "\u202f\u00a0"
_PLAIN: Final = {ord(mark): None for mark in MARKS} | {ord(blank): " " for blank in BLANKS}
_SPECIAL: Final = re.compile(f"[{MARKS}{BLANKS}]")
HEAD_LENGTH: Final = 64
"""The longest moment there is, with room for marks."""


class Order(StrEnum):
    """What the three numbers of a date are. One file has one order."""

    DAY_FIRST = "dmy"
    MONTH_FIRST = "mdy"
    YEAR_FIRST = "ymd"


class Style(StrEnum):
    """How the moment is set off from the rest of the line."""

    DASH = "dash"
    """Android: `05/10/2026 14:20 - Ana: …`."""
    BRACKETS = "brackets"
    """iOS: `[05/10/2026, 14:20:00] Ana: …`."""
    BARE = "bare"
    """iOS of old: `17.05.26 21.25.15: Ana: …`; too weak to believe unless the file begins with it."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What all headers of one file have in common. A line of another shape is text: people paste messages."""

    style: Style
    separator: str
    has_seconds: bool
    has_halves: bool
    """The clock has twelve hours."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """A moment as it is written, before anybody knows which number is the month."""

    numbers: tuple[int, int, int]
    is_long: tuple[bool, bool, bool]
    """Which of them have three digits or more: a year written out."""
    hour: int
    minute: int
    second: int

    def moment(self, order: Order) -> datetime | None:
        """On the phone's clock; None where there is no such day."""
        first, second, third = self.numbers
        year, month, day = {
            Order.DAY_FIRST: (third, second, first),
            Order.MONTH_FIRST: (third, first, second),
            Order.YEAR_FIRST: (first, second, third),
        }[order]
        try:
            return datetime(  # noqa: DTZ001  (the phone's clock, whose zone only a person knows)
                year + 2000 if year < 100 else year, month, day, self.hour, self.minute, self.second
            )
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Header:
    shape: Shape
    stamp: Stamp
    literal: str
    """The moment's own letters."""
    author: str | None
    """None: the app itself speaks."""
    body: str
    """As it was written, with the marks inside it."""


_DATE: Final = r"(?P<a>\d{1,4})(?P<sep>[./-]) ?(?P<b>\d{1,2})(?P=sep) ?(?P<c>\d{1,4})"
_WORD: Final = r"(?:[^\W\d_]{1,8}\.? )?"
_HALF: Final = r"(?: ?(?P<half>[AaPp]\.? ?[Mm]\.?|[\u0635\u0645](?= )))?"
_TIME: Final = rf"(?P<h>\d{{1,2}})[:.](?P<m>\d{{2}})(?:[:.](?P<s>\d{{2}}))?{_HALF}"
_STYLES: Final = {
    Style.DASH: re.compile(rf"(?P<at>{_DATE}[.,]? {_WORD}{_TIME}) [-–] "),
    Style.BRACKETS: re.compile(rf"\[(?P<at>{_DATE}[.,]?,? {_WORD}{_TIME})\] "),
    Style.BARE: re.compile(rf"(?P<at>{_DATE}[.,]? {_TIME}):? "),
}
_AFTERNOON: Final = ("p", "\u0645")
MOST_AUTHOR: Final = 80
# The app tells who renamed what: the colon may stand in the name of a group.
_TOLD_BY_APP: Final = re.compile(
    r"nome do grupo|assunto|descri[çc][ãa]o do grupo|group name|the subject|group description|nombre del grupo"
    r"|el asunto|descripci[óo]n del grupo|Gruppennamen|Betreff|Gruppenbeschreibung",
    re.IGNORECASE,
)


def plain(text: str) -> str:
    """Without direction marks, and with plain blanks: for comparing, never for keeping what somebody wrote."""
    return text.translate(_PLAIN) if _SPECIAL.search(text) else text


def header(line: str, shape: Shape | None = None) -> Header | None:
    """What the line says if it begins a message. `shape` is the one of the file, None while nobody knows it; then the
    bare style is tried last."""
    cleaned = plain(line)
    head = _western(cleaned[:HEAD_LENGTH])
    if not head or not (head[0] == "[" or head[0].isdigit()):
        return None
    for style in (shape.style,) if shape else Style:
        found = _STYLES[style].match(head)
        if found and (read := _read(found, style, shape)):
            author, is_split, skipped = _author(cleaned[found.end() :])
            if style is Style.BARE and not is_split:
                return None
            at = found.end() + skipped
            at = at if cleaned is line else _behind(line, at)
            return Header(*read, cleaned[found.start("at") : found.end("at")], author, line[at:])
    return None


def _read(found: re.Match[str], style: Style, wanted: Shape | None) -> tuple[Shape, Stamp] | None:
    told = (style, found["sep"], found["s"] is not None, found["half"] is not None)
    if wanted is None:
        shape = Shape(*told)
    elif told == (wanted.style, wanted.separator, wanted.has_seconds, wanted.has_halves):
        shape = wanted
    else:
        return None
    hour, minute, second = int(found["h"]), int(found["m"]), int(found["s"] or 0)
    if found["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if found["half"][0].lower() in _AFTERNOON else 0)
    parts = (found["a"], found["b"], found["c"])
    stamp = Stamp(
        (int(parts[0]), int(parts[1]), int(parts[2])),
        (len(parts[0]) > 2, len(parts[1]) > 2, len(parts[2]) > 2),
        hour,
        minute,
        second,
    )
    is_sound = _is_day(stamp.numbers) and hour < 24 and minute < 60 and second < 60
    return (shape, stamp) if is_sound else None


@lru_cache(maxsize=1024)  # a chat has hundreds of messages a day
def _is_day(numbers: tuple[int, int, int]) -> bool:
    """Whether there is such a day in any order."""
    return any(Stamp(numbers, (False, False, False), 0, 0, 0).moment(order) for order in Order)


def _author(rest: str) -> tuple[str | None, bool, int]:
    """The author, whether somebody was named at all, and how many letters of the rest that took."""
    name, colon, _ = rest.partition(": ")
    if not colon and rest.endswith(":"):
        name, colon = rest[:-1], ":"
    if not colon or not 0 < len(name) <= MOST_AUTHOR or _is_told_by_app(name):
        return None, False, 0
    return name.strip(), True, len(name) + len(colon)


@lru_cache(maxsize=1024)  # the same few people speak all the time
def _is_told_by_app(name: str) -> bool:
    return _TOLD_BY_APP.search(name) is not None


def _behind(line: str, letters: int) -> int:
    """Where in the line that many letters are passed, marks not counted."""
    if not _SPECIAL.search(line):
        return letters
    passed = 0
    for at, letter in enumerate(line):
        if passed == letters:
            return at
        passed += letter not in MARKS
    return len(line)


_FOREIGN_DIGIT: Final = re.compile(r"(?![0-9])\d")


def _western(head: str) -> str:
    """Digits of other scripts as ours."""
    if head.isascii():
        return head
    return _FOREIGN_DIGIT.sub(lambda found: str(unicodedata.decimal(found[0])), head)
