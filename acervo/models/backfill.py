"""Files from before that one CRM shall have too."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from django.db import models
from django.db.models import F, Q

from acervo.base import ids
from acervo.models.connection import Connection
from acervo.models.workspace import Workspace

if TYPE_CHECKING:
    from acervo.models.member import Member


class Backfills(models.QuerySet["Backfill"]):
    def visible_to(self, member: Member) -> Self:
        return self.filter(workspace=member.workspace_id) if member.is_active else self.none()

    def unfinished(self) -> Self:
        return self.filter(finished_at=None, cancelled_at=None)

    def running(self) -> Self:
        return self.unfinished().filter(paused_at=None)


class Backfill(models.Model):
    """One run. It promises files a portion at a time, from the newest to the oldest, and knows where it stands; the
    promises are kept like all others, after everything that arrives meanwhile."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="backfills")
    query = models.TextField(blank=True)
    """Which files, in the words of the library's own address; empty for all."""
    total = models.PositiveIntegerField(default=0)
    """Files that fitted and were not promised to this CRM when the run was asked for."""
    people = models.PositiveIntegerField(default=0)
    """Whose files they were."""
    calls = models.PositiveIntegerField(default=0)
    """What it was expected to cost."""
    promised = models.PositiveIntegerField(default=0)
    written = models.PositiveIntegerField(default=0)
    unchanged = models.PositiveIntegerField(default=0)
    """The CRM held them already."""
    after = models.UUIDField(null=True, editable=False)
    """The last file it looked at; ids sort by time."""
    asked_at = models.DateTimeField(auto_now_add=True)
    asked_by = models.CharField(max_length=64)
    paused_at = models.DateTimeField(null=True)
    cancelled_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    objects = Backfills.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="backfill_is_not_both_finished_and_cancelled",
                condition=Q(finished_at=None) | Q(cancelled_at=None),
            ),
            models.CheckConstraint(
                name="backfill_writes_no_more_than_it_promised",
                condition=Q(promised__gte=F("written") + F("unchanged")),
            ),
            models.UniqueConstraint(
                fields=["connection"],
                condition=Q(finished_at=None, cancelled_at=None),
                name="crm_has_one_backfill_at_a_time",
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["connection", "-asked_at"], name="backfill_newest")]

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
