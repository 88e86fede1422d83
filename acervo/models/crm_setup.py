"""Our fields in a CRM: what was found there, what is to be made, and how far that got."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from django.db import models
from django.db.models import Q

from acervo.base import ids
from acervo.models.connection import Connection

if TYPE_CHECKING:
    from acervo.models.member import Member


class CrmSetups(models.QuerySet["CrmSetup"]):
    def visible_to(self, member: Member) -> Self:
        return self.filter(connection__in=Connection.objects.visible_to(member))

    def unfinished(self) -> Self:
        return self.filter(finished_at=None, connection__removed_at=None)


class CrmSetup(models.Model):
    """One row a CRM. Until it is finished the connection is paused, so that nothing is written there unasked."""

    connection = models.OneToOneField(
        Connection, on_delete=models.PROTECT, primary_key=True, related_name="crm_setup"
    )
    begun_at = models.DateTimeField(auto_now_add=True)
    begun_by = models.CharField(max_length=64)
    report = models.JSONField(default=dict, blank=True)
    """What a look, or the making, last found: `created`, `existing`, `conflicts` and `model`; names of fields."""
    looked_at = models.DateTimeField(null=True, blank=True)
    asked_at = models.DateTimeField(null=True, blank=True)
    """When somebody said that the fields may be made."""
    asked_by = models.CharField(max_length=64, null=True, blank=True)
    made = models.JSONField(default=list, blank=True)
    """Names, as they are made."""
    made_at = models.DateTimeField(null=True, blank=True)
    """When all of them were there."""
    refusal = models.CharField(max_length=32, null=True, blank=True)
    """A CrmErrorKind: why looking or making stopped."""
    refusal_code = models.CharField(max_length=64, blank=True, default="")
    """The CRM's own word for it, where it has one."""
    refused_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    """When files began to go there."""
    finished_by = models.CharField(max_length=64, null=True, blank=True)

    objects = CrmSetups.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="crm_fields_are_asked_for_by_somebody",
                condition=Q(asked_at=None, asked_by=None) | Q(asked_at__isnull=False, asked_by__isnull=False),
            ),
            models.CheckConstraint(
                name="crm_setup_refusal_has_a_time_and_a_reason_or_neither",
                condition=Q(refusal=None, refused_at=None)
                | Q(refusal__isnull=False, refused_at__isnull=False),
            ),
            models.CheckConstraint(
                name="crm_setup_end_has_a_time_and_an_author_or_neither",
                condition=Q(finished_at=None, finished_by=None)
                | Q(finished_at__isnull=False, finished_by__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return ids.text(self.connection_id)

    @property
    def is_making(self) -> bool:
        """Asked for, and neither done nor refused since."""
        if self.asked_at is None:
            return False
        ends = [at for at in (self.made_at, self.refused_at) if at is not None and at >= self.asked_at]
        return not ends
