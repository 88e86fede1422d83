"""What became of a batch, written down in one transaction: promises, record links, the connection, the audit trail."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F

from acervo.base import clock
from acervo.crms.contract import CrmError, CrmErrorKind
from acervo.deliver import outbox, records, refusals, uploads
from acervo.deliver.parcels import Parcel, Written
from acervo.deliver.refusals import Refusal
from acervo.models import AuditEntry, Backfill, Connection, Deed, Delivery, MediaFile, RecordLink


@dataclass(slots=True)
class Outcome:
    """What one call of `deliver` did, in numbers of files."""

    claimed: int = 0
    """Call again until this is 0: nothing is due then, or the connection is paused or rests."""
    delivered: int = 0
    unchanged: int = 0
    """The CRM held them already: no call was made."""
    refused: int = 0
    """Tried again by the clock."""
    stopped: int = 0
    """Waiting for a person."""
    released: int = 0
    """Not tried, because the account as a whole refused, or somebody else took them over."""
    halted_by: str | None = None
    """The CrmErrorKind for which the connection is now paused or rests."""


def write_down(connection_id: UUID, batch: list[Parcel], halt: CrmError | None) -> Outcome:
    """Results count only where the promise is still to be kept and still ours: whoever took over writes theirs."""
    with transaction.atomic():
        connection = outbox.lock_connection(connection_id)
        ledger = _Ledger(
            connection, clock.now(), Outcome(len(batch), halted_by=str(halt.kind) if halt else None)
        )
        # Before the promises are locked: these inserts may wait for whoever is changing the files.
        _link(connection, batch, ledger.at)
        held = outbox.still_held([parcel.delivery for parcel in batch])
        changed_at = dict(MediaFile.objects.filter(deliveries__in=held).values_list("pk", "changed_at"))
        for parcel in batch:
            row = held.get(parcel.delivery.pk)
            ledger.enter(row, parcel, is_outdated=changed_at.get(parcel.media.pk) != parcel.media.changed_at)
        Delivery.objects.bulk_update(held.values(), SETTLED)
        uploads.ask(connection, ledger.kept, by=records.BY, at=ledger.at)
        for run_id, counted in ledger.old.items():
            Backfill.objects.filter(pk=run_id).update(
                written=F("written") + counted["written"], unchanged=F("unchanged") + counted["unchanged"]
            )
        if halt:
            ledger.deeds += refusals.refuse_connection(connection, halt, ledger.at, by=records.BY)
        else:
            refusals.forgive_connection(connection, ledger.at)
        AuditEntry.objects.record(connection.workspace_id, records.BY, ledger.deeds)
    return ledger.outcome


SETTLED = (
    "claimed_until",
    "backfill",
    "attempts",
    "due_at",
    "payload_hash",
    "mapping_version",
    "delivered_at",
    "verified_at",
    "stopped_at",
    "refusal",
    "refusal_facts",
    "refused_at",
)


def _link(connection: Connection, batch: list[Parcel], at: datetime) -> None:
    """Records exist in the CRM whatever became of the promise: forgetting one would double it."""
    parties = {parcel.party.person_id: parcel.party for parcel in batch}
    found = [
        (person_id, party.contact, party.link_reason)
        for person_id, party in parties.items()
        if party.contact and party.link_reason
    ]
    records.remember_contacts(connection, found, by=records.BY, at=at)
    written = [(parcel.media.pk, parcel.written_ref) for parcel in batch if parcel.written_ref]
    records.remember_files(connection, written, at=at)


@dataclass(slots=True)
class _Ledger:
    """Turns verdicts into facts on rows that the transaction holds."""

    connection: Connection
    at: datetime
    outcome: Outcome
    deeds: list[Deed] = field(default_factory=list)
    old: defaultdict[UUID, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """What was kept of each backfill."""
    kept: list[UUID] = field(default_factory=list)
    """Files that the CRM holds now."""

    def enter(self, row: Delivery | None, parcel: Parcel, *, is_outdated: bool) -> None:
        verdict = parcel.verdict
        if row is None:
            self.outcome.released += 1
            return
        row.claimed_until = None
        if isinstance(verdict, Written):
            row.mapping_version = parcel.field_map.version
            self._keep(row, verdict, is_outdated=is_outdated)
        elif verdict is None or verdict.code in refusals.PAUSES | refusals.RESTS:
            self.outcome.released += 1  # about the account, not the file: due again as it was
        else:
            self._refuse(row, verdict)

    def _keep(self, row: Delivery, verdict: Written, *, is_outdated: bool) -> None:
        row.payload_hash, row.attempts = verdict.payload_hash, row.attempts + 1
        row.refusal, row.refused_at, row.refusal_facts = None, None, {}
        row.delivered_at, row.verified_at = self.at, None
        if row.backfill_id:
            self.old[row.backfill_id]["unchanged" if verdict.is_unchanged else "written"] += 1
            row.backfill_id = None
        if is_outdated:  # it changed on the way: what the CRM holds is yesterday's
            row.delivered_at, row.due_at, row.attempts = None, self.at, 0
        self.kept.append(row.media_id)
        if verdict.is_unchanged:
            self.outcome.unchanged += 1
            return
        self.outcome.delivered += 1
        facts = (
            {"object_type": verdict.ref.object_type, "record": verdict.ref.record_id} if verdict.ref else {}
        )
        self._tell("file.delivered", row, "", facts)

    def _refuse(self, row: Delivery, refusal: Refusal) -> None:
        is_news = refusal.code != row.refusal
        row.attempts += 1
        row.refusal, row.refused_at, row.refusal_facts = refusal.code, self.at, refusal.facts
        if refusal.is_final and not self._is_answered(row):
            row.stopped_at = self.at
            self.outcome.stopped += 1
            self._tell("delivery.stopped", row, refusal.code, refusal.facts)
            return
        wait_s = 0.0 if refusal.is_final else refusals.wait_s(row.attempts, refusal.retry_after_s)
        row.due_at = self.at + timedelta(seconds=wait_s)
        self.outcome.refused += 1
        if is_news:  # a try that fails for the same reason again tells nothing new
            self._tell("delivery.refused", row, refusal.code, refusal.facts)

    def _is_answered(self, row: Delivery) -> bool:
        """Somebody chose the contact while we were asking."""
        contact = RecordLink.objects.filter(
            connection=self.connection, object_type=records.CONTACT, person__files=row.media_id
        )
        return row.refusal == CrmErrorKind.AMBIGUOUS and contact.exists()

    def _tell(self, action: str, row: Delivery, reason: str, facts: Mapping[str, Any]) -> None:
        details = {**refusals.subject(self.connection), **facts}
        self.deeds.append(Deed(action, "file", row.media_id, reason, details))
