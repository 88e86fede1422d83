"""What happened, by whom and why: append-only and hash-chained by the database, written in the transaction of the deed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from django.db import connections, models

from acervo.base import clock, ids
from acervo.models.subscription import ANNOUNCED, TOLD_FACTS, Event, Happened

if TYPE_CHECKING:
    from acervo.models.member import Member


# One statement, one parameter for all entries: every kept file writes one, and bulk_create was half the CPU of settling them.
RECORD = """
INSERT INTO acervo_auditentry (id, workspace_id, number, at, by, action, subject_type, subject_id, reason, details,
    previous_hash, hash)
SELECT d.id, %s, 0, %s, %s, d.action, d.subject_type, d.subject_id, d.reason, d.details, '', ''
FROM jsonb_to_recordset(%s::jsonb) AS d(id uuid, action text, subject_type text, subject_id uuid, reason text, details jsonb)
"""


@dataclass(frozen=True, slots=True)
class Deed:
    """One entry to be written. `details` are ids and numbers: never a phone number, text or secret."""

    action: str
    """noun.verb: file.kept, connection.paused, webhook.refused."""
    subject_type: str
    subject_id: UUID | None
    reason: str = ""
    details: dict[str, Any] = field(default_factory=dict)


class AuditEntries(models.QuerySet["AuditEntry"]):
    def visible_to(self, member: Member) -> Self:
        from acervo.models.member import Ability

        return (
            self.filter(workspace_id=member.workspace_id) if member.can(Ability.READ_AUDIT) else self.none()
        )

    def of(self, subject_type: str, subject_id: UUID) -> Self:
        return self.filter(subject_type=subject_type, subject_id=subject_id)

    def record(self, workspace_id: UUID, by: str, deeds: Iterable[Deed]) -> None:
        """Append, as the last thing of a transaction: the chain of a workspace is written by one at a time. Deeds that
        subscribers hear of become events."""
        done = list(deeds)
        Event.objects.record(workspace_id, _happenings(done))
        rows = [
            {
                "id": str(ids.new()),
                "action": deed.action,
                "subject_type": deed.subject_type,
                "subject_id": str(deed.subject_id) if deed.subject_id else None,
                "reason": deed.reason,
                "details": deed.details,
            }
            for deed in done
        ]
        with connections[self.db].cursor() as cursor:
            cursor.execute(RECORD, [workspace_id, clock.now(), by, json.dumps(rows)])


def _happenings(deeds: Iterable[Deed]) -> list[Happened]:
    """Several tags put on a file at once are one event: what is told is how the file is now."""
    found: list[Happened] = []
    for deed in deeds:
        if kind := ANNOUNCED.get(deed.action):
            told = {name: deed.details[name] for name in TOLD_FACTS if name in deed.details}
            one = Happened(kind, deed.subject_id, {"deed": deed.action, "reason": deed.reason, **told})
            if one not in found[-1:]:
                found.append(one)
    return found


class AuditEntry(models.Model):
    """No foreign keys: an entry outlives what it tells of. Number, hash and previous hash come from a trigger."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace_id = models.UUIDField()
    number = models.BigIntegerField(default=0)
    """1, 2, 3… within the workspace, without gaps."""
    at = models.DateTimeField()
    by = models.CharField(max_length=64)
    """`member:<ulid>`, `system:<process>`, `command:<os user>` or `provider:<connection>`."""
    action = models.CharField(max_length=48)
    subject_type = models.CharField(max_length=24)
    subject_id = models.UUIDField(null=True)
    reason = models.CharField(max_length=200, blank=True)
    details = models.JSONField(default=dict)
    previous_hash = models.CharField(max_length=64, default="")
    hash = models.CharField(max_length=64, default="")

    objects = AuditEntries.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace_id", "number"], name="audit_number_is_used_once"),
        ]
        indexes = [
            models.Index(
                fields=["workspace_id", "subject_type", "subject_id", "number"], name="audit_of_subject"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.number} {self.action}"


def by_member(member: Member) -> str:
    return f"member:{ids.text(member.pk)}"
