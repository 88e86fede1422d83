"""Log lines as events: a constant name, then ids and numbers."""

from __future__ import annotations

import json
import logging
import traceback
from datetime import UTC, datetime
from typing import Any

from acervo.base.errors import AcervoError

_TELLS_NO_VALUES = (
    AcervoError,
    AttributeError,
    ImportError,
    NameError,
    NotImplementedError,
    TypeError,
    OSError,
)
"""Errors whose message speaks of code or of our own ids. Others quote what they choked on: a number, a text, a row."""
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


def _facts(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _moment(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


class _Formatter(logging.Formatter):
    """Tracebacks without the values that errors quote."""

    def formatException(self, ei: Any) -> str:  # noqa: N802  (the name is logging's)
        told = traceback.TracebackException.from_exception(ei[1]) if ei[1] else None
        return "".join(_lines(told, ei[1])).rstrip() if told else ""


def _lines(told: traceback.TracebackException, error: BaseException | None) -> list[str]:
    """Causes first, as Python prints them."""
    lines: list[str] = []
    if told.__cause__ is not None and error is not None:
        lines += [*_lines(told.__cause__, error.__cause__), "caused:\n"]
    elif told.__context__ is not None and not told.__suppress_context__ and error is not None:
        lines += [*_lines(told.__context__, error.__context__), "while that was handled:\n"]
    words = f"{type(error).__module__}.{type(error).__qualname__}"
    words += f": {error}" if isinstance(error, _TELLS_NO_VALUES) else ""
    return [*lines, *told.stack.format(), f"{words}\n"]


class TextFormatter(_Formatter):
    """`2026-11-25T12:00:00.000+00:00 INFO file.kept media=01J… size_bytes=9471`"""

    def format(self, record: logging.LogRecord) -> str:
        facts = "".join(f" {name}={value}" for name, value in _facts(record).items())
        line = f"{_moment(record)} {record.levelname} {record.getMessage()}{facts}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(_Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": _moment(record),
            "level": record.levelname,
            "event": record.getMessage(),
            **_facts(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)
