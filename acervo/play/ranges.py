"""Which bytes a player asks for, and whether it may have them: Range and the conditions of RFC 9110, for one range."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from acervo.base.errors import Refused

LONGEST_HEADER: Final = 200
"""One range needs far less; what is longer is not read."""
_UNIT: Final = re.compile(r"bytes=", re.IGNORECASE)
_RANGE: Final = re.compile(r"([0-9]*)-([0-9]*)")
_ENTITY_TAG: Final = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')


class NotSatisfiable(Refused):
    """The range begins after the last byte."""

    code = "range_not_satisfiable"


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes `start` up to, not including, `stop`."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        return self.stop - self.start


def wanted(header: str | None, size_bytes: int) -> Span | None:
    """The one range asked for; None where the whole is to be sent: no header, one we cannot read, or several ranges.
    Raises NotSatisfiable."""
    found = _the_only_one(header or "")
    if found is None:
        return None
    first, last = found
    if not first:
        return _last(int(last), size_bytes)
    if last and int(last) < int(first):
        return None  # 14.1.1: an invalid range is no range
    if int(first) >= size_bytes:
        raise NotSatisfiable
    return Span(int(first), min(int(last) + 1, size_bytes) if last else size_bytes)


def _the_only_one(header: str) -> tuple[str, str] | None:
    unit = _UNIT.match(header)
    if unit is None or len(header) > LONGEST_HEADER:
        return None
    # 5.6.1: a list may have empty elements, and blanks around its commas.
    listed = [part for part in (raw.strip(" \t") for raw in header[unit.end() :].split(",")) if part]
    if len(listed) != 1 or not (found := _RANGE.fullmatch(listed[0])):
        return None
    first, last = found.groups()
    return (first, last) if first or last else None


def _last(length: int, size_bytes: int) -> Span | None:
    if length == 0:
        raise NotSatisfiable
    # 14.1.2: the end of nothing is all of it, which no Content-Range can say.
    return Span(max(size_bytes - length, 0), size_bytes) if size_bytes else None


def is_still(if_range: str | None, etag: str) -> bool:
    """Whether the range may be sent: no condition, or the very file the player already has a part of.
    A date never matches: we send none."""
    return if_range is None or if_range.strip(" \t") == etag


def is_refused(if_match: str | None, etag: str) -> bool:
    """13.1.1: the player wants these bytes only as another file that we no longer have. A weak tag never matches."""
    return if_match is not None and if_match.strip(" \t") != "*" and etag not in _tags(if_match)


def is_known(if_none_match: str | None, etag: str) -> bool:
    """13.1.2: the player has these bytes already."""
    if if_none_match is None:
        return False
    strong = {tag.removeprefix("W/") for tag in _tags(if_none_match)}
    return if_none_match.strip(" \t") == "*" or etag in strong


def _tags(header: str) -> list[str]:
    return _ENTITY_TAG.findall(header)
