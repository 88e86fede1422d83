"""Tags put on a file and taken off, by people and by programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Lower

from acervo.base import clock, ids
from acervo.base.errors import Refused
from acervo.models import AuditEntry, Deed, FileTag, MediaFile, Tag
from acervo.models.tag import LONGEST_TAG

MOST_TAGS: Final = 30
SEPARATOR: Final = ";"
"""A CRM gets all tags of a file in one line, with these between them."""


class TagUnusable(Refused):
    """A tag has 1 to 40 characters on one line, without a semicolon."""

    code = "tag_unusable"


class TooManyTags(Refused):
    """A file has thirty tags at most."""

    code = "too_many_tags"


def put(media: MediaFile, names: Sequence[str], by: str) -> list[str]:
    """Returns the names that were not on it yet, as the workspace writes them. Raises TagUnusable and TooManyTags, and
    then nothing is put."""
    wanted = {name.lower(): name for name in map(clean, names)}
    with transaction.atomic():
        MediaFile.objects.select_for_update(no_key=True).only("pk").get(pk=media.pk)
        there = set(FileTag.objects.filter(media=media).values_list("tag", flat=True))
        new = [tag for tag in _tags(media.workspace_id, wanted, by) if tag.pk not in there]
        if len(there) + len(new) > MOST_TAGS:
            raise TooManyTags()
        if new:
            FileTag.objects.bulk_create([FileTag(media=media, tag=tag, by=by) for tag in new])
            _changed(media, [Deed("file.tagged", "file", media.pk, "", _which(tag)) for tag in new], by)
    return sorted(tag.name for tag in new)


def take_off(media: MediaFile, name: str, by: str) -> bool:
    """Whether it was there. A tag that is on no file any more is forgotten."""
    with transaction.atomic():
        found = named(Tag.objects.filter(workspace=media.workspace_id), [name]).first()
        if found is None or not FileTag.objects.filter(media=media, tag=found).delete()[0]:
            return False
        deed = Deed("file.untagged", "file", media.pk, "", _which(found))
        Tag.objects.filter(pk=found.pk, file_tags=None).delete()
        _changed(media, [deed], by)
    return True


def take_all_off(media: MediaFile) -> None:
    """Of a file that is erased, without a word about it: the erasure is the deed."""
    were = list(FileTag.objects.filter(media=media).values_list("tag", flat=True))
    FileTag.objects.filter(media=media).delete()
    Tag.objects.filter(pk__in=were, file_tags=None).delete()


def named(tags: QuerySet[Tag], names: Iterable[str]) -> QuerySet[Tag]:
    """Those of these names; upper and lower case make no difference."""
    return tags.annotate(word=Lower("name")).filter(word__in=[name.strip().lower() for name in names])


def clean(name: str) -> str:
    """As it is kept. Raises TagUnusable."""
    found = " ".join(name.split())
    if not 0 < len(found) <= LONGEST_TAG or SEPARATOR in found or not found.isprintable():
        raise TagUnusable()
    return found


def _tags(workspace_id: UUID, wanted: dict[str, str], by: str) -> list[Tag]:
    """Found or made; of two who make one at once, the second finds it."""
    rows = [Tag(workspace_id=workspace_id, name=name, made_by=by) for name in wanted.values()]
    Tag.objects.bulk_create(rows, ignore_conflicts=True)
    found = named(Tag.objects.filter(workspace=workspace_id), wanted)
    return list(found.select_for_update(no_key=True, of=("self",)).order_by("pk"))


def _changed(media: MediaFile, deeds: Sequence[Deed], by: str) -> None:
    """Open pages show it, and the CRMs follow: `timetable.renew_changed`."""
    MediaFile.objects.filter(pk=media.pk).update(changed_at=clock.now())
    AuditEntry.objects.record(media.workspace_id, by, deeds)


def _which(tag: Tag) -> dict[str, str]:
    return {"tag": ids.text(tag.pk)}
