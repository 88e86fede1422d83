"""Values of untrusted JSON turned into ours: total functions that answer with None instead of raising."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from acervo.base import clock
from acervo.providers.contract import UnreadableWebhook

LARGEST_COUNT = 2**63 - 1
LONGEST_ID = 256
"""Characters; what our columns hold."""
LONGEST_INTEGER = 32
"""Digits. Longer numbers are nobody's id, and Python refuses to print those above 4300 digits."""
FIRST_MILLISECONDS = 100_000_000_000
"""Unix seconds this large lie in the year 5138: the sender meant milliseconds."""
DEEPEST = 12
"""Levels of a nested value worth keeping."""

_WORD = re.compile(r"[A-Za-z0-9_.\-]{1,64}")
_PHONE = re.compile(r"\+?([1-9][0-9]{5,14})")
_USER_ID = re.compile(r"[A-Z]{2}(\.ENT)?\.[A-Za-z0-9]{1,128}")


def parse_object(body: bytes) -> Mapping[str, Any]:
    """The JSON object in `body`. Raises UnreadableWebhook for anything else."""
    try:
        payload = json.loads(body, parse_int=_integer, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        # The cause is left out: its text quotes the body.
        raise UnreadableWebhook("The body is not JSON.") from None
    if not isinstance(payload, dict):
        raise UnreadableWebhook("The body is not a JSON object.")
    return payload


def as_sequence(value: object) -> Sequence[Any]:
    """A list, or an empty one."""
    return value if isinstance(value, list) else ()


def as_mapping(value: object) -> Mapping[str, Any]:
    """An object, or an empty one."""
    return value if isinstance(value, dict) else {}


def as_text(value: object) -> str | None:
    """A non-empty string that PostgreSQL can hold: without NUL, lone surrogates replaced by U+FFFD."""
    if not isinstance(value, str):
        return None
    return _storable(value) or None


def as_id(value: object) -> str | None:
    """An identifier of at most 256 characters: the same one may come as a string today, as a number tomorrow."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    text = as_text(value)
    return text if text and len(text) <= LONGEST_ID else None


def as_count(value: object) -> int | None:
    """A whole number from 0 to 2⁶³-1, from a number or a string of digits."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= LONGEST_INTEGER:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= LARGEST_COUNT else None


def as_number(value: object) -> float | None:
    """A finite number, from a number or its string."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def as_moment(value: object) -> datetime | None:
    """A moment after 1970, from Unix seconds or milliseconds, as a number or its string."""
    seconds = as_number(value)
    if seconds is None or seconds <= 0:
        return None
    if seconds >= FIRST_MILLISECONDS:
        seconds /= 1000
    last = datetime.max.replace(tzinfo=UTC).timestamp() - 86_400
    return clock.from_unix(seconds) if seconds < last else None


def as_written_moment(value: object) -> datetime | None:
    """A moment after 1970, from ISO 8601 with its zone; fractions finer than microseconds are cut."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) and value.isascii() else None
        is_told = moment is not None and moment.tzinfo is not None and as_moment(moment.timestamp())
        return moment.astimezone(UTC) if moment is not None and is_told else None
    except (ValueError, OverflowError):
        return None


def as_phone(value: object) -> str | None:
    """E.164 with plus sign, from digits with or without it."""
    match = _PHONE.fullmatch(as_id(value) or "")
    return f"+{match[1]}" if match else None


def as_user_id(value: object) -> str | None:
    """WhatsApp's business-scoped user id, which may stand in the place of a phone number since 2026."""
    text = as_id(value)
    return text if text and _USER_ID.fullmatch(text) else None


def as_word(value: object) -> str:
    """A vendor's word that is safe to log, or `?`."""
    return value if isinstance(value, str) and _WORD.fullmatch(value) else "?"


def as_plain(value: object, depth: int = DEEPEST) -> Any:
    """The same JSON value, storable: texts cleaned, numbers finite, depth bounded."""
    if isinstance(value, str):
        return _storable(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {_storable(str(k)): as_plain(v, depth - 1) for k, v in value.items()} if depth else None
    if isinstance(value, list):
        return [as_plain(v, depth - 1) for v in value] if depth else None
    return value if value is None or isinstance(value, bool | int) else None


def _storable(text: str) -> str:
    if "\x00" in text:
        text = text.replace("\x00", "")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) <= LONGEST_INTEGER else None


def _no_constant(_name: str) -> None:
    """NaN and Infinity are not JSON; Python would accept them, PostgreSQL would not."""
