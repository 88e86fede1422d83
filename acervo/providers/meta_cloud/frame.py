"""What surrounds a part of a payload, and the guard that keeps one bad part from costing its neighbours."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from acervo.base.errors import Refused
from acervo.providers.contract import Event, Unread
from acervo.providers.meta_cloud.identity import Contacts
from acervo.providers.untrusted import as_count, as_mapping, as_sequence, as_word

log = logging.getLogger(__name__)

Part = Event | Unread


@dataclass(frozen=True, slots=True)
class Frame:
    """What one change says about all its parts."""

    field: str
    account_id: str
    own_digits: str | None
    """The business number as digits, to recognise its own messages in a history."""
    contacts: Contacts
    at: datetime | None
    """Only account-level fields carry it."""

    @property
    def is_history(self) -> bool:
        return self.field == "history"


class Unreadable(Refused):
    """This part cannot be read; the message says why, without a value of the payload."""


Reader = Callable[[Mapping[str, Any], Frame, str], Iterator[Part]]
"""Reads one part: the part, what surrounds it, and its JSON pointer."""


def each(parts: object, reader: Reader, frame: Frame, pointer: str) -> Iterator[Part]:
    """Every part of a list through its reader; what cannot be read comes out as Unread."""
    if not isinstance(parts, list):
        yield Unread(pointer, as_word(frame.field), "not a list")
        return
    for index, part in enumerate(parts):
        yield from guarded(part, reader, frame, f"{pointer}/{index}")


def guarded(part: object, reader: Reader, frame: Frame, pointer: str) -> Iterator[Part]:
    """One part through its reader."""
    if not isinstance(part, dict):
        yield Unread(pointer, as_word(frame.field), "not an object")
        return
    kind = as_word(part.get("type") or frame.field)
    try:
        yield from reader(part, frame, pointer)
    except Unreadable as refusal:
        yield Unread(pointer, kind, str(refusal))
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        # A fault of ours. It must not cost the other parts of the batch; the receipt keeps this one for replay.
        fault = type(error).__name__
        log.error("provider.reader_failed", extra={"pointer": pointer, "part": kind, "error": fault})
        yield Unread(pointer, kind, f"reader failed: {fault}")


def child(pointer: str, key: str) -> str:
    """The pointer of a member; stays at the parent when the key itself may not be shown."""
    return pointer if as_word(key) == "?" else f"{pointer}/{key}"


def error_codes(value: object) -> tuple[int, ...]:
    """The numbers in one of Meta's `errors` lists."""
    codes = (as_count(as_mapping(error).get("code")) for error in as_sequence(value))
    return tuple(code for code in codes if code is not None)
