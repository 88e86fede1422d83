"""Words a workspace puts on files, so that they are found, routed and told to a CRM."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Lower

from acervo.base import clock, ids
from acervo.models.media import MediaFile
from acervo.models.workspace import Workspace

if TYPE_CHECKING:
    from acervo.models.member import Member

LONGEST_TAG = 40


class Tags(models.QuerySet["Tag"]):
    def visible_to(self, member: Member) -> Self:
        """Those on a file they may see: a word on a hidden file may be why it was hidden."""
        seen = FileTag.objects.filter(media__in=MediaFile.objects.visible_to(member), tag=OuterRef("pk"))
        return self.filter(Exists(seen), workspace=member.workspace_id)


class Tag(models.Model):
    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="tags")
    name = models.CharField(max_length=LONGEST_TAG)
    """As it was written first; upper and lower case make no difference."""
    made_at = models.DateTimeField(default=clock.now)
    made_by = models.CharField(max_length=64)

    objects = Tags.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint("workspace", Lower("name"), name="tag_is_one_word_in_its_workspace"),
            models.CheckConstraint(name="tag_is_not_empty", condition=~Q(name="")),
        ]

    def __str__(self) -> str:
        return ids.text(self.id)


class FileTag(models.Model):
    """A tag on a file. Taken off, the row goes; the audit remembers."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    media = models.ForeignKey(MediaFile, on_delete=models.CASCADE, related_name="file_tags")
    tag = models.ForeignKey(Tag, on_delete=models.CASCADE, related_name="file_tags")
    at = models.DateTimeField(default=clock.now)
    by = models.CharField(max_length=64)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["media", "tag"], name="file_has_a_tag_once"),
        ]

    def __str__(self) -> str:
        return ids.text(self.id)
