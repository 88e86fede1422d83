"""One company: the wall between those who share an installation."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from acervo.base import ids
from acervo.models.sealed import Sealing


def default_sealing() -> str:
    return str(settings.ACERVO_SEALING)


def default_language() -> str:
    return str(settings.LANGUAGE_CODE)


def default_time_zone() -> str:
    return str(settings.TIME_ZONE)


class Workspace(models.Model):
    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    name = models.CharField(max_length=120)
    language = models.CharField(max_length=8, default=default_language)
    time_zone = models.CharField(max_length=64, default=default_time_zone)
    sealing = models.CharField(max_length=8, choices=Sealing, default=default_sealing)
    wrapped_key = models.BinaryField(null=True, editable=False)
    """The workspace key, wrapped by the master key; made by `keep.keys` when first needed."""
    master_key_id = models.CharField(max_length=16, null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="workspace_key_names_its_master_key",
                condition=models.Q(wrapped_key=None, master_key_id=None)
                | models.Q(wrapped_key__isnull=False, master_key_id__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.name
