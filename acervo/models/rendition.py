"""What was derived from an original: deletable, remakeable, never a replacement."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from acervo.base import ids
from acervo.models.media import MediaFile
from acervo.models.sealed import SealedObject, sealed_object_constraints


class RenditionKind(models.TextChoices):
    MP3 = "mp3", "mp3"
    MP4 = "mp4", "mp4"
    POSTER = "poster", "poster"
    THUMB_320 = "thumb_320", "thumb_320"
    THUMB_640 = "thumb_640", "thumb_640"


class Rendition(SealedObject):
    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    media = models.ForeignKey(MediaFile, on_delete=models.CASCADE, related_name="renditions")
    kind = models.CharField(max_length=16, choices=RenditionKind)
    mime = models.CharField(max_length=80)
    width = models.PositiveIntegerField(null=True)
    height = models.PositiveIntegerField(null=True)
    duration_s = models.FloatField(null=True)
    made_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["media", "kind"], name="file_has_one_rendition_of_a_kind"),
            *sealed_object_constraints("rendition"),
            models.CheckConstraint(
                name="rendition_has_bytes_in_the_vault", condition=models.Q(object_key__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return ids.text(self.id)
