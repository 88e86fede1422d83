"""Somebody who writes to us, and the identifiers they are known by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from django.db import models
from django.db.models import Q

from acervo.base import ids
from acervo.models.workspace import Workspace

if TYPE_CHECKING:
    from acervo.models.member import Member


class People(models.QuerySet["Person"]):
    def visible_to(self, member: Member) -> Self:
        """People with at least one file this member may see; everybody, where nothing narrows the member."""
        from acervo.models.media import MediaFile

        found = (
            self.filter(workspace=member.workspace_id, merged_into=None) if member.is_active else self.none()
        )
        if member.limits() is None:
            return found
        return found.filter(id__in=MediaFile.objects.visible_to(member).values("person_id"))


class Person(models.Model):
    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="people")
    name = models.CharField(max_length=256, blank=True)
    """As WhatsApp shows it; empty when unknown."""
    created_at = models.DateTimeField(auto_now_add=True)
    merged_into = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="merged"
    )
    merged_at = models.DateTimeField(null=True, blank=True)

    objects = People.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="person_merge_has_a_time_and_a_target_or_neither",
                condition=Q(merged_into=None, merged_at=None)
                | Q(merged_into__isnull=False, merged_at__isnull=False),
            ),
            models.CheckConstraint(
                name="person_is_not_merged_into_themselves", condition=~Q(merged_into=models.F("id"))
            ),
        ]
        indexes = [models.Index(fields=["workspace", "name"], name="person_by_name")]

    def __str__(self) -> str:
        return ids.text(self.id)


class PersonIdentifier(models.Model):
    """One way to know a person. The business-scoped user id comes first; a phone number may be absent."""

    class Kind(models.TextChoices):
        USER_ID = "user_id", "user_id"
        PARENT_USER_ID = "parent_user_id", "parent_user_id"
        PHONE = "phone", "phone"
        """E.164 with plus sign."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="identifiers")
    kind = models.CharField(max_length=16, choices=Kind)
    value = models.CharField(max_length=160)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "kind", "value"], name="identifier_means_one_person"
            ),
            models.CheckConstraint(name="identifier_is_not_empty", condition=~Q(value="")),
        ]

    def __str__(self) -> str:
        return ids.text(self.id)
