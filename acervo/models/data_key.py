"""One key per person, wrapped by the workspace key: destroying it is erasing what it sealed."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from acervo.base import ids
from acervo.models.person import Person
from acervo.models.workspace import Workspace


class DataKey(models.Model):
    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="+")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="data_keys")
    wrapped_key = models.BinaryField(null=True, editable=False)
    is_current = models.BooleanField(default=True)
    """New files are sealed with the current key; a merged person brings older ones along."""
    created_at = models.DateTimeField(auto_now_add=True)
    destroyed_at = models.DateTimeField(null=True, blank=True)
    destroyed_by = models.CharField(max_length=64, null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["person"], condition=Q(is_current=True), name="person_has_one_current_data_key"
            ),
            models.CheckConstraint(
                name="data_key_is_whole_or_destroyed_by_somebody",
                condition=Q(wrapped_key__isnull=False, destroyed_at=None, destroyed_by=None)
                | Q(
                    wrapped_key=None, destroyed_at__isnull=False, destroyed_by__isnull=False, is_current=False
                ),
            ),
        ]

    def __str__(self) -> str:
        return ids.text(self.id)
