"""One chat export brought in: what it is, how far it came, and whether it was taken out again."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from django.db import models
from django.db.models import F, Q

from acervo.base import ids
from acervo.models.connection import Connection
from acervo.models.person import Person
from acervo.models.sealed import SHA256_HEX, SealedObject, sealed_object_constraints
from acervo.models.workspace import Workspace

if TYPE_CHECKING:
    from acervo.models.member import Member


class ChatImports(models.QuerySet["ChatImport"]):
    def visible_to(self, member: Member) -> Self:
        return self.filter(
            workspace=member.workspace_id, connection__in=Connection.objects.visible_to(member)
        )

    def unfinished(self) -> Self:
        """Those that somebody works on, or should: started with an archive we hold, and until it is let go; or being
        undone."""
        importing = Q(started_at__isnull=False, refusal=None, undo_asked_at=None, object_key__isnull=False)
        return self.filter(importing | Q(undo_asked_at__isnull=False, undone_at=None))


class ChatImport(SealedObject):
    """An uploaded archive lies in the vault, sealed with the contact's key, until its import ends. One that the command
    reads stays where its owner has it."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="+")
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="chat_imports")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="chat_imports")
    """Whose chat it is; nobody, once an undone import took the person along that it had made."""
    made_person = models.BooleanField(default=False)
    archive_name = models.CharField(max_length=255, blank=True)
    archive_sha256 = models.CharField(max_length=64)
    report = models.JSONField(default=dict)
    """What the first look found: `receive.chat_reports`."""
    us = models.CharField(max_length=256, blank=True)
    """Which of the authors is this company; empty where none is."""
    date_order = models.CharField(max_length=3, blank=True)
    """dmy, mdy or ymd; empty while somebody has to say."""
    time_zone = models.CharField(max_length=64)
    """Of the phone, when it wrote the export."""
    delivers = models.BooleanField(default=False)
    """Its files go to the CRMs; history floods a CRM, so only where somebody wants it."""
    asked_at = models.DateTimeField(auto_now_add=True)
    asked_by = models.CharField(max_length=64)

    started_at = models.DateTimeField(null=True)
    after_line = models.PositiveIntegerField(default=0)
    """The last line of the text that is done; where the import goes on."""
    done = models.PositiveIntegerField(default=0)
    """Messages passed, whatever became of them."""
    total = models.PositiveIntegerField(default=0)
    new_messages = models.PositiveIntegerField(default=0)
    known_messages = models.PositiveIntegerField(default=0)
    """Captured or imported before, so left as they were."""
    new_files = models.PositiveIntegerField(default=0)
    new_bytes = models.PositiveBigIntegerField(default=0)
    linked_files = models.PositiveIntegerField(default=0)
    """Files the person had sent already: the message points to the one that is kept."""
    missing_files = models.PositiveIntegerField(default=0)
    """Named, or only hinted at, and not in the archive."""
    finished_at = models.DateTimeField(null=True)
    refusal = models.CharField(max_length=32, null=True)
    """Why it does not go on by itself; worded by `web.words`."""
    refused_at = models.DateTimeField(null=True)

    undo_asked_at = models.DateTimeField(null=True)
    undo_asked_by = models.CharField(max_length=64, null=True)
    undone_at = models.DateTimeField(null=True)
    removed_files = models.PositiveIntegerField(default=0)
    told_to_crm = models.PositiveIntegerField(default=0)
    """Of the removed files, those whose link a CRM holds: it leads nowhere now."""

    objects = ChatImports.as_manager()

    class Meta:
        constraints: ClassVar = [
            *sealed_object_constraints("chat_import"),
            models.UniqueConstraint(
                fields=["connection", "archive_sha256"],
                condition=Q(undone_at=None),
                name="archive_is_imported_once_into_an_account",
            ),
            models.CheckConstraint(
                name="chat_import_names_its_archive_by_hash", condition=Q(archive_sha256__regex=SHA256_HEX)
            ),
            models.CheckConstraint(
                name="chat_import_date_order_is_known", condition=Q(date_order__in=("", "dmy", "mdy", "ymd"))
            ),
            models.CheckConstraint(
                name="started_chat_import_knows_its_date_order",
                condition=Q(started_at=None) | ~Q(date_order=""),
            ),
            models.CheckConstraint(
                name="chat_import_is_finished_only_once_started",
                condition=Q(finished_at=None) | Q(started_at__isnull=False, refusal=None),
            ),
            models.CheckConstraint(
                name="chat_import_refusal_has_a_time_and_a_reason_or_neither",
                condition=Q(refusal=None, refused_at=None)
                | Q(refusal__isnull=False, refused_at__isnull=False),
            ),
            models.CheckConstraint(
                name="chat_import_undo_has_a_time_and_an_author_or_neither",
                condition=Q(undo_asked_at=None, undo_asked_by=None)
                | Q(undo_asked_at__isnull=False, undo_asked_by__isnull=False),
            ),
            models.CheckConstraint(
                name="chat_import_is_undone_only_once_somebody_asked",
                condition=Q(undone_at=None) | Q(undo_asked_at__isnull=False),
            ),
            models.CheckConstraint(
                name="chat_import_has_a_contact_until_undone",
                condition=Q(person__isnull=False) | Q(undone_at__isnull=False),
            ),
            models.CheckConstraint(
                name="chat_import_does_no_more_than_there_is", condition=Q(done__lte=F("total"))
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["workspace", "-asked_at"], name="chat_import_newest")]

    def __str__(self) -> str:
        return ids.text(self.id)

    @property
    def state(self) -> str:
        """undone, undoing, finished, stopped (see `refusal`), running or waiting (somebody has to say go)."""
        if self.undo_asked_at:
            return "undone" if self.undone_at else "undoing"
        if self.finished_at:
            return "finished"
        if self.refusal:
            return "stopped"
        return "running" if self.started_at else "waiting"
