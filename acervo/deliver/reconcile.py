"""Compare what the CRM holds with what we said it holds: a pass after the other over everything, each with its result.
What drifted is written again or shown, as the connection says; what is gone is asked about."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import httpx
from django.db import transaction
from django.db.models import F, Q, QuerySet

from acervo.base import clock
from acervo.base.database import in_thread
from acervo.crms.contract import CrmError, CrmErrorKind, RecordRef, RecordState
from acervo.crms.fields import TEXT_LIMIT, cut, drifted
from acervo.deliver import account, outbox, parcels, records
from acervo.deliver.account import OpenConnector
from acervo.deliver.parcels import Parcel
from acervo.deliver.refusals import DETACHED, DOUBLED, subject
from acervo.keep import credentials
from acervo.models import (
    AuditEntry,
    Connection,
    Deed,
    Delivery,
    Discrepancy,
    Fault,
    Reconciliation,
    Repairs,
    Settlement,
)

log = logging.getLogger(__name__)

REST: Final = timedelta(hours=6)
"""Between two passes that the clock begins."""


@dataclass(slots=True)
class Findings:
    """How many files were looked at, and what was found."""

    intact: int = 0
    drifted: int = 0
    """Fields hold something else."""
    cleared: int = 0
    """Fields were emptied."""
    deleted: int = 0
    """The record is gone. A person removed it, so a person is asked: we do not bring it back unasked."""
    doubled: int = 0
    closed: int = 0
    """The link stands there, and the file behind it cannot be opened any more."""
    halted_by: str | None = None
    is_over: bool = True
    """The pass is finished, or there was nothing to look at."""


async def reconcile(
    connection_id: UUID,
    *,
    http: httpx.AsyncClient,
    limit: int = outbox.BATCH,
    asked_by: str = records.BY,
    open_connector: OpenConnector = credentials.connector,
) -> Findings:
    """Look at up to `limit` delivered files that the running pass has not seen; where none is running, begin one."""
    connection = await account.find(connection_id)
    if not outbox.is_open(connection, clock.now()):
        return Findings()
    run = await in_thread(_running_or_begun, connection_id, asked_by)
    if run is None:
        return Findings()
    batch = await in_thread(_take, run, limit)
    try:
        connector = await account.prepare(connection, http, open_connector)
        max_text = (await connector.capabilities()).max_text
        states = await connector.read_media([parcel.link_as_written for parcel in batch]) if batch else ()
    except CrmError as error:
        is_blind = error.kind is CrmErrorKind.UNSUPPORTED  # it cannot be read back: taken at its word
        if not is_blind:
            await account.refuse(connection, error)
        await in_thread(_halt, run, str(error.kind), is_over=is_blind)
        return Findings(halted_by=str(error.kind))
    findings = await in_thread(_write_down, run, batch, states, max_text)
    log.info("deliver.reconciled", extra={"connection": str(connection_id), **asdict(findings)})
    return findings


def is_due(connection: Connection) -> bool:
    """A pass is under way, or the last one ended long enough ago."""
    passes = Reconciliation.objects.filter(connection=connection)
    ended = passes.filter(finished_at__gt=clock.now() - REST)
    return passes.running().exists() or not ended.exists()


def note_address(connection_id: UUID, code: str) -> None:
    """Whether our own address, to which every link in the CRM leads, answers during this pass."""
    Reconciliation.objects.filter(connection=connection_id, address_code=None).order_by().update(
        address_code=code
    )


def _running_or_begun(connection_id: UUID, asked_by: str) -> Reconciliation | None:
    with transaction.atomic():
        connection = outbox.lock_connection(connection_id)
        running = Reconciliation.objects.running().filter(connection=connection).first()
        if running:
            return running
        held = Delivery.objects.filter(connection=connection, delivered_at__isnull=False).count()
        if not held:
            return None
        return Reconciliation.objects.create(
            workspace_id=connection.workspace_id,
            connection=connection,
            began_at=clock.now(),
            asked_by=asked_by,
            total=held,
        )


def _unseen(run: Reconciliation) -> QuerySet[Delivery]:
    """What came after it began is for the next pass."""
    return Delivery.objects.filter(
        Q(verified_at=None) | Q(verified_at__lt=run.began_at),
        connection=run.connection_id,
        delivered_at__lte=run.began_at,
    )


def _take(run: Reconciliation, limit: int) -> list[Parcel]:
    unseen = _unseen(run).select_related("media")
    rows = list(unseen.order_by(F("verified_at").asc(nulls_first=True), "pk")[: min(limit, outbox.BATCH)])
    batch = parcels.load(rows)
    without_bytes = {row.pk for row in rows} - {parcel.delivery.pk for parcel in batch}
    if without_bytes:  # just being taken back: the CRM is told by that
        Delivery.objects.filter(pk__in=without_bytes).update(verified_at=clock.now())
    return batch


def _halt(run: Reconciliation, kind: str, *, is_over: bool) -> None:
    finished_at = clock.now() if is_over else None
    Reconciliation.objects.filter(pk=run.pk).update(halted_by=kind, finished_at=finished_at)


def _write_down(
    run: Reconciliation, batch: Sequence[Parcel], states: Sequence[RecordState], max_text: int
) -> Findings:
    by_file = {state.media_id: state for state in states}
    with transaction.atomic():
        connection = outbox.lock_connection(run.connection_id)
        run = Reconciliation.objects.select_for_update().get(pk=run.pk)
        rows = {
            pk: row
            for pk, row in outbox.still_delivered([parcel.delivery for parcel in batch]).items()
            if row.verified_at is None or row.verified_at < run.began_at  # else somebody else just looked
        }
        verifier = _Verifier(connection, run, clock.now(), max_text, _known(connection, rows.values()))
        for parcel in batch:
            if row := rows.get(parcel.delivery.pk):
                verifier.judge(row, parcel, by_file.get(parcel.media.slug))
        Delivery.objects.bulk_update(rows.values(), JUDGED)
        verifier.keep()
        findings = verifier.findings
        findings.is_over = not _unseen(run).exists()
        _count(run, findings, len(rows), verifier.at)
        AuditEntry.objects.record(connection.workspace_id, records.BY, verifier.deeds)
    return findings


def _count(run: Reconciliation, found: Findings, looked_at: int, at: datetime) -> None:
    for name in COUNTED:
        setattr(run, name, getattr(run, name) + getattr(found, name))
    run.looked_at += looked_at
    run.halted_by, run.finished_at = None, at if found.is_over else None
    run.save(update_fields=[*COUNTED, "looked_at", "halted_by", "finished_at"])


COUNTED = ("intact", "drifted", "cleared", "deleted", "doubled", "closed")
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
class _Remembered:
    """What is known of one file from earlier passes."""

    open: Discrepancy | None = None
    left: Mapping[str, str] | None = None
    """What somebody said may stay as it is."""


def _known(connection: Connection, rows: Collection[Delivery]) -> dict[UUID, _Remembered]:
    found: dict[UUID, _Remembered] = {}
    asked = Discrepancy.objects.filter(connection=connection, media__in=[row.media_id for row in rows])
    for one in asked.filter(Q(settled_at=None) | Q(settlement=Settlement.LEFT)).order_by("found_at", "pk"):
        remembered = found.setdefault(one.media_id, _Remembered())
        if one.settled_at is None:
            remembered.open = one
        else:
            remembered.left = one.stood
    return found


@dataclass(slots=True)
class _Verifier:
    """Turns what the CRM holds into facts on rows that the transaction holds."""

    connection: Connection
    run: Reconciliation
    at: datetime
    max_text: int
    known: dict[UUID, _Remembered]
    findings: Findings = field(default_factory=Findings)
    deeds: list[Deed] = field(default_factory=list)
    new: list[Discrepancy] = field(default_factory=list)
    changed: list[Discrepancy] = field(default_factory=list)

    def judge(self, row: Delivery, parcel: Parcel, state: RecordState | None) -> None:
        row.verified_at = self.at
        if state is None:
            return
        if state.ref is None:
            self._detach(row, parcel.known_ref)
            return
        wrong = drifted(parcel.link_as_written, state, max_text=self.max_text)
        stood = {name: cut(state.values[name] or "", TEXT_LIMIT) for name in wrong}
        remembered = self.known.get(row.media_id, _Remembered())
        if wrong and stood == remembered.left:
            wrong = ()
        if wrong:
            self._drift(row, stood, state.copies)
        if state.copies > 1:
            self._show_copies(row, state.copies, is_all=not wrong)
        elif row.refusal == DOUBLED:
            row.refusal, row.refused_at, row.refusal_facts = None, None, {}
        is_closed = not parcel.media.is_openable or parcel.media.hidden_at is not None
        self.findings.closed += is_closed
        if not wrong and state.copies == 1:
            self.findings.intact += 1
            if is_closed:
                self._show(row, Fault.CLOSED)
            elif remembered.open:
                self._settle(remembered.open, Settlement.GONE)

    def keep(self) -> None:
        Discrepancy.objects.bulk_create(self.new)
        fields = ("fault", "stood", "copies", "settled_at", "settled_by", "settlement")
        Discrepancy.objects.bulk_update(self.changed, fields)

    def _detach(self, row: Delivery, gone: RecordRef | None) -> None:
        self.findings.deleted += 1
        row.delivered_at, row.stopped_at, row.payload_hash = None, self.at, None
        row.refusal, row.refused_at = DETACHED, self.at
        row.refusal_facts = {"object_type": gone.object_type, "record_id": gone.record_id} if gone else {}
        self._show(row, Fault.DELETED)
        self._tell("delivery.stopped", row, DETACHED, row.refusal_facts)

    def _drift(self, row: Delivery, stood: dict[str, str], copies: int) -> None:
        is_cleared = not any(stood.values())
        self.findings.cleared += is_cleared
        self.findings.drifted += not is_cleared
        fault = Fault.CLEARED if is_cleared else Fault.DRIFTED
        shown, is_news = self._show(row, fault, stood, copies)
        policy = self.connection.repairs
        if policy == Repairs.ALWAYS or (policy == Repairs.EMPTIED and is_cleared):
            self._settle(shown, Settlement.REWRITTEN)
            row.delivered_at, row.due_at, row.attempts, row.payload_hash = None, self.at, 0, None
            self._tell("delivery.renewed", row, str(fault), {"fields": list(stood)})
        elif is_news:
            self._tell("delivery.drifted", row, str(fault), {"fields": list(stood)})

    def _show_copies(self, row: Delivery, copies: int, *, is_all: bool) -> None:
        self.findings.doubled += 1
        if is_all:
            self._show(row, Fault.DOUBLED, copies=copies)
        if row.refusal != DOUBLED:
            self._tell("delivery.doubled", row, DOUBLED, {"copies": copies})
        row.refusal, row.refused_at, row.refusal_facts = DOUBLED, self.at, {"copies": copies}

    def _show(
        self, row: Delivery, fault: Fault, stood: dict[str, str] | None = None, copies: int = 1
    ) -> tuple[Discrepancy, bool]:
        """Open, or kept open as it is now; whether it is news."""
        remembered = self.known.setdefault(row.media_id, _Remembered())
        facts = {"fault": fault, "stood": stood or {}, "copies": copies}
        if one := remembered.open:
            for name, value in facts.items():
                setattr(one, name, value)
            self.changed.append(one)
            return one, False
        remembered.open = made = Discrepancy(
            workspace_id=row.workspace_id,
            connection=self.connection,
            media_id=row.media_id,
            reconciliation=self.run,
            found_at=self.at,
            **facts,
        )
        self.new.append(made)
        return made, True

    def _settle(self, one: Discrepancy, settlement: Settlement) -> None:
        one.settled_at, one.settled_by, one.settlement = self.at, records.BY, settlement
        if one not in self.new and one not in self.changed:
            self.changed.append(one)

    def _tell(self, action: str, row: Delivery, reason: str, facts: Mapping[str, Any]) -> None:
        details = {**subject(self.connection), **facts}
        self.deeds.append(Deed(action, "file", row.media_id, reason, details))
