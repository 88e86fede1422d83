"""What a customer answered when we asked for consent, with the message that proves it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Coalesce

from acervo.base import ids
from acervo.models.message import Message
from acervo.models.person import Person
from acervo.models.sending import Sending
from acervo.models.workspace import Workspace

if TYPE_CHECKING:
    from acervo.models.member import Member


class ConsentAnswers(models.QuerySet["ConsentAnswer"]):
    def visible_to(self, member: Member) -> Self:
        return self.filter(person__in=Person.objects.visible_to(member))

    def newest_first(self) -> Self:
        return self.order_by(Coalesce("given_at", "refused_at").desc(), "-id")


class ConsentAnswer(models.Model):
    """What a customer answered to a question of ours, and the message that proves it. The newest one counts."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="consent_answers")
    sending = models.ForeignKey(Sending, on_delete=models.PROTECT, related_name="consent_answers")
    """The question, in the words they saw."""
    message = models.OneToOneField(Message, on_delete=models.PROTECT, related_name="consent_answer")
    """The proof."""
    given_at = models.DateTimeField(null=True, blank=True)
    refused_at = models.DateTimeField(null=True, blank=True)

    objects = ConsentAnswers.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="consent_is_given_or_refused_but_not_both",
                condition=Q(given_at=None, refused_at__isnull=False)
                | Q(given_at__isnull=False, refused_at=None),
            )
        ]

    def __str__(self) -> str:
        return ids.text(self.id)

    @property
    def is_given(self) -> bool:
        return self.given_at is not None

    @property
    def answered_at(self) -> datetime | None:
        return self.given_at or self.refused_at
