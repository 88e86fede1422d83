"""Files from before that one CRM shall have too."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from acervo.models.connection import Connection
from acervo.models.run import Run, Runs
from acervo.models.workspace import Workspace


class Backfills(Runs["Backfill"]):
    pass


class Backfill(Run):
    """It promises files a portion at a time; the promises are kept like all others, after everything that arrives
    meanwhile. `total` are the files that were not promised to this CRM when it was asked for."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="backfills")
    people = models.PositiveIntegerField(default=0)
    """Whose files they were."""
    calls = models.PositiveIntegerField(default=0)
    """What it was expected to cost."""
    promised = models.PositiveIntegerField(default=0)
    written = models.PositiveIntegerField(default=0)
    unchanged = models.PositiveIntegerField(default=0)
    """The CRM held them already."""

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
