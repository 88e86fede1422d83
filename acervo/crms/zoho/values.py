"""A file's and a person's values as Zoho takes them, and back: numbers as numbers, moments with an offset."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from acervo.crms.contract import MediaLink
from acervo.crms.fields import MEDIA_FIELDS, canonical, written
from acervo.crms.zoho.names import Names

_TYPES = {one.name: one.type for one in MEDIA_FIELDS}
NAMELESS = "–"
"""Where Zoho demands a name and we have none, or none any more."""


def media(names: Names, item: MediaLink) -> dict[str, Any]:
    """What the record of this file shall hold, by Zoho's names; nothing is null, which clears."""
    return {
        names.media[name]: _theirs(names, name, value)
        for name, value in written(item).items()
        if name in names.media
    }


def read_media(names: Names, row: Mapping[str, Any]) -> dict[str, str | None]:
    """Our names to what is stored, in the form of `fields.written`."""
    values: dict[str, str | None] = {}
    for name in _TYPES:
        if name not in names.media:
            continue
        stored = row.get(names.media[name])
        text = None if stored is None else str(stored)
        values[name] = names.our_choice("media", name, text) if text and _TYPES[name] == "choice" else text
    return canonical(values)


def moment(value: datetime) -> str:
    """ISO 8601 with an offset and without fraction; `Z` is not among what Zoho documents."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00")


def _theirs(names: Names, name: str, value: str) -> Any:
    if not value:
        return NAMELESS if name == "title" else None
    if _TYPES[name] == "number":
        return int(value)
    if _TYPES[name] == "moment":
        return moment(datetime.fromisoformat(value))
    if _TYPES[name] == "choice":
        return names.choice("media", name, value)
    return value
