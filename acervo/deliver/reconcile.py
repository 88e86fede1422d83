"""Compare what the CRM holds with what we said it holds; write again what drifted, ask about what is gone."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx
from django.db import transaction
from django.db.models import F

from acervo.base import clock
from acervo.base.database import in_thread
from acervo.crms.contract import CrmError, CrmErrorKind, RecordRef, RecordState
from acervo.crms.fields import drifted
from acervo.deliver import account, outbox, parcels, records
from acervo.deliver.account import OpenConnector
from acervo.deliver.parcels import Parcel
from acervo.deliver.refusals import DETACHED, DOUBLED, subject
from acervo.keep import credentials
from acervo.models import AuditEntry, Connection, Deed, Delivery

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Findings:
    """How many files were looked at, and what was found."""

    intact: int = 0
    drifted: int = 0
    """Fields were changed: due to be written again."""
    cleared: int = 0
    """Fields were emptied: due to be written again."""
    deleted: int = 0
    """The record is gone. A person removed it, so a person is asked: we do not bring it back unasked."""
    doubled: int = 0
    halted_by: str | None = None


async def reconcile(
    connection_id: UUID,
    *,
    http: httpx.AsyncClient,
    limit: int = outbox.BATCH,
    open_connector: OpenConnector = credentials.connector,
) -> Findings:
    """Look at up to `limit` delivered files, those first that were looked at longest ago."""
    connection = await account.find(connection_id)
    if not outbox.is_open(connection, clock.now()):
        return Findings()
    batch = await in_thread(_take, connection_id, limit)
    if not batch:
        return Findings()
    try:
        connector = await account.prepare(connection, http, open_connector)
        max_text = (await connector.capabilities()).max_text
        states = await connector.read_media([parcel.link for parcel in batch])
    except CrmError as error:
        if error.kind is not CrmErrorKind.UNSUPPORTED:  # a CRM that cannot be read back is taken at its word
            await account.refuse(connection, error)
        return Findings(halted_by=str(error.kind))
    findings = await in_thread(_write_down, connection_id, batch, states, max_text)
    log.info("deliver.reconciled", extra={"connection": str(connection_id), **asdict(findings)})
    return findings


def _take(connection_id: UUID, limit: int) -> list[Parcel]:
    rows = Delivery.objects.filter(connection=connection_id, delivered_at__isnull=False).select_related(
        "media"
    )
    oldest = rows.order_by(F("verified_at").asc(nulls_first=True), "pk")[: min(limit, outbox.BATCH)]
    return parcels.load(list(oldest))


def _write_down(
    connection_id: UUID, batch: Sequence[Parcel], states: Sequence[RecordState], max_text: int
) -> Findings:
    by_file = {state.media_id: state for state in states}
    with transaction.atomic():
        verifier = _Verifier(outbox.lock_connection(connection_id), clock.now(), max_text)
        rows = outbox.still_delivered([parcel.delivery for parcel in batch])
        for parcel in batch:
            row, state = rows.get(parcel.delivery.pk), by_file.get(parcel.media.slug)
            if row and state:  # otherwise written anew since we read: for the next round
                verifier.judge(row, parcel, state)
        Delivery.objects.bulk_update(rows.values(), JUDGED)
        AuditEntry.objects.record(verifier.connection.workspace_id, records.BY, verifier.deeds)
    return verifier.findings


JUDGED = (
    "verified_at",
    "delivered_at",
    "due_at",
    "attempts",
    "payload_hash",
    "stopped_at",
    "refusal",
    "refusal_facts",
    "refused_at",
)


@dataclass(slots=True)
class _Verifier:
    """Turns what the CRM holds into facts on rows that the transaction holds."""

    connection: Connection
    at: datetime
    max_text: int
    findings: Findings = field(default_factory=Findings)
    deeds: list[Deed] = field(default_factory=list)

    def judge(self, row: Delivery, parcel: Parcel, state: RecordState) -> None:
        row.verified_at = self.at
        wrong = drifted(parcel.link, state, max_text=self.max_text)
        if state.ref is None:
            self._detach(row, parcel.known_ref)
            return
        if wrong:
            self._renew(row, wrong, is_cleared=all(not state.values[name] for name in wrong))
        if state.copies > 1:
            self._show_copies(row, state.copies)
        elif row.refusal == DOUBLED:
            row.refusal, row.refused_at, row.refusal_facts = None, None, {}
        self.findings.intact += not wrong and state.copies == 1

    def _detach(self, row: Delivery, gone: RecordRef | None) -> None:
        self.findings.deleted += 1
        row.delivered_at, row.stopped_at, row.payload_hash = None, self.at, None
        row.refusal, row.refused_at = DETACHED, self.at
        row.refusal_facts = {"object_type": gone.object_type, "record_id": gone.record_id} if gone else {}
        self._tell("delivery.stopped", row, DETACHED, row.refusal_facts)

    def _renew(self, row: Delivery, wrong: Sequence[str], *, is_cleared: bool) -> None:
        self.findings.cleared += is_cleared
        self.findings.drifted += not is_cleared
        row.delivered_at, row.due_at, row.attempts, row.payload_hash = None, self.at, 0, None
        self._tell("delivery.renewed", row, "cleared" if is_cleared else "drifted", {"fields": list(wrong)})

    def _show_copies(self, row: Delivery, copies: int) -> None:
        self.findings.doubled += 1
        if row.refusal != DOUBLED:
            self._tell("delivery.doubled", row, DOUBLED, {"copies": copies})
        row.refusal, row.refused_at, row.refusal_facts = DOUBLED, self.at, {"copies": copies}

    def _tell(self, action: str, row: Delivery, reason: str, facts: Mapping[str, Any]) -> None:
        details = {**subject(self.connection), **facts}
        self.deeds.append(Deed(action, "file", row.media_id, reason, details))
