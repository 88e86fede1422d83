"""What a CRM held when we looked, against what we had written: one row a pass, one row a file that was not as it should be."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from django.db import models
from django.db.models import F, Q

from acervo.base import ids
from acervo.models.connection import Connection
from acervo.models.media import MediaFile
from acervo.models.workspace import Workspace

if TYPE_CHECKING:
    from acervo.models.member import Member


class Reconciliations(models.QuerySet["Reconciliation"]):
    def visible_to(self, member: Member) -> Self:
        from acervo.models.member import Ability

        return self.filter(workspace=member.workspace_id) if member.can(Ability.OPERATE) else self.none()

    def running(self) -> Self:
        return self.filter(finished_at=None)


class Reconciliation(models.Model):
    """One pass over everything a CRM holds of us. It knows where it stands by the files themselves: those that were not
    looked at since it began."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="reconciliations")
    began_at = models.DateTimeField()
    asked_by = models.CharField(max_length=64)
    total = models.PositiveIntegerField(default=0)
    """Files the CRM held when it began."""
    looked_at = models.PositiveIntegerField(default=0)
    intact = models.PositiveIntegerField(default=0)
    drifted = models.PositiveIntegerField(default=0)
    cleared = models.PositiveIntegerField(default=0)
    deleted = models.PositiveIntegerField(default=0)
    doubled = models.PositiveIntegerField(default=0)
    closed = models.PositiveIntegerField(default=0)
    """Links that lead to a file which nobody can open any more."""
    address_code = models.CharField(max_length=32, null=True, blank=True)
    """Whether our own address answered, as `govern.reach` says it; None: nobody asked."""
    halted_by = models.CharField(max_length=32, null=True, blank=True)
    """The CrmErrorKind the last look ended with; None once a look went well again."""
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = Reconciliations.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["connection"],
                condition=Q(finished_at=None),
                name="crm_is_reconciled_by_one_pass_at_a_time",
            ),
            models.CheckConstraint(
                name="reconciliation_finds_no_more_intact_than_it_looked_at",
                condition=Q(intact__lte=F("looked_at")),
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["connection", "-began_at"], name="reconciliation_newest"),
        ]

    def __str__(self) -> str:
        return ids.text(self.id)


class Fault(models.TextChoices):
    DRIFTED = "drifted", "drifted"
    """Fields hold something else than we wrote."""
    CLEARED = "cleared", "cleared"
    """Fields were emptied."""
    DELETED = "deleted", "deleted"
    DOUBLED = "doubled", "doubled"
    CLOSED = "closed", "closed"
    """The link opens nothing: the file is no longer to be had here."""


class Settlement(models.TextChoices):
    REWRITTEN = "rewritten", "rewritten"
    """By policy or by hand: due to be written again."""
    LEFT = "left", "left"
    """Somebody said that it may stay as it is."""
    GONE = "gone", "gone"
    """A later look found nothing wrong any more."""


class Discrepancies(models.QuerySet["Discrepancy"]):
    def visible_to(self, member: Member) -> Self:
        return self.filter(workspace=member.workspace_id, media__in=MediaFile.objects.visible_to(member))

    def open(self) -> Self:
        return self.filter(settled_at=None)


class Discrepancy(models.Model):
    """One file that a CRM does not hold as we wrote it."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="discrepancies")
    media = models.ForeignKey(MediaFile, on_delete=models.CASCADE, related_name="discrepancies")
    reconciliation = models.ForeignKey(Reconciliation, on_delete=models.CASCADE, related_name="discrepancies")
    """The pass that found it first."""
    fault = models.CharField(max_length=12, choices=Fault)
    stood = models.JSONField(default=dict, blank=True)
    """What stood there, by our field names, shortened; emptied when the file is taken back."""
    copies = models.PositiveIntegerField(default=1)
    found_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, blank=True)
    settled_by = models.CharField(max_length=64, null=True, blank=True)
    settlement = models.CharField(max_length=12, choices=Settlement, null=True, blank=True)

    objects = Discrepancies.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["connection", "media"],
                condition=Q(settled_at=None),
                name="file_has_one_open_discrepancy_in_a_crm",
            ),
            models.CheckConstraint(name="discrepancy_fault_is_known", condition=Q(fault__in=Fault.values)),
            models.CheckConstraint(
                name="discrepancy_is_settled_by_somebody_somehow_or_open",
                condition=Q(settled_at=None, settled_by=None, settlement=None)
                | Q(settled_at__isnull=False, settled_by__isnull=False, settlement__in=Settlement.values),
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["connection", "-found_at"], name="discrepancy_open", condition=Q(settled_at=None)
            ),
            models.Index(fields=["reconciliation"], name="discrepancy_of_pass"),
            models.Index(fields=["media"], name="discrepancy_of_media"),
        ]

    def __str__(self) -> str:
        return ids.text(self.id)
