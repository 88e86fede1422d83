"""Somebody says who a person is in a CRM that could not tell, or where the contact is gone. It is remembered, and can be
taken back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx
from django.db import transaction
from django.db.models import QuerySet

from acervo.base import clock
from acervo.base.database import alone, in_thread
from acervo.base.errors import Refused
from acervo.crms.contract import Connector, CrmError, CrmErrorKind, RecordRef
from acervo.deliver import account, candidates, outbox, records, undecided, withdrawal
from acervo.deliver.account import OpenConnector
from acervo.deliver.refusals import LEFT_OUT, subject
from acervo.deliver.undecided import DecidedMeanwhile, Question
from acervo.keep import credentials
from acervo.models import (
    AuditEntry,
    Connection,
    ContactDecision,
    Deed,
    Delivery,
    MediaFile,
    RecordLink,
    Verdict,
)

log = logging.getLogger(__name__)


class BeingDecided(Refused):
    """Somebody else is deciding about this person just now, or a file of theirs is just being written."""

    code = "being_decided"


class ContactGone(Refused):
    """This contact is no longer in the CRM."""

    code = "contact_gone"


class RecordNotOffered(Refused):
    """This record was not among those the CRM offered."""

    code = "record_not_offered"


class NoNewContact(Refused):
    """The CRM keeps one contact with this number as its key, and has one already."""

    code = "no_new_contact"


@dataclass(frozen=True, slots=True)
class Choice:
    """What somebody says about a person. `record` is an id, or the address of a page, where a contact is chosen."""

    connection_id: UUID
    person_id: UUID
    verdict: Verdict
    record: str = ""
    reason: str = ""


async def decide(
    choice: Choice,
    *,
    by: str,
    http: httpx.AsyncClient,
    then: Callable[[], None] = lambda: None,
    open_connector: OpenConnector = credentials.connector,
) -> ContactDecision:
    """The contact is asked for once more and given our number as its key; then all that waited is due. `then` runs in the
    same transaction. Raises CrmError and the refusals above; then nothing is decided. Safe to repeat."""
    async with alone(f"acervo.review.{choice.connection_id}.{choice.person_id}") as is_ours:
        if not is_ours:
            raise BeingDecided()
        question = await in_thread(undecided.question, choice.connection_id, choice.person_id)
        contact = None
        if choice.verdict != Verdict.LEFT_OUT:
            connector = await account.reach(choice.connection_id, http, open_connector)
            contact = await _contact(connector, choice, question)
        return await in_thread(_write_down, choice, contact, by, then)


def choose_offered(delivery: Delivery, record_id: str, *, by: str) -> None:
    """One of the contacts that were offered when this promise stopped, for whoever cannot wait for the CRM: the next
    delivery asks whether it is still there. If somebody answered first, nothing happens. Raises RecordNotOffered."""
    person_id = MediaFile.objects.values_list("person_id", flat=True).get(pk=delivery.media_id)
    with transaction.atomic():
        connection = outbox.lock_connection(delivery.connection_id)
        rows = _locked(connection.pk, person_id)
        if not rows:
            return
        offered = [one for row in rows for one in row.refusal_facts.get("candidates", ())]
        found = next((one for one in offered if one["record_id"] == record_id), None)
        if found is None:
            raise RecordNotOffered()
        contact = RecordRef(records.CONTACT, record_id, found.get("url"))
        _answer(connection, Choice(connection.pk, person_id, Verdict.CHOSEN), contact, rows, by=by)


async def _contact(connector: Connector, choice: Choice, question: Question) -> RecordRef:
    is_new = choice.verdict == Verdict.NEW
    known = None if is_new else RecordRef(records.CONTACT, candidates.record_in(choice.record))
    try:
        contact = await connector.upsert_contact(question.draft, known=known)
    except CrmError as error:
        if error.kind is CrmErrorKind.NOT_FOUND:
            raise ContactGone() from error
        if is_new and error.kind is CrmErrorKind.CONFLICT:
            raise NoNewContact() from error
        raise
    if is_new:
        taken = await in_thread(candidates.taken, choice.connection_id, choice.person_id, [contact.record_id])
        if taken or contact.record_id in question.offered:
            raise NoNewContact()
    return contact


def _write_down(
    choice: Choice, contact: RecordRef | None, by: str, then: Callable[[], None]
) -> ContactDecision:
    with transaction.atomic():
        connection = outbox.lock_connection(choice.connection_id)
        rows = _locked(choice.connection_id, choice.person_id)
        if not rows:
            raise DecidedMeanwhile()
        decision = _answer(connection, choice, contact, rows, by=by)
        then()
    log.info("review.decided", extra={"connection": str(connection.pk), "files": len(rows)})
    return decision


def _locked(connection_id: UUID, person_id: UUID) -> list[Delivery]:
    stopped = undecided.promises(connection_id, person_id).order_by("pk")
    return list(stopped.select_for_update(no_key=True, of=("self",)))


def _answer(
    connection: Connection,
    choice: Choice,
    contact: RecordRef | None,
    rows: Sequence[Delivery],
    *,
    by: str,
) -> ContactDecision:
    at = clock.now()
    decision = _decided(connection, choice, contact, rows[0], by=by, at=at)
    if contact is None:
        _leave_out(connection, choice.person_id, at)
    else:
        reason = records.CREATED if choice.verdict == Verdict.NEW else records.CHOSEN
        records.settle_contact(connection, choice.person_id, contact, reason, by=by, at=at)
        outbox.make_due(rows)
    AuditEntry.objects.record(connection.workspace_id, by, _deeds(connection, decision, rows))
    return decision


def _decided(
    connection: Connection,
    choice: Choice,
    contact: RecordRef | None,
    row: Delivery,
    *,
    by: str,
    at: datetime,
) -> ContactDecision:
    """An earlier answer that no longer holds, such as a contact that was deleted since, makes room."""
    earlier = ContactDecision.objects.standing().filter(connection=connection, person=choice.person_id)
    earlier.update(undone_at=at, undone_by=by, taken_out_at=at)
    return ContactDecision.objects.create(
        workspace_id=connection.workspace_id,
        connection=connection,
        person_id=choice.person_id,
        verdict=choice.verdict,
        record_id=contact.record_id if contact else None,
        reason=" ".join(choice.reason.split())[:200],
        stopped_because=row.refusal or "",
        stopped_facts=row.refusal_facts,
        decided_at=at,
        decided_by=by,
    )


def _leave_out(connection: Connection, person_id: UUID, at: datetime) -> None:
    _unkept(connection, person_id).update(
        stopped_at=at, refusal=LEFT_OUT, refused_at=at, refusal_facts={}, claimed_until=None
    )


def _deeds(connection: Connection, decision: ContactDecision, rows: Sequence[Delivery]) -> list[Deed]:
    facts: dict[str, Any] = {**subject(connection), "verdict": decision.verdict}
    if decision.record_id:
        facts["record"] = decision.record_id
    about = {**facts, "files": len(rows)}
    action = "delivery.left_out" if decision.verdict == Verdict.LEFT_OUT else "delivery.record_chosen"
    return [
        Deed("person.decided", "person", decision.person_id, decision.reason, about),
        *(Deed(action, "file", row.media_id, decision.verdict, facts) for row in rows),
    ]


# ── taken back ──


def undo(decision: ContactDecision, *, by: str) -> ContactDecision:
    """The person waits for an answer again, with all their files; what was written to the contact is to leave it
    (`take_out`). Raises DecidedMeanwhile, and BeingDecided while one of their files is being written."""
    at = clock.now()
    with transaction.atomic():
        connection = outbox.lock_connection(decision.connection_id)
        standing = ContactDecision.objects.standing().filter(pk=decision.pk)
        row = standing.select_for_update(no_key=True).first()
        if row is None:
            raise DecidedMeanwhile()
        theirs = Delivery.objects.filter(connection=connection, media__person=row.person_id)
        if row.verdict == Verdict.LEFT_OUT:
            theirs = theirs.filter(refusal=LEFT_OUT)
        files = list(theirs.order_by("pk").select_for_update(no_key=True, of=("self",)))
        if any(one.claimed_until and one.claimed_until > at and not one.delivered_at for one in files):
            raise BeingDecided()
        _wait_again(connection, row, [one.pk for one in files], at)
        is_written = row.verdict != Verdict.LEFT_OUT and _written(connection.pk, row.person_id).exists()
        row.undone_at, row.undone_by, row.taken_out_at = at, by, None if is_written else at
        row.save(update_fields=["undone_at", "undone_by", "taken_out_at"])
        details = {**subject(connection), "verdict": row.verdict, "files": len(files)}
        deed = Deed("person.decision_undone", "person", row.person_id, "", details)
        AuditEntry.objects.record(connection.workspace_id, by, [deed])
    return row


def _wait_again(connection: Connection, row: ContactDecision, files: Sequence[UUID], at: datetime) -> None:
    Delivery.objects.filter(pk__in=files).update(
        delivered_at=None,
        verified_at=None,
        claimed_until=None,
        payload_hash=None,
        stopped_at=at,
        refusal=row.stopped_because,
        refused_at=at,
        refusal_facts=row.stopped_facts,
        backfill=None,
    )
    if row.verdict != Verdict.LEFT_OUT:
        contacts = RecordLink.objects.filter(connection=connection, object_type=records.CONTACT)
        contacts.filter(person=row.person_id).delete()


async def take_out(
    decision_id: UUID, *, http: httpx.AsyncClient, open_connector: OpenConnector = credentials.connector
) -> None:
    """After an undo: what was written to the wrong contact leaves the CRM. Safe to run twice. Raises CrmBusy."""
    links = await in_thread(_to_take_out, decision_id)
    await withdrawal.let_go(links, http=http, open_connector=open_connector)
    await in_thread(_taken_out, decision_id, [link.pk for link in links])


def to_take_out(limit: int, before: datetime) -> list[UUID]:
    """Undone some time ago, and not out yet: a job was lost."""
    left = ContactDecision.objects.to_take_out().filter(undone_at__lt=before).order_by("undone_at")
    return list(left.values_list("pk", flat=True)[:limit])


def _to_take_out(decision_id: UUID) -> list[RecordLink]:
    decision = ContactDecision.objects.to_take_out().filter(pk=decision_id).first()
    if decision is None:
        return []
    found = _written(decision.connection_id, decision.person_id)
    return list(found.select_related("connection").order_by("pk"))


def _taken_out(decision_id: UUID, links: Sequence[UUID]) -> None:
    """Records that the CRM keeps are forgotten too: the files are written anew, wherever they belong."""
    with transaction.atomic():
        RecordLink.objects.filter(pk__in=links).delete()
        ContactDecision.objects.to_take_out().filter(pk=decision_id).update(taken_out_at=clock.now())


def _written(connection_id: UUID, person_id: UUID) -> QuerySet[RecordLink]:
    return RecordLink.objects.filter(
        connection=connection_id, media__person=person_id, reason=records.WRITTEN
    )


def _unkept(connection: Connection, person_id: UUID) -> QuerySet[Delivery]:
    return Delivery.objects.filter(connection=connection, delivered_at=None, media__person=person_id)
