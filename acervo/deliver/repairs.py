"""What people say about a CRM that does not hold what we wrote: write it again, leave it, and what is to happen by itself."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from acervo.base import clock
from acervo.base.errors import Refused
from acervo.deliver import outbox
from acervo.deliver.refusals import subject
from acervo.models import (
    AuditEntry,
    Connection,
    Deed,
    Delivery,
    Discrepancy,
    Fault,
    Repairs,
    Settlement,
)


class UnknownRepairs(Refused):
    """Choose one of the ways to repair that are offered."""

    code = "unknown_choice"


def rewrite(found: QuerySet[Discrepancy], *, by: str) -> int:
    """What somebody else wrote, emptied or deleted is written again; returns how many. Copies are for people to remove in
    the CRM, and a closed link opens when its file does."""
    at, written = clock.now(), 0
    for one in found.open().filter(fault__in=(Fault.DRIFTED, Fault.CLEARED, Fault.DELETED)):  # type: ignore[attr-defined]
        with transaction.atomic():
            row = Delivery.objects.filter(connection=one.connection_id, media=one.media_id).first()
            if row is None or not _settle(one, Settlement.REWRITTEN, by, at):
                continue
            written += 1
            if one.fault == Fault.DELETED:
                outbox.retry(row, by=by)
                continue
            Delivery.objects.filter(pk=row.pk, delivered_at__isnull=False).update(
                delivered_at=None, due_at=at, attempts=0, payload_hash=None
            )
            deed = Deed("delivery.retried", "file", one.media_id, one.fault, subject(one.connection))
            AuditEntry.objects.record(one.workspace_id, by, [deed])
    return written


def leave(found: QuerySet[Discrepancy], *, by: str) -> int:
    """It may stay as it is, until something else stands there or the file itself changes; returns how many."""
    at, left = clock.now(), 0
    for one in found.open():  # type: ignore[attr-defined]
        with transaction.atomic():
            if _settle(one, Settlement.LEFT, by, at):
                left += 1
                deed = Deed("delivery.left", "file", one.media_id, one.fault, subject(one.connection))
                AuditEntry.objects.record(one.workspace_id, by, [deed])
    return left


def change_repairs(connection: Connection, wanted: str, *, by: str) -> bool:
    """What becomes of what drifts from now on; whether that is a change. Raises UnknownRepairs."""
    if wanted not in Repairs.values:
        raise UnknownRepairs()
    with transaction.atomic():
        row = outbox.lock_connection(connection.pk)
        if row.repairs == wanted:
            return False
        details = {"from": row.repairs, "to": wanted}
        row.repairs = connection.repairs = wanted
        row.save(update_fields=["repairs"])
        deed = Deed("connection.repairs_changed", "connection", row.pk, "", details)
        AuditEntry.objects.record(row.workspace_id, by, [deed])
    return True


def _settle(one: Discrepancy, settlement: Settlement, by: str, at: datetime) -> bool:
    """Only one answer counts."""
    still_open = Discrepancy.objects.open().filter(pk=one.pk)
    return bool(still_open.update(settled_at=at, settled_by=by, settlement=settlement))
