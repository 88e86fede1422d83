"""What a reading, an error or a log lets people see, as text a test can search."""

from __future__ import annotations

import dataclasses
import json
import logging
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from acervo.providers.contract import Reading


def plain(value: Any) -> Any:
    """A reading, or any part of it, as JSON: each event with its type, empty members left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        members = {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {
            "is": type(value).__name__,
            **{k: v for k, v in members.items() if v not in (None, [], {}, False)},
        }
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: plain(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [plain(member) for member in value]
    return value


def assert_storable(reading: Reading) -> None:
    """Fails unless PostgreSQL could hold every text and number of the reading."""
    text = json.dumps(plain(reading), ensure_ascii=False, allow_nan=False)
    text.encode()
    if "\\u0000" in text:
        raise AssertionError("PostgreSQL cannot hold NUL.")


def all_shown_of(error: BaseException | None) -> Iterator[str]:
    """Everything a log or an error page could show of an error and of what led to it."""
    while error is not None:
        yield from (str(error), repr(error), repr(error.args), repr(getattr(error, "facts", "")))
        yield "".join(traceback.format_exception_only(error))
        error = error.__cause__ or error.__context__


@contextmanager
def logged() -> Iterator[list[str]]:
    """Every log record made inside, with all its fields, at any level."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{record.getMessage()} {record.__dict__}")

    root, handler = logging.getLogger(), Keep()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
