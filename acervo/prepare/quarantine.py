"""What a person decides about a file that the scanner found fault with, or could not judge."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db.models import QuerySet

from acervo.base import clock
from acervo.base.errors import Refused
from acervo.models import AuditEntry, Deed, MediaFile

REASON_LENGTH = 200


class NothingToDecide(Refused):
    """This file is not in quarantine, or somebody has decided meanwhile."""

    code = "nothing_to_decide"


class ReasonMissing(Refused):
    """Say why: the decision is written down with its reason."""

    code = "reason_missing"


def release(media: MediaFile, *, by: str, reason: str) -> None:
    """Everybody who may see the file may have it again, whatever was found."""
    at, why = clock.now(), _given(reason)
    _change(MediaFile.objects.quarantined().filter(pk=media.pk), released_at=at, changed_at=at)
    deed = Deed("file.released", "file", media.pk, why, {"infection": media.infection})
    AuditEntry.objects.record(media.workspace_id, by, [deed])


def leave(media: MediaFile, *, by: str, reason: str) -> None:
    """Somebody looked, and the file stays where it is: the next one need not wonder."""
    why = _given(reason)
    _change(MediaFile.objects.quarantined().filter(pk=media.pk), changed_at=clock.now())
    deed = Deed("file.left_in_quarantine", "file", media.pk, why, {"infection": media.infection})
    AuditEntry.objects.record(media.workspace_id, by, [deed])


def ask_again(media: MediaFile, *, by: str) -> None:
    """The scanner shall look once more, now."""
    held = MediaFile.objects.awaiting_scan().filter(pk=media.pk)
    _change(held, refusal=None, refused_at=None, changed_at=clock.now())
    deed = Deed("file.scan_asked", "file", media.pk, media.refusal or "")
    AuditEntry.objects.record(media.workspace_id, by, [deed])


def waive(files: Sequence[UUID], *, by: str, reason: str) -> list[UUID]:
    """Held files are let through although nothing scanned them; ids of those that were still held."""
    why = _given(reason)
    rows = MediaFile.objects.awaiting_scan().filter(pk__in=files).select_for_update(no_key=True)
    held = list(rows.order_by("pk").values_list("pk", "workspace_id"))
    pks = [pk for pk, _ in held]
    MediaFile.objects.filter(pk__in=pks).update(
        held_at=None, refusal=None, refused_at=None, changed_at=clock.now()
    )
    for workspace_id in sorted({owner for _, owner in held}):
        deeds = [Deed("file.scan_waived", "file", pk, why) for pk, owner in held if owner == workspace_id]
        AuditEntry.objects.record(workspace_id, by, deeds)
    return pks


def _given(reason: str) -> str:
    if not reason.strip():
        raise ReasonMissing()
    return reason.strip()[:REASON_LENGTH]


def _change(undecided: QuerySet[MediaFile], **facts: object) -> None:
    if not undecided.update(**facts):
        raise NothingToDecide()
