"""Who a person is in a CRM, as somebody said it where the CRM itself could not tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from django.db import models
from django.db.models import Q

from acervo.base import ids
from acervo.models.connection import Connection
from acervo.models.person import Person
from acervo.models.workspace import Workspace

if TYPE_CHECKING:
    from acervo.models.member import Member


class Verdict(models.TextChoices):
    CHOSEN = "chosen", "chosen"
    """One of the contacts that are there."""
    NEW = "new", "new"
    """None of them: a new contact was made."""
    LEFT_OUT = "left_out", "left_out"
    """This person's files do not go to this CRM."""


class ContactDecisions(models.QuerySet["ContactDecision"]):
    def visible_to(self, member: Member) -> Self:
        return self.filter(
            workspace=member.workspace_id, person__in=Person.objects.visible_to(member).values("pk")
        )

    def standing(self) -> Self:
        """Neither undone nor replaced."""
        return self.filter(undone_at=None)

    def to_take_out(self) -> Self:
        """Undone, and what was written in between is still where it was written."""
        return self.filter(undone_at__isnull=False, taken_out_at=None)


class ContactDecision(models.Model):
    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="contact_decisions")
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="contact_decisions")
    verdict = models.CharField(max_length=12, choices=Verdict)
    record_id = models.CharField(max_length=128, null=True, blank=True)
    """The contact in the CRM; None for a person who is left out."""
    reason = models.CharField(max_length=200, blank=True)
    """In the words of whoever decided."""
    stopped_because = models.CharField(max_length=32)
    """What the promises waited for before, and again if this is undone."""
    stopped_facts = models.JSONField(default=dict, blank=True)
    """The ids that were offered then."""
    decided_at = models.DateTimeField()
    decided_by = models.CharField(max_length=64)
    undone_at = models.DateTimeField(null=True, blank=True)
    undone_by = models.CharField(max_length=64, null=True, blank=True)
    taken_out_at = models.DateTimeField(null=True, blank=True)
    """When what was written because of it had left the CRM again, as far as the CRM lets go."""

    objects = ContactDecisions.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["connection", "person"],
                condition=Q(undone_at=None),
                name="person_is_decided_about_once_in_a_crm",
            ),
            models.CheckConstraint(name="contact_decision_is_known", condition=Q(verdict__in=Verdict.values)),
            models.CheckConstraint(
                name="contact_decision_names_a_record_or_leaves_the_person_out",
                condition=Q(verdict=Verdict.LEFT_OUT, record_id=None)
                | (~Q(verdict=Verdict.LEFT_OUT) & Q(record_id__isnull=False)),
            ),
            models.CheckConstraint(
                name="contact_decision_undo_has_a_time_and_an_author_or_neither",
                condition=Q(undone_at=None, undone_by=None)
                | Q(undone_at__isnull=False, undone_by__isnull=False),
            ),
            models.CheckConstraint(
                name="contact_decision_is_taken_out_once_it_was_undone",
                condition=Q(taken_out_at=None) | Q(undone_at__isnull=False),
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["workspace", "-decided_at"], name="contact_decision_newest"),
        ]

    def __str__(self) -> str:
        return ids.text(self.id)
