"""Long work over many files that somebody asked for: it may be paused and ended, and goes on after any interruption."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, TypeVar

from django.db import models

from acervo.base import ids

if TYPE_CHECKING:
    from acervo.models.member import Member

Kind = TypeVar("Kind", bound=models.Model)


class Runs(models.QuerySet[Kind]):
    def visible_to(self, member: Member) -> Self:
        return self.filter(workspace=member.workspace_id) if member.is_active else self.none()

    def unfinished(self) -> Self:
        return self.filter(finished_at=None, cancelled_at=None)

    def running(self) -> Self:
        return self.unfinished().filter(paused_at=None)


class Run(models.Model):
    """It goes from the newest file it was asked for to the oldest, and knows where it stands."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    query = models.TextField(blank=True)
    """Which files, in the words of the library's own address; empty for all."""
    total = models.PositiveIntegerField(default=0)
    """Files there were when it was asked for."""
    after = models.UUIDField(null=True, editable=False)
    """The last file it looked at; ids sort by time."""
    asked_at = models.DateTimeField(auto_now_add=True)
    asked_by = models.CharField(max_length=64)
    paused_at = models.DateTimeField(null=True)
    cancelled_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return ids.text(self.id)

    @property
    def is_over(self) -> bool:
        return bool(self.finished_at or self.cancelled_at)

    @property
    def state(self) -> str:
        """finished, cancelled, paused or running."""
        if self.finished_at:
            return "finished"
        if self.cancelled_at:
            return "cancelled"
        return "paused" if self.paused_at else "running"
