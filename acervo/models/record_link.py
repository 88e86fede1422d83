"""This person or this file belongs to that CRM record, because…"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from django.db import models
from django.db.models import Q

from acervo.base import ids
from acervo.models.connection import Connection
from acervo.models.media import MediaFile
from acervo.models.person import Person
from acervo.models.workspace import Workspace

if TYPE_CHECKING:
    from acervo.models.member import Member


class RecordLinks(models.QuerySet["RecordLink"]):
    def visible_to(self, member: Member) -> Self:
        """Of people and files that are."""
        people, files = Person.objects.visible_to(member), MediaFile.objects.visible_to(member)
        return self.filter(Q(person__in=people) | Q(media__in=files), workspace=member.workspace_id)


class RecordLink(models.Model):
    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="record_links")
    person = models.ForeignKey(Person, on_delete=models.CASCADE, null=True, related_name="record_links")
    media = models.ForeignKey(MediaFile, on_delete=models.CASCADE, null=True, related_name="record_links")
    object_type = models.CharField(max_length=24)
    record_id = models.CharField(max_length=128)
    url = models.URLField(max_length=500, null=True, blank=True)
    reason = models.CharField(max_length=32)
    """matched_phone, created, chosen, written, moved, rule."""
    linked_by = models.CharField(max_length=64)
    linked_at = models.DateTimeField()
    untie_asked_at = models.DateTimeField(null=True, blank=True)
    """When somebody wanted the file off this deal or ticket again; the row goes once the CRM let go."""
    untie_asked_by = models.CharField(max_length=64, null=True, blank=True)
    untie_refusal = models.CharField(max_length=32, null=True, blank=True)
    """Why the CRM does not let go, as a CrmErrorKind."""

    objects = RecordLinks.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="link_is_of_a_person_or_of_a_file",
                condition=Q(person=None, media__isnull=False) | Q(person__isnull=False, media=None),
            ),
            models.UniqueConstraint(
                fields=["connection", "person", "object_type"],
                condition=Q(person__isnull=False),
                name="person_has_one_record_of_a_type_in_a_crm",
            ),
            models.UniqueConstraint(
                fields=["connection", "media", "object_type"],
                condition=Q(media__isnull=False),
                name="file_has_one_record_of_a_type_in_a_crm",
            ),
            models.CheckConstraint(
                name="untying_has_a_time_and_an_author_or_neither",
                condition=Q(untie_asked_at=None, untie_asked_by=None, untie_refusal=None)
                | Q(untie_asked_at__isnull=False, untie_asked_by__isnull=False),
            ),
            models.CheckConstraint(
                name="only_a_file_is_untied", condition=Q(untie_asked_at=None) | Q(media__isnull=False)
            ),
        ]
        indexes = [
            models.Index(fields=["connection", "record_id"], name="link_by_record"),
            models.Index(
                fields=["untie_asked_at"], name="link_to_untie", condition=Q(untie_asked_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return ids.text(self.id)
