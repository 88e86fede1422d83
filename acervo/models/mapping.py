"""What a CRM gets of our files: which field goes where, in which form, and which files go at all. Version by version."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from django.db import models
from django.db.models import F, Q

from acervo.base import ids
from acervo.models.connection import Connection
from acervo.models.workspace import Workspace

if TYPE_CHECKING:
    from acervo.models.member import Member


class MappingVersions(models.QuerySet["MappingVersion"]):
    def visible_to(self, member: Member) -> Self:
        return self.filter(
            workspace=member.workspace_id, connection__in=Connection.objects.visible_to(member)
        )


class MappingVersion(models.Model):
    """Never changed: a change is a new version, and so is taking one back. The newest counts; without any, everything
    goes as it is into the fields we made."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="mappings")
    number = models.PositiveIntegerField()
    """1, 2, 3… within the connection."""
    rules = models.JSONField()
    """As `deliver.mapping` writes and reads it."""
    reason = models.CharField(max_length=200)
    restores = models.PositiveIntegerField(null=True, blank=True)
    """The version this one brought back; 0: how it was before anybody changed it."""
    made_at = models.DateTimeField(auto_now_add=True)
    made_by = models.CharField(max_length=64)

    objects = MappingVersions.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["connection", "number"], name="mapping_version_has_its_own_number"
            ),
            models.CheckConstraint(name="mapping_versions_count_from_one", condition=Q(number__gte=1)),
            models.CheckConstraint(name="mapping_version_says_why", condition=~Q(reason="")),
            models.CheckConstraint(
                name="mapping_version_restores_an_earlier_one",
                condition=Q(restores=None) | Q(restores__lt=F("number")),
            ),
        ]

    def __str__(self) -> str:
        return f"{ids.text(self.connection_id)} version {self.number}"
