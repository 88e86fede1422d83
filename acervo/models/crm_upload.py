"""The bytes of a file in a CRM, where somebody wants them there: asked for, put there, and taken out again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self
from uuid import UUID

from django.db import models
from django.db.models import Q

from acervo.base import ids
from acervo.models.connection import Connection
from acervo.models.media import MediaFile
from acervo.models.workspace import Workspace

if TYPE_CHECKING:
    from acervo.models.member import Member


AFRESH: Final[Mapping[str, Any]] = {
    "attempts": 0, "stopped_at": None, "refusal": None, "refusal_facts": {}, "refused_at": None,
}  # fmt: skip
"""Columns of an upload that nothing has stood in the way of."""


class CrmUploads(models.QuerySet["CrmUpload"]):
    def visible_to(self, member: Member) -> Self:
        return self.filter(
            workspace=member.workspace_id, media__in=MediaFile.objects.visible_to(member).values("pk")
        )

    def due(self, at: datetime) -> Self:
        """To be put there, or taken out, and in nobody's hands."""
        is_free = Q(claimed_until=None) | Q(claimed_until__lte=at)
        is_open = Q(uploaded_at=None) | Q(remove_asked_at__isnull=False)
        return self.filter(is_free, is_open, stopped_at=None, due_at__lte=at)

    def take_out(self, *, by: str, at: datetime) -> int:
        """Whatever may be there is to leave, and what was never tried is wanted no more; returns how many leave that did
        not before."""
        self.filter(holder_id="").delete()
        return self.filter(remove_asked_at=None).update(
            **AFRESH, remove_asked_at=at, remove_asked_by=by, due_at=at
        )


class CrmUpload(models.Model):
    """Its row goes when the bytes are out of the CRM again."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="uploads")
    media = models.ForeignKey(MediaFile, on_delete=models.SET_NULL, null=True, related_name="uploads")
    """None: the file is gone with the import that brought it, and the bytes are still to follow."""
    asked_at = models.DateTimeField()
    asked_by = models.CharField(max_length=64)
    due_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    claimed_until = models.DateTimeField(null=True, blank=True)
    file_name = models.CharField(max_length=80, blank=True)
    """What it is called there: kind and id. Set with the holder, before the first try."""
    holder_type = models.CharField(max_length=24, blank=True)
    holder_id = models.CharField(max_length=128, blank=True)
    """The CRM's record that it hangs on. Set before the first try: from then on the bytes may be there."""
    file_id = models.CharField(max_length=256, blank=True)
    """The CRM's own id of the bytes."""
    size_bytes = models.PositiveBigIntegerField(null=True, blank=True)
    uploaded_at = models.DateTimeField(null=True, blank=True)
    refusal = models.CharField(max_length=32, null=True, blank=True)
    """A CrmErrorKind, `too_large`, or the code of an error of our storage; worded by `web.words`."""
    refusal_facts = models.JSONField(default=dict, blank=True)
    refused_at = models.DateTimeField(null=True, blank=True)
    stopped_at = models.DateTimeField(null=True, blank=True)
    """Only a person can go on."""
    remove_asked_at = models.DateTimeField(null=True, blank=True)
    remove_asked_by = models.CharField(max_length=64, null=True, blank=True)

    objects = CrmUploads.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["connection", "media"], name="file_is_uploaded_to_a_crm_once"),
            models.CheckConstraint(
                name="uploaded_bytes_have_an_id_and_a_holder",
                condition=Q(uploaded_at=None) | (~Q(file_id="") & ~Q(holder_id="")),
            ),
            models.CheckConstraint(
                name="upload_holder_is_named_with_the_file",
                condition=Q(holder_id="", holder_type="", file_name="")
                | (~Q(holder_id="") & ~Q(holder_type="") & ~Q(file_name="")),
            ),
            models.CheckConstraint(
                name="upload_without_its_file_is_to_leave",
                condition=Q(media__isnull=False) | (Q(remove_asked_at__isnull=False) & ~Q(file_name="")),
            ),
            models.CheckConstraint(
                name="upload_is_not_both_done_and_stopped",
                condition=Q(uploaded_at=None) | Q(stopped_at=None) | Q(remove_asked_at__isnull=False),
            ),
            models.CheckConstraint(
                name="upload_refusal_has_a_time_and_a_reason_or_neither",
                condition=Q(refusal=None, refused_at=None)
                | Q(refusal__isnull=False, refused_at__isnull=False),
            ),
            models.CheckConstraint(
                name="upload_removal_has_a_time_and_an_author_or_neither",
                condition=Q(remove_asked_at=None, remove_asked_by=None)
                | Q(remove_asked_at__isnull=False, remove_asked_by__isnull=False),
            ),
        ]
        indexes: ClassVar = [
            models.Index(  # as they are taken: among a million that wait, the newest is one step away
                fields=["connection", "-asked_at", "-id"],
                name="upload_to_go",
                condition=Q(stopped_at=None, uploaded_at=None, remove_asked_at=None),
            ),
            models.Index(
                fields=["connection", "due_at", "id"],
                name="upload_to_leave",
                condition=Q(stopped_at=None, remove_asked_at__isnull=False),
            ),
            models.Index(fields=["media"], name="upload_of_media"),
        ]

    def __str__(self) -> str:
        return ids.text(self.id)

    @property
    def file(self) -> UUID:
        """The file's id, also where its row is gone."""
        if self.media_id:
            return self.media_id
        return ids.parse(self.file_name.partition("-")[2].partition(".")[0])

    @property
    def state(self) -> str:
        """there, leaving, stuck (it could not leave), stopped (a person must act), trying (refused before) or queued."""
        if self.remove_asked_at:
            return "stuck" if self.stopped_at else "leaving"
        if self.uploaded_at:
            return "there"
        if self.stopped_at:
            return "stopped"
        return "trying" if self.refusal else "queued"
