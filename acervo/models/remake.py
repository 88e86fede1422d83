"""Copies made anew over many files, after a policy or a tool changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from acervo.base import ids
from acervo.models.workspace import Workspace

if TYPE_CHECKING:
    from acervo.models.member import Member


class Remakes(models.QuerySet["Remake"]):
    def visible_to(self, member: Member) -> Self:
        return self.filter(workspace=member.workspace_id) if member.is_active else self.none()

    def running(self) -> Self:
        return self.filter(finished_at=None, cancelled_at=None, paused_at=None)


class Remake(models.Model):
    """One run. It goes from the newest file it was asked for to the oldest, and knows where it stands, so that it goes
    on after any interruption."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="remakes")
    query = models.TextField(blank=True)
    """Which files, in the words of the library's own address; empty for all."""
    kinds = ArrayField(models.CharField(max_length=16), default=list, blank=True)
    """Of renditions; empty for what the policy wants."""
    total = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    """Files looked at, the failed included."""
    failed = models.PositiveIntegerField(default=0)
    bytes_before = models.PositiveBigIntegerField(default=0)
    """Of the copies that were replaced or dropped."""
    bytes_after = models.PositiveBigIntegerField(default=0)
    after = models.UUIDField(null=True, editable=False)
    """The last file that was done; ids sort by time."""
    asked_at = models.DateTimeField(auto_now_add=True)
    asked_by = models.CharField(max_length=64)
    reason = models.CharField(max_length=200, blank=True)
    paused_at = models.DateTimeField(null=True)
    cancelled_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    objects = Remakes.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="remake_is_not_both_finished_and_cancelled",
                condition=Q(finished_at=None) | Q(cancelled_at=None),
            ),
            models.CheckConstraint(
                name="remake_fails_no_more_than_it_did", condition=Q(failed__lte=models.F("done"))
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["workspace", "-asked_at"], name="remake_newest")]

    def __str__(self) -> str:
        return ids.text(self.id)

    @property
    def state(self) -> str:
        """finished, cancelled, paused or running."""
        if self.finished_at:
            return "finished"
        if self.cancelled_at:
            return "cancelled"
        return "paused" if self.paused_at else "running"
