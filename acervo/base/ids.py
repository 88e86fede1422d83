"""Sortable identifiers: ULIDs, kept in uuid columns, shown as 26 characters."""

from __future__ import annotations

from uuid import UUID

from ulid import ULID


def new() -> UUID:
    """A fresh identifier; later ones sort after earlier ones to the millisecond."""
    return ULID().to_uuid()


def text(value: UUID) -> str:
    """The 26-character Crockford form, for URLs and people."""
    return str(ULID.from_uuid(value))


def parse(value: str) -> UUID:
    """The uuid behind either form. Raises ValueError."""
    if len(value) == 26:
        return ULID.from_str(value).to_uuid()
    return UUID(value)
