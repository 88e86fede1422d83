"""Chats, and the messages that place a file in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from django.db import models
from django.db.models import Q
from django.db.models.fields.json import KeyTransform

from acervo.base import ids
from acervo.models.chat_import import ChatImport
from acervo.models.connection import Connection
from acervo.models.person import Person
from acervo.models.workspace import Workspace

if TYPE_CHECKING:
    from acervo.models.member import Member


class Chats(models.QuerySet["Chat"]):
    def visible_to(self, member: Member) -> Self:
        return self.filter(
            workspace=member.workspace_id, connection__in=Connection.objects.visible_to(member)
        )


class Chat(models.Model):
    """All that one person and one account of ours said to each other."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="chats")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="chats")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = Chats.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "person"], name="person_has_one_chat_with_an_account"
            )
        ]

    def __str__(self) -> str:
        return ids.text(self.id)


class Direction(models.TextChoices):
    INBOUND = "in", "in"
    OUTBOUND = "out", "out"


class Message(models.Model):
    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="+")
    chat = models.ForeignKey(Chat, on_delete=models.PROTECT, related_name="messages")
    receipt_id = models.UUIDField(null=True, editable=False)
    """The receipt that announced it first; no foreign key, receipts may be pruned."""
    provider_id = models.CharField(max_length=256)
    direction = models.CharField(max_length=3, choices=Direction)
    type = models.CharField(max_length=32)
    text = models.TextField(null=True, blank=True)
    sent_at = models.DateTimeField()
    reply_to = models.CharField(max_length=256, null=True, blank=True)
    is_forwarded = models.BooleanField(default=False)
    extra = models.JSONField(default=dict, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    """When the sender took it back; what then happens to files is policy."""
    chat_import = models.ForeignKey(
        ChatImport, on_delete=models.PROTECT, null=True, blank=True, related_name="messages", db_index=False
    )
    """Where it comes from a chat export: then its author, its time and its text are claims of that file."""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "provider_id"], name="message_is_announced_once"),
            models.CheckConstraint(
                name="message_direction_is_known", condition=Q(direction__in=Direction.values)
            ),
        ]
        indexes = [
            models.Index(fields=["chat", "-sent_at"], name="message_in_chat"),
            models.Index(
                fields=["chat_import", "id"],
                name="message_of_chat_import",
                condition=Q(chat_import__isnull=False),
            ),
            # Who points to a file that an import is about to take out.
            models.Index(
                KeyTransform("same_as", "extra"),
                name="message_same_as",
                condition=Q(extra__has_key="same_as"),
            ),
        ]

    def __str__(self) -> str:
        return ids.text(self.id)
