"""A knock of our own at a webhook address, from outside: is the way in open?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from django.db import models
from django.db.models import Q

from acervo.base import ids
from acervo.models.connection import Connection
from acervo.models.workspace import Workspace

if TYPE_CHECKING:
    from acervo.models.member import Member


class Probes(models.QuerySet["Probe"]):
    def visible_to(self, member: Member) -> Self:
        from acervo.models.member import Ability

        return self.filter(workspace=member.workspace_id) if member.can(Ability.OPERATE) else self.none()

    def finished(self) -> Self:
        return self.filter(finished_at__isnull=False)


class Probe(models.Model):
    """Its id travels in the webhook it sends, and is how the reader tells that webhook from a provider's."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="probes")
    asked_at = models.DateTimeField()
    asked_by = models.CharField(max_length=64)
    journalled_at = models.DateTimeField(null=True, blank=True)
    """When its receipt was written. The receipt itself goes once it was read: it is evidence of nothing else."""
    finished_at = models.DateTimeField(null=True, blank=True)
    code = models.CharField(max_length=32, null=True, blank=True)
    """`ok`, or what stood in the way; worded by `acervo.web.health_words`."""
    facts = models.JSONField(default=dict, blank=True)
    """Status of the answer, milliseconds, when the certificate expires."""

    objects = Probes.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="probe_end_has_a_time_and_a_code_or_neither",
                condition=Q(finished_at=None, code=None) | Q(finished_at__isnull=False, code__isnull=False),
            ),
            models.CheckConstraint(
                name="probe_that_went_well_was_journalled",
                condition=~Q(code="ok") | Q(code=None) | Q(journalled_at__isnull=False),
            ),
        ]
        indexes = [models.Index(fields=["connection", "-asked_at"], name="probe_newest")]

    def __str__(self) -> str:
        return ids.text(self.id)
