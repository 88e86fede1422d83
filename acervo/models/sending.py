"""A message of ours to a customer: what was asked, whether it left, and what became of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar, Final, Self
from uuid import UUID

from django.db import models
from django.db.models import Q

from acervo.base import clock, ids
from acervo.models.connection import Connection
from acervo.models.media import MediaFile
from acervo.models.message import Chat, Message
from acervo.models.workspace import Workspace

if TYPE_CHECKING:
    from acervo.models.member import Member

SILENT_AFTER: Final = timedelta(minutes=2)
"""Far longer than a provider is waited for: what left and has no answer by then has lost whoever sent it."""
TIMED_OUT: Final = "timed_out"


class SendingPurpose(models.TextChoices):
    BY_HAND = "by_hand", "by_hand"
    FILE_NOT_TAKEN = "file_not_taken", "file_not_taken"
    """A file of theirs could not be kept."""
    CONSENT_ASKED = "consent_asked", "consent_asked"
    """May we keep what they send? Answered by a button."""


class Sendings(models.QuerySet["Sending"]):
    def visible_to(self, member: Member) -> Self:
        """Of chats the member sees, except what was said about a file the member does not."""
        seen = Q(media=None) | Q(media__in=MediaFile.objects.visible_to(member))
        return self.filter(seen, chat__in=Chat.objects.visible_to(member))

    def due(self, at: datetime) -> Self:
        """Asked for and still to leave."""
        return self.filter(tried_at=None, failed_at=None, due_at__lte=at)

    def on_their_way(self, at: datetime) -> Self:
        """They left, and the provider may be about to answer."""
        return self.filter(accepted_at=None, failed_at=None, refused_at=None, tried_at__gt=at - SILENT_AFTER)


class Sending(models.Model):
    """Its id is made by whoever asks, so that asking twice sends once."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="+")
    chat = models.ForeignKey(Chat, on_delete=models.PROTECT, related_name="sendings")
    purpose = models.CharField(max_length=16, choices=SendingPurpose)
    text = models.TextField(null=True, blank=True)
    template = models.JSONField(null=True, blank=True)
    """`providers.sending.Template`: name, language, values, options."""
    buttons = models.JSONField(default=list, blank=True)
    """Of each its id and title."""
    answers = models.ForeignKey(
        Message, on_delete=models.SET_NULL, null=True, blank=True, related_name="answered_by"
    )
    media = models.ForeignKey(
        MediaFile, on_delete=models.SET_NULL, null=True, blank=True, related_name="sendings"
    )
    """What it is about."""
    repeats = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="repeated_by"
    )
    asked_at = models.DateTimeField()
    asked_by = models.CharField(max_length=64)

    due_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    tried_at = models.DateTimeField(null=True, blank=True)
    """Committed before the request leaves. Taken back only when the provider surely did not take the message."""
    accepted_at = models.DateTimeField(null=True, blank=True)
    provider_id = models.CharField(max_length=256, null=True, blank=True)
    message = models.OneToOneField(
        Message, on_delete=models.PROTECT, null=True, blank=True, related_name="sending"
    )
    """Its place in the chat."""
    sent_at = models.DateTimeField(null=True, blank=True)
    delivered_at = models.DateTimeField(null=True, blank=True)
    read_at = models.DateTimeField(null=True, blank=True)
    failed_at = models.DateTimeField(null=True, blank=True)
    """When it became certain that it does not reach them; `refusal` says why."""
    refusal = models.CharField(max_length=32, null=True, blank=True)
    """A code of `web.words`."""
    refused_at = models.DateTimeField(null=True, blank=True)
    vendor_code = models.CharField(max_length=32, blank=True)
    """The provider's own word for why, for its support."""

    objects = Sendings.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="sending_is_a_text_or_a_template",
                condition=Q(text=None, template__isnull=False) | Q(text__isnull=False, template=None),
            ),
            models.CheckConstraint(
                name="sending_purpose_is_known", condition=Q(purpose__in=SendingPurpose.values)
            ),
            models.CheckConstraint(
                name="sending_is_accepted_only_once_tried",
                condition=Q(accepted_at=None) | Q(tried_at__isnull=False),
            ),
            models.CheckConstraint(
                name="accepted_sending_has_an_id_and_a_place_in_its_chat",
                condition=Q(accepted_at=None, provider_id=None, message=None)
                | Q(accepted_at__isnull=False, provider_id__isnull=False, message__isnull=False),
            ),
            models.UniqueConstraint(
                fields=["connection", "provider_id"],
                condition=Q(provider_id__isnull=False),
                name="sending_is_known_by_its_id_once",
            ),
            models.CheckConstraint(
                name="sending_arrives_only_once_accepted",
                condition=Q(accepted_at__isnull=False) | Q(sent_at=None, delivered_at=None, read_at=None),
            ),
            models.CheckConstraint(
                name="sending_did_not_both_arrive_and_fail",
                condition=Q(failed_at=None) | Q(delivered_at=None, read_at=None),
            ),
            models.CheckConstraint(
                name="sending_refusal_has_a_time_and_a_reason_or_neither",
                condition=Q(refusal=None, refused_at=None)
                | Q(refusal__isnull=False, refused_at__isnull=False),
            ),
            models.CheckConstraint(
                name="failed_sending_says_why", condition=Q(failed_at=None) | Q(refusal__isnull=False)
            ),
            models.UniqueConstraint(
                fields=["answers"],
                condition=Q(purpose=SendingPurpose.FILE_NOT_TAKEN, repeats=None),
                name="message_is_told_once_that_its_file_was_not_taken",
            ),
            models.UniqueConstraint(
                fields=["repeats"],
                condition=Q(repeats__isnull=False),
                name="sending_is_repeated_once",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["due_at"], name="sending_due", condition=Q(tried_at=None, failed_at=None)),
            models.Index(fields=["chat", "-asked_at"], name="sending_in_chat"),
            models.Index(
                fields=["connection"],
                name="sending_asks_consent",
                condition=Q(purpose=SendingPurpose.CONSENT_ASKED),
            ),
            models.Index(
                fields=["connection", "tried_at"],
                name="sending_on_its_way",
                condition=Q(accepted_at=None, failed_at=None, tried_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return ids.text(self.id)

    @property
    def slug(self) -> str:
        return ids.text(self.id)

    @property
    def said(self) -> str:
        """Its text, or the name of its template."""
        return self.text if self.text is not None else str((self.template or {}).get("name", ""))

    @property
    def state(self) -> str:
        """read, delivered, failed, sent, accepted, unknown (it left, and nobody knows), sending, delayed or queued."""
        if self.read_at:
            return "read"
        if self.delivered_at:
            return "delivered"
        if self.failed_at:
            return "failed"
        if self.accepted_at:
            return "sent" if self.sent_at else "accepted"
        if self.tried_at:
            is_silent = self.refused_at is not None or self.tried_at <= clock.now() - SILENT_AFTER
            return "unknown" if is_silent else "sending"
        return "delayed" if self.refusal else "queued"

    @property
    def may_be_cancelled(self) -> bool:
        return self.tried_at is None and self.failed_at is None

    @property
    def may_be_repeated(self) -> bool:
        """Only a person does: it may have arrived."""
        return self.state in ("failed", "unknown")


class EarlyStatus(models.Model):
    """What a provider told of a message before its own answer told us the id. It waits here for minutes."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="+")
    provider_id = models.CharField(max_length=256)
    status = models.CharField(max_length=16)
    at = models.DateTimeField()
    refusal = models.CharField(max_length=32, blank=True)
    vendor_code = models.CharField(max_length=32, blank=True)
    heard_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["connection", "provider_id", "status"], name="early_status_is_heard_once"
            )
        ]
        indexes: ClassVar = [models.Index(fields=["heard_at"], name="early_status_by_age")]

    def __str__(self) -> str:
        return ids.text(self.id)


class AnswerPolicy(models.Model):
    """What a workspace says by itself, and in which words; without a row nothing, and ours."""

    workspace = models.OneToOneField(
        Workspace, on_delete=models.CASCADE, primary_key=True, related_name="answer_policy"
    )
    tells_not_taken_since = models.DateTimeField(null=True, blank=True)
    """From then on, whoever sent a file that could not be kept is told so; None: nobody is, by itself."""
    wordings = models.JSONField(default=dict, blank=True)
    """By purpose, then by language; what is missing is said in our own words."""
    changed_at = models.DateTimeField(auto_now=True)
    changed_by = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"answers of {self.workspace_id}"

    @classmethod
    def of(cls, workspace_id: UUID) -> AnswerPolicy:
        """The workspace's own, or an unsaved one with the defaults."""
        return cls.objects.filter(pk=workspace_id).first() or cls(workspace_id=workspace_id)
