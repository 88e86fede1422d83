"""The guard that keeps one bad part of a payload from costing its neighbours."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

from acervo.base.errors import Refused
from acervo.providers.contract import Event, Reading, Unread

log = logging.getLogger(__name__)

Part = Event | Unread


class Unreadable(Refused):
    """This part cannot be read; the message says why, without a value of the payload."""


def guarded(parts: Iterator[Part], pointer: str, kind: str) -> Iterator[Part]:
    """The parts of one reader; what it cannot read comes out as Unread. `pointer` and `kind` are safe to log."""
    try:
        yield from parts
    except Unreadable as refusal:
        yield Unread(pointer, kind, str(refusal))
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        # A fault of ours. It must not cost the other parts; the receipt keeps this one for replay.
        fault = type(error).__name__
        log.error("provider.reader_failed", extra={"pointer": pointer, "part": kind, "error": fault})
        yield Unread(pointer, kind, f"reader failed: {fault}")


def reading(parts: Iterable[Part]) -> Reading:
    """Events and what could not be read, apart."""
    every = tuple(parts)
    return Reading(
        events=tuple(part for part in every if not isinstance(part, Unread)),
        unread=tuple(part for part in every if isinstance(part, Unread)),
    )
