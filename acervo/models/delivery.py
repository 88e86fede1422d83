"""One promise to one CRM about one file, and what became of it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Self

from django.db import models
from django.db.models import Q

from acervo.base import ids
from acervo.models.backfill import Backfill
from acervo.models.connection import Connection
from acervo.models.media import MediaFile
from acervo.models.workspace import Workspace

if TYPE_CHECKING:
    from acervo.models.member import Member


class Deliveries(models.QuerySet["Delivery"]):
    def visible_to(self, member: Member) -> Self:
        return self.filter(workspace=member.workspace_id, media__in=MediaFile.objects.visible_to(member))

    def stopped(self) -> Self:
        """Only a person can go on, in a CRM that is still connected."""
        return self.filter(stopped_at__isnull=False, connection__removed_at=None)

    def due(self, at: datetime) -> Self:
        """Promises that may be kept now: neither kept, given up, waiting for a person, in other hands, nor of a
        backfill that is paused."""
        return self.filter(
            Q(claimed_until=None) | Q(claimed_until__lte=at),
            Q(backfill=None) | Q(backfill__paused_at=None),
            delivered_at=None,
            stopped_at=None,
            due_at__lte=at,
            connection__paused_at=None,
            connection__removed_at=None,
        )


class Delivery(models.Model):
    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="deliveries")
    media = models.ForeignKey(MediaFile, on_delete=models.CASCADE, related_name="deliveries")
    backfill = models.ForeignKey(
        Backfill, on_delete=models.SET_NULL, null=True, related_name="deliveries", db_index=False
    )
    """The run that promised it, until it is kept or a person takes it up: it goes after all others."""
    operation = models.CharField(max_length=8, default="upsert")
    promised_at = models.DateTimeField()
    due_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    claimed_until = models.DateTimeField(null=True, blank=True)
    payload_hash = models.CharField(max_length=64, null=True, blank=True)
    """Of what was last written: an unchanged file costs no call."""
    mapping_version = models.PositiveIntegerField(default=0, db_default=0)
    """Of the mapping it was last written with; 0: nobody had changed anything."""
    delivered_at = models.DateTimeField(null=True, blank=True)
    verified_at = models.DateTimeField(null=True, blank=True)
    """When reconciliation last found the record as written."""
    refusal = models.CharField(max_length=32, null=True, blank=True)
    """The last CrmErrorKind; worded by `web.words`."""
    refusal_facts = models.JSONField(default=dict, blank=True)
    """status, vendor_code, correlation_id, and for `ambiguous` the candidate record ids."""
    refused_at = models.DateTimeField(null=True, blank=True)
    stopped_at = models.DateTimeField(null=True, blank=True)
    """Set when only a person can go on (ambiguous, validation, forbidden)."""

    objects = Deliveries.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "media", "operation"], name="file_is_promised_to_a_crm_once"
            ),
            models.CheckConstraint(
                name="delivery_is_not_both_kept_and_stopped",
                condition=Q(delivered_at=None) | Q(stopped_at=None),
            ),
            models.CheckConstraint(
                name="delivery_refusal_has_a_time_and_a_reason_or_neither",
                condition=Q(refusal=None, refused_at=None)
                | Q(refusal__isnull=False, refused_at__isnull=False),
            ),
        ]
        indexes = [
            models.Index(
                fields=["connection", "due_at"],
                name="delivery_due",
                condition=Q(delivered_at=None, stopped_at=None),
            ),
            models.Index(fields=["media"], name="delivery_of_media"),
            models.Index(
                fields=["workspace", "-delivered_at"],
                name="delivery_newest",
                condition=Q(delivered_at__isnull=False),
            ),
            models.Index(
                fields=["workspace", "-refused_at"],
                name="delivery_newest_refusal",
                condition=Q(refused_at__isnull=False),
            ),
            models.Index(
                fields=["connection", "verified_at"],
                name="delivery_to_verify",
                condition=Q(delivered_at__isnull=False),
            ),
            models.Index(
                fields=["connection", "refusal"],
                name="delivery_stopped",
                condition=Q(stopped_at__isnull=False),
            ),
            models.Index(
                fields=["connection"], name="delivery_in_hand", condition=Q(claimed_until__isnull=False)
            ),
            models.Index(
                fields=["backfill"], name="delivery_of_backfill", condition=Q(backfill__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return ids.text(self.id)

    @property
    def state(self) -> str:
        """delivered, stopped (a person must act), trying (refused before) or queued."""
        if self.delivered_at:
            return "delivered"
        if self.stopped_at:
            return "stopped"
        return "trying" if self.refusal else "queued"
