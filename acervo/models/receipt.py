"""A webhook as it arrived, whole; never edited, kept for replay. Only those we sent ourselves go (`receive.probed`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from django.db import models
from django.db.models import Q

from acervo.base import ids
from acervo.models.connection import Connection
from acervo.models.workspace import Workspace

if TYPE_CHECKING:
    from acervo.models.member import Member


class Receipts(models.QuerySet["Receipt"]):
    def visible_to(self, member: Member) -> Self:
        from acervo.models.member import Ability

        return self.filter(workspace=member.workspace_id) if member.can(Ability.OPERATE) else self.none()

    def waiting(self) -> Self:
        return self.filter(read_at=None)

    def unread(self) -> Self:
        """Read, but with parts we could not make sense of."""
        return self.filter(read_at__isnull=False).exclude(unread=[])


class Receipt(models.Model):
    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="receipts")
    received_at = models.DateTimeField()
    headers = models.JSONField(default=dict)
    body = models.BinaryField()
    read_at = models.DateTimeField(null=True, blank=True)
    unread = models.JSONField(default=list, blank=True)
    """What could not be read: a list of `{pointer, type, reason}`, without values of the payload."""

    objects = Receipts.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["id"], name="receipt_waiting", condition=Q(read_at=None)),
            models.Index(fields=["workspace", "-id"], name="receipt_unread", condition=~Q(unread=[])),
            models.Index(fields=["connection", "-received_at"], name="receipt_of_connection"),
        ]

    def __str__(self) -> str:
        return ids.text(self.id)
