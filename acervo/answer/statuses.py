"""What became of our messages, as webhooks tell it: in any order, twice, or before we know a message's id."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from django.db.models import QuerySet

from acervo.base import clock
from acervo.models import Connection, EarlyStatus, MediaFile, Sending
from acervo.providers.contract import StatusUpdate

SENT, DELIVERED, READ, FAILED = "sent", "delivered", "read", "failed"
MEANINGS: Final = {
    SENT: SENT, DELIVERED: DELIVERED, READ: READ, "played": READ, FAILED: FAILED, "undelivered": FAILED,
    "canceled": FAILED,
}  # fmt: skip
"""Words that adapters pass on; others (accepted, queued, sending) say nothing new."""
COLUMNS: Final = (
    "sent_at", "delivered_at", "read_at", "failed_at", "refusal", "refused_at", "vendor_code",
)  # fmt: skip
NOT_DELIVERED: Final = "not_delivered"
LATE: Final = timedelta(minutes=15)
"""A status may come so much earlier than the answer that tells the id it is about."""


class Told(NamedTuple):
    account: Connection
    update: StatusUpdate


def hear(told: Sequence[Told]) -> None:
    """Write down what is about messages of ours; the rest is about what others sent. Must run inside a transaction.

    Early ones are written first, holding whatever is on its way, and looked for by whoever learns the id afterwards: so
    each status meets its message, whoever commits first."""
    known = [(item, word) for item in told if (word := MEANINGS.get(item.update.status))]
    if not known:
        return
    keys = {(item.account.pk, item.update.message_id[:256]) for item, _ in known}
    _touch_files(keys)
    _keep_early(known)
    rows = _by_key(keys)
    changed: dict[UUID, Sending] = {}
    for item, word in known:
        update = item.update
        row = rows.get((item.account.pk, update.message_id[:256]))
        if row is not None:
            apply(row, word, update.at, refusal=update.refusal, vendor_code=update.error_code)
            changed[row.pk] = row
    Sending.objects.bulk_update(changed.values(), COLUMNS)


def apply(
    row: Sending, word: str, at: datetime, *, refusal: str | None = None, vendor_code: str | None = None
) -> None:
    """One word about one message; hearing it again, or after a stronger one, changes nothing."""
    if word == FAILED:
        if not (row.delivered_at or row.read_at or row.failed_at):
            row.failed_at = row.refused_at = at
            row.refusal, row.vendor_code = (refusal or NOT_DELIVERED)[:32], (vendor_code or "")[:32]
        return
    column = f"{word}_at"
    known = getattr(row, column)
    setattr(row, column, min(known, at) if known else at)
    if word in (DELIVERED, READ) and row.failed_at:  # it arrived after all
        row.failed_at = row.refusal = row.refused_at = None


def apply_early(row: Sending) -> None:
    """What was heard of a message before its id was known. The row must be locked; the caller saves it."""
    early = EarlyStatus.objects.filter(connection=row.connection_id, provider_id=row.provider_id)
    for status in early.order_by("at"):
        apply(row, status.status, status.at, refusal=status.refusal or None, vendor_code=status.vendor_code)
    early.delete()


def forget_early() -> None:
    """Those that were about somebody else's messages."""
    EarlyStatus.objects.filter(heard_at__lt=clock.now() - LATE).delete()


def _keep_early(known: Iterable[tuple[Told, str]]) -> None:
    by_account: dict[UUID, list[tuple[Told, str]]] = {}
    for item, word in known:
        by_account.setdefault(item.account.pk, []).append((item, word))
    at = clock.now()
    waiting = Sending.objects.on_their_way(at).filter(connection__in=by_account).order_by("pk")
    accounts = set(waiting.select_for_update(no_key=True).values_list("connection_id", flat=True))
    EarlyStatus.objects.bulk_create(
        [
            EarlyStatus(
                workspace_id=item.account.workspace_id, connection_id=pk, status=word, heard_at=at,
                provider_id=item.update.message_id[:256], at=item.update.at,
                refusal=(item.update.refusal or "")[:32], vendor_code=(item.update.error_code or "")[:32],
            )
            for pk in sorted(accounts)
            for item, word in by_account[pk]
        ],
        ignore_conflicts=True,
    )  # fmt: skip


def _touch_files(keys: set[tuple[UUID, str]]) -> None:
    """Before any message is locked: files come first, for everybody."""
    about = _ours(keys).exclude(media=None).values("media")
    MediaFile.objects.filter(pk__in=about).update(changed_at=clock.now())


def _by_key(keys: set[tuple[UUID, str]]) -> dict[tuple[UUID, str], Sending]:
    found = _ours(keys).order_by("pk").select_for_update(no_key=True)
    return {(row.connection_id, row.provider_id or ""): row for row in found}


def _ours(keys: set[tuple[UUID, str]]) -> QuerySet[Sending]:
    return Sending.objects.filter(
        connection__in={pk for pk, _ in keys}, provider_id__in={name for _, name in keys}
    )
