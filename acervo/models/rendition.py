"""What was derived from an original: deletable, remakeable, never a replacement."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from acervo.base import ids
from acervo.models.media import MediaFile
from acervo.models.sealed import SealedObject, sealed_object_constraints


class RenditionKind(models.TextChoices):
    MP3 = "mp3", "mp3"
    MP4 = "mp4", "mp4"
    POSTER = "poster", "poster"
    THUMB_96 = "thumb_96", "thumb_96"
    THUMB_320 = "thumb_320", "thumb_320"
    THUMB_640 = "thumb_640", "thumb_640"
    ANIMATED = "animated", "animated"
    """A moving picture small enough for a list, without what its maker wrote into it."""
    PAGE = "page", "page"
    """One page of a document as a picture; the only kind a file may have several of."""


class Rendition(SealedObject):
    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    media = models.ForeignKey(MediaFile, on_delete=models.CASCADE, related_name="renditions")
    kind = models.CharField(max_length=16, choices=RenditionKind)
    page = models.PositiveSmallIntegerField(default=0)
    """From 1 for a page of a document; 0 for every other kind."""
    mime = models.CharField(max_length=80)
    width = models.PositiveIntegerField(null=True)
    height = models.PositiveIntegerField(null=True)
    duration_s = models.FloatField(null=True)
    serves = models.BooleanField(default=True)
    """It is there because the original cannot be shown everywhere; otherwise because it is much smaller."""
    made_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["media", "kind", "page"], name="file_has_one_rendition_of_a_kind_and_page"
            ),
            *sealed_object_constraints("rendition"),
            models.CheckConstraint(
                name="rendition_has_bytes_in_the_vault", condition=Q(object_key__isnull=False)
            ),
            models.CheckConstraint(
                name="only_pages_are_numbered",
                condition=Q(kind=RenditionKind.PAGE, page__gte=1) | (~Q(kind=RenditionKind.PAGE) & Q(page=0)),
            ),
            models.CheckConstraint(
                name="rendition_kind_is_known", condition=Q(kind__in=RenditionKind.values)
            ),
        ]

    def __str__(self) -> str:
        return ids.text(self.id)

    @property
    def what(self) -> str:
        """Its last part in `/play/<file>/<what>`."""
        return f"page-{self.page}" if self.page else self.kind


class UnmadeRendition(models.Model):
    """A copy that was tried and is not there, with the reason; so that nobody tries again without one."""

    media = models.ForeignKey(MediaFile, on_delete=models.CASCADE, related_name="unmade_renditions")
    kind = models.CharField(max_length=16, choices=RenditionKind)
    reason = models.CharField(max_length=24)
    """Of `prepare.made`, such as `not_smaller` or `tool_failed`; worded by `web.words`."""
    size_bytes = models.PositiveBigIntegerField(null=True)
    """What it would have taken, where it was made and thrown away."""
    tried_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["media", "kind"], name="unmade_rendition_is_told_once_a_kind"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {ids.text(self.media_id)}"
