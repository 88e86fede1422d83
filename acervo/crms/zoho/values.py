"""A file's and a person's values as Zoho takes them, and back: numbers as numbers, moments with an offset."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from acervo.crms.contract import MediaLink
from acervo.crms.fields import MEDIA_FIELDS, Placed, canonical, placed
from acervo.crms.mapping import AS_IT_WAS, FieldMap, Place
from acervo.crms.zoho.names import Names

_TYPES = {one.name: one.type for one in MEDIA_FIELDS}
NAMELESS = "–"
"""Where Zoho demands a name and we have none, or none any more."""


def media(names: Names, item: MediaLink) -> dict[str, Any]:
    """What the record of this file shall hold, by Zoho's names; nothing is null, which clears."""
    return {one.name: value_of(names, one, "media") for one in placed(item, own_media(names))}


def own_media(names: Names) -> dict[str, str]:
    """Our fields of a file, without what its record points at."""
    return {name: names.media[name] for name in _TYPES if name in names.media}


def read_media(names: Names, row: Mapping[str, Any], field_map: FieldMap) -> dict[str, str | None]:
    """Our names to what is stored, in the form of `fields.written`."""
    values: dict[str, str | None] = {}
    for name, theirs in field_map.names("media", own_media(names)).items():
        stored = row.get(theirs)
        text = None if stored is None else str(stored)
        is_ours = field_map.media.get(name, AS_IT_WAS).to is None
        is_choice = is_ours and _TYPES[name] == "choice"
        values[name] = names.our_choice("media", name, text) if text and is_choice else text
    return canonical(values, field_map)


def moment(value: datetime) -> str:
    """ISO 8601 with an offset and without fraction; `Z` is not among what Zoho documents."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00")


def value_of(names: Names, one: Placed, place: Place) -> Any:
    if not one.text:
        return NAMELESS if one.ours == "title" else None
    match one.type:
        case "moment":
            return moment(datetime.fromisoformat(one.text))
        case "choice" if one.ours:
            return names.choice(place, one.ours, one.text)
    return one.as_json
