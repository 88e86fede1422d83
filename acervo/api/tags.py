"""Tags: those of the workspace, and those of one file, put on and taken off."""

from __future__ import annotations

from typing import Annotated, Any, Self

from ninja import Query, Router
from ninja.responses import Status
from pydantic import Field

from acervo import journey, models
from acervo.api.access import ApiRequest, needs
from acervo.api.media import visible
from acervo.api.shapes import USUAL, WRITABLE, After, Limit, Moment, Page, Sent, Shape, Ulid, newest_first
from acervo.models import Ability, Scope
from acervo.models.tag import LONGEST_TAG
from acervo.organise.tags import MOST_TAGS

router = Router(tags=["tags"])
WRITE = needs(Scope.MEDIA_WRITE, Ability.EDIT)
Name = Annotated[str, Field(min_length=1, max_length=LONGEST_TAG), WRITABLE]


class Tag(Shape):
    id: Ulid
    name: str
    made_at: Moment

    @classmethod
    def of(cls, row: models.Tag) -> Self:
        return cls(id=row.pk, name=row.name, made_at=row.made_at)


class TagWish(Sent):
    names: Annotated[list[Name], Field(min_length=1, max_length=MOST_TAGS)]
    """1 to 40 characters each, on one line, without a semicolon. Upper and lower case make no difference."""


class TagsOfFile(Shape):
    media: Ulid
    tags: list[str]
    """All that are on the file now."""


@router.get(
    "/tags",
    auth=needs(Scope.MEDIA_READ),
    response=Page[Tag],
    summary="List tags",
    operation_id="list_tags",
)
def list_tags(request: ApiRequest, limit: Limit = USUAL, after: After = "") -> Any:
    """Those that are on a file, the newest first."""
    found = models.Tag.objects.visible_to(request.auth.member)
    return newest_first(found, Tag.of, after=after, limit=limit)


@router.post(
    "/media/{media}/tags",
    auth=WRITE,
    response={200: TagsOfFile},
    summary="Put tags on a file",
    operation_id="tag_media",
)
def tag_media(request: ApiRequest, media: Ulid, wish: TagWish) -> Status[TagsOfFile]:
    """Those that are on it already stay as they are. The CRMs get the new line of tags within minutes."""
    row = visible(request, media)
    journey.tag_file(row, wish.names, by=request.auth.by)
    return Status(200, _tags(row.pk))


@router.delete(
    "/media/{media}/tags",
    auth=WRITE,
    response={200: TagsOfFile},
    summary="Take a tag off a file",
    operation_id="untag_media",
)
def untag_media(request: ApiRequest, media: Ulid, name: Query[Name]) -> Status[TagsOfFile]:
    """One that is not on it is no mistake."""
    row = visible(request, media)
    journey.untag_file(row, name, by=request.auth.by)
    return Status(200, _tags(row.pk))


def _tags(media: Ulid) -> TagsOfFile:
    names = models.FileTag.objects.filter(media=media).values_list("tag__name", flat=True)
    return TagsOfFile(media=media, tags=sorted(names))
