"""How a file, a contact or a connection stands in an address: 26 characters, no name, no number."""

from __future__ import annotations

from uuid import UUID

from acervo.base import ids


class Ulid:
    """Either case is read; upper case is written."""

    regex = "[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25}"

    def to_python(self, value: str) -> UUID:
        return ids.parse(value.upper())

    def to_url(self, value: UUID) -> str:
        return ids.text(value)
