"""What a provider said about an account of ours: quality, bans, limits, lost access."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from django.db import models
from django.db.models import Q

from acervo.base import ids
from acervo.models.connection import Connection
from acervo.models.workspace import Workspace

if TYPE_CHECKING:
    from acervo.models.member import Member


class Severity(models.TextChoices):
    INFO = "info", "info"
    WARNING = "warning", "warning"
    CRITICAL = "critical", "critical"


class AccountEvents(models.QuerySet["AccountEvent"]):
    def visible_to(self, member: Member) -> Self:
        from acervo.models.member import Ability

        return self.filter(workspace=member.workspace_id) if member.can(Ability.OPERATE) else self.none()

    def pressing(self) -> Self:
        """Serious, and nobody has looked at them yet."""
        return self.filter(seen_at=None).exclude(severity=Severity.INFO)


class AccountEvent(models.Model):
    """Told once however often it comes: `key` is made of what was told and when (`receive.reported`)."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="account_events")
    key = models.CharField(max_length=64, editable=False)
    type = models.CharField(max_length=64)
    severity = models.CharField(max_length=8, choices=Severity)
    facts = models.JSONField(default=dict, blank=True)
    """Words, ids and numbers of the vendor: never a phone number, a name or a text."""
    at = models.DateTimeField()
    """When it happened, by the provider; when we heard of it, where the provider does not say."""
    received_at = models.DateTimeField()
    seen_at = models.DateTimeField(null=True, blank=True)
    seen_by = models.CharField(max_length=64, null=True, blank=True)

    objects = AccountEvents.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "key"], name="account_event_is_written_once"),
            models.CheckConstraint(
                name="account_event_severity_is_known", condition=Q(severity__in=Severity.values)
            ),
            models.CheckConstraint(
                name="account_event_is_seen_by_somebody_at_a_time_or_not",
                condition=Q(seen_at=None, seen_by=None) | Q(seen_at__isnull=False, seen_by__isnull=False),
            ),
        ]
        indexes = [
            models.Index(fields=["connection", "-at"], name="account_event_newest"),
            models.Index(
                fields=["workspace", "-at"],
                name="account_event_pressing",
                condition=Q(seen_at=None) & ~Q(severity="info"),
            ),
        ]

    def __str__(self) -> str:
        return ids.text(self.id)
