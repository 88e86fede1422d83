"""The time, in one place, so that tests can hold it still."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)


def from_unix(seconds: float) -> datetime:
    """A moment from Unix seconds."""
    return datetime.fromtimestamp(seconds, UTC)
