"""What surrounds a part of a payload, and the guard that keeps one bad part from costing its neighbours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from acervo.providers import parts
from acervo.providers.contract import Unread
from acervo.providers.meta_cloud.identity import Contacts
from acervo.providers.parts import Part
from acervo.providers.untrusted import as_count, as_mapping, as_sequence, as_word


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


Reader = Callable[[Mapping[str, Any], Frame, str], Iterator[Part]]
"""Reads one part: the part, what surrounds it, and its JSON pointer."""


def each(members: object, reader: Reader, frame: Frame, pointer: str) -> Iterator[Part]:
    """Every part of a list through its reader; what cannot be read comes out as Unread."""
    if not isinstance(members, list):
        yield Unread(pointer, as_word(frame.field), "not a list")
        return
    for index, part in enumerate(members):
        yield from guarded(part, reader, frame, f"{pointer}/{index}")


def guarded(part: object, reader: Reader, frame: Frame, pointer: str) -> Iterator[Part]:
    """One part through its reader."""
    if not isinstance(part, dict):
        yield Unread(pointer, as_word(frame.field), "not an object")
        return
    yield from parts.guarded(reader(part, frame, pointer), pointer, as_word(part.get("type") or frame.field))


def child(pointer: str, key: str) -> str:
    """The pointer of a member; stays at the parent when the key itself may not be shown."""
    return pointer if as_word(key) == "?" else f"{pointer}/{key}"


def error_codes(value: object) -> tuple[int, ...]:
    """The numbers in one of Meta's `errors` lists."""
    codes = (as_count(as_mapping(error).get("code")) for error in as_sequence(value))
    return tuple(code for code in codes if code is not None)
