"""Copies made anew over many files, after a policy or a tool changed."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from acervo.models.run import Run, Runs
from acervo.models.workspace import Workspace


class Remakes(Runs["Remake"]):
    pass


class Remake(Run):
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="remakes")
    kinds = ArrayField(models.CharField(max_length=16), default=list, blank=True)
    """Of renditions; empty for what the policy wants."""
    done = models.PositiveIntegerField(default=0)
    """Files looked at, the failed included."""
    failed = models.PositiveIntegerField(default=0)
    bytes_before = models.PositiveBigIntegerField(default=0)
    """Of the copies that were replaced or dropped."""
    bytes_after = models.PositiveBigIntegerField(default=0)
    reason = models.CharField(max_length=200, blank=True)

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
