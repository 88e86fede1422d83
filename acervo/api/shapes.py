"""Values and lists as the API writes them: ids of 26 characters, moments in UTC, pages by place and not by number."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Generic, TypeVar
from uuid import UUID

from django.db.models import Model, QuerySet
from django.utils.translation import gettext as _
from ninja import Schema
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from acervo.api.problems import Problem
from acervo.base import ids

ULID_PATTERN: Final = "^[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25}$"
MOMENT_PATTERN: Final = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$"
)
MOST: Final = 200
USUAL: Final = 50

T = TypeVar("T")
Row = TypeVar("Row", bound=Model)


def _read_id(value: Any) -> UUID:
    if isinstance(value, UUID):
        return value
    if not isinstance(value, str) or not re.fullmatch(ULID_PATTERN, value):
        raise PydanticCustomError("string_pattern_mismatch", "An id has 26 characters.")
    return ids.parse(value.upper())


def _read_moment(value: Any) -> Any:
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not re.fullmatch(MOMENT_PATTERN, value, re.ASCII):
        raise PydanticCustomError("string_pattern_mismatch", "A moment is written as in RFC 3339.")
    return value


def _in_utc(value: datetime) -> datetime:
    """PostgreSQL takes no zone that is further than 16 hours away."""
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("datetime_from_date_parsing", "There is no such moment.") from None


def _writable(value: str) -> str:
    """What PostgreSQL takes as text."""
    if not value.isprintable():
        raise PydanticCustomError(
            "string_pattern_mismatch", "There are characters in it that cannot be shown."
        )
    return value


Ulid = Annotated[
    UUID,
    BeforeValidator(_read_id),
    PlainSerializer(ids.text, return_type=str),
    WithJsonSchema({"type": "string", "pattern": ULID_PATTERN, "examples": ["01JD8M3W4XQZ7V5T2K9R6B0CFE"]}),
]
"""An id of ours, as it stands in every address."""
Moment = Annotated[
    datetime,
    BeforeValidator(_read_moment),
    AfterValidator(_in_utc),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""With its time zone; written in UTC."""
WRITABLE: Final = AfterValidator(_writable)
"""For text that people typed: one line, after its length."""
Limit = Annotated[int, Field(ge=1, le=MOST, description="How many, at most.")]
After = Annotated[
    str, Field(max_length=80, description="The `next` of the page before. Left out: from the beginning.")
]


class Shape(Schema):
    """What is sent or received. The docstring of a field is its description."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class Sent(Shape):
    """What is sent. A field that does not exist is a mistake of the caller, who should hear of it."""

    model_config = ConfigDict(extra="forbid")


class Page(Shape, Generic[T]):
    """A part of a list. `next` leads to the following part; null: this is the end."""

    items: list[T]
    next: str | None = None


class PlaceUnknown(Problem):
    """There is no such place in this list."""

    code = "place_unknown"

    def words(self) -> str:
        return _("`after` is not a place in this list. Send the `next` of the page before, or leave it out.")


def newest_first(
    rows: QuerySet[Row], shape: Callable[[Row], T], *, after: str | None, limit: int
) -> dict[str, Any]:
    """A page of rows by their ids, which grow with time. What arrives while somebody reads shifts nothing."""
    if after:
        rows = rows.filter(pk__lt=_place(after))
    found = list(rows.order_by("-pk")[: limit + 1])
    return page(found, shape, limit=limit, place=lambda row: ids.text(row.pk))


def page(
    found: Sequence[Row], shape: Callable[[Row], T], *, limit: int, place: Callable[[Row], str]
) -> dict[str, Any]:
    """Of one row more than asked for, if there is one: then there is a next page."""
    items = found[:limit]
    return {
        "items": [shape(row) for row in items],
        "next": place(items[-1]) if len(found) > limit else None,
    }


def _place(value: str) -> UUID:
    if not re.fullmatch(ULID_PATTERN, value):
        raise PlaceUnknown()
    return ids.parse(value.upper())
