"""Which bytes a player asks for: the Range header of RFC 9110, for one range."""

from __future__ import annotations

import re
from dataclasses import dataclass

from acervo.base.errors import Refused


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
    found = re.fullmatch(r"bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})", (header or "").strip(), re.IGNORECASE)
    if not found or found.group(1) == found.group(2) == "":
        return None
    first, last = found.groups()
    if not first:
        return _last(int(last), size_bytes)
    if last and int(last) < int(first):
        return None  # RFC 9110, 14.1.1: an invalid range is no range
    if int(first) >= size_bytes:
        raise NotSatisfiable
    return Span(int(first), min(int(last) + 1, size_bytes) if last else size_bytes)


def _last(length: int, size_bytes: int) -> Span:
    if length == 0 or size_bytes == 0:
        raise NotSatisfiable
    return Span(max(size_bytes - length, 0), size_bytes)


def is_still(if_range: str | None, etag: str) -> bool:
    """Whether the range may be sent: no condition, or the very file the player already has a part of.
    A date never matches: we send none."""
    return if_range is None or if_range.strip() == etag
