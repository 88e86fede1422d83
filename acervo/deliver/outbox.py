"""What each CRM must still receive: one row per promise, made in the transaction of the fact it follows from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, QuerySet

from acervo.base import clock, ids
from acervo.base.errors import Refused
from acervo.crms.contract import CrmErrorKind, RecordRef
from acervo.deliver import mapping, parcels, records
from acervo.deliver.mapping import ChosenBy
from acervo.deliver.refusals import DETACHED, LEFT_OUT, subject
from acervo.models import (
    AuditEntry,
    Backfill,
    Connection,
    CrmUpload,
    Deed,
    Delivery,
    MediaFile,
    Person,
    RecordLink,
)
from acervo.models.crm_upload import AFRESH
from acervo.models.media import not_quarantined, not_withdrawn

BATCH = 100
"""Files one connector call may carry."""
LEASE = timedelta(minutes=10)
"""Claimed promises come free again after this, when whoever claimed them died. Prolonged before each write."""
REWRITTEN_PER_MINUTE = 300
"""What is to be written anew is due in later minutes, so that what arrives today never queues behind it."""
TELLABLE = not_quarantined("media__") & not_withdrawn("media__")
"""A file may be found infected, or be taken back, between its promise and its delivery: then the promise waits."""


class NotForCrms(Refused):
    """No CRM is told of this file: it is not kept and looked into yet, nobody may open it, or it was taken back."""

    code = "not_for_crms"


class KeptBack(Refused):
    """The mapping of this CRM keeps such files from going there."""

    code = "kept_back"


# ── promising ──


def promise(media_ids: Collection[UUID], *, chosen_by: ChosenBy | None = None) -> int:
    """Promise these files to every CRM of their workspace; returns how many promises are new. Files that are not
    prepared, or that nobody may open, are left out: promise them again once they are. Paused CRMs are promised too
    and get everything once somebody reconnects them. Runs inside the caller's transaction. `chosen_by`: how the
    switches of a mapping find files."""
    files = MediaFile.objects.for_crms().filter(pk__in=media_ids, prepared_at__isnull=False)
    workspaces = dict(files.values_list("pk", "workspace_id"))
    crms: dict[UUID, list[UUID]] = {}
    for pk, workspace_id in (
        Connection.objects.crms()
        .filter(removed_at=None, workspace__in=set(workspaces.values()))
        .values_list("pk", "workspace_id")
    ):
        crms.setdefault(workspace_id, []).append(pk)
    kept_back = {
        (connection_id, media_id)
        for workspace_id, connection_ids in crms.items()
        for connection_id in connection_ids
        if chosen_by
        for media_id in mapping.unwanted(workspace_id, connection_id, set(workspaces), chosen_by)
    }
    at = clock.now()
    return _insert(
        [
            _new_promise(workspace_id, connection_id, media_id, at, due_at=at)
            for media_id, workspace_id in sorted(workspaces.items())
            for connection_id in crms.get(workspace_id, ())
            if (connection_id, media_id) not in kept_back
        ]
    )


def promise_old(run: Backfill, files: Sequence[UUID]) -> int:
    """Promise these files to the CRM of a backfill, to be kept in this order, after everything else; returns how many
    promises are new. Runs inside the caller's transaction."""
    at = clock.now()
    return _insert(
        [
            _new_promise(
                run.workspace_id,
                run.connection_id,
                media_id,
                at,
                due_at=at + timedelta(microseconds=place),
                backfill=run,
            )
            for place, media_id in enumerate(files)
        ]
    )


def newest_file(connection: Connection, chosen_by: ChosenBy) -> MediaFile | None:
    """The one to try a CRM with: prepared, and nothing speaks against it."""
    files = MediaFile.objects.for_crms().filter(workspace=connection.workspace_id, prepared_at__isnull=False)
    wanted = mapping.wanted(files, connection, chosen_by)
    return wanted.order_by("-received_at", "-id").first()


def renew(media_ids: Collection[UUID]) -> int:
    """Files that people see differently now are due again where a CRM holds what is no longer true; returns how
    many. Runs inside the caller's transaction, after its change. A delivery under way notices by itself."""
    with transaction.atomic():
        # All are locked, delivered or not: whoever is just writing one waits, then sees `changed_at` moved.
        rows = list(_locked(Delivery.objects.filter(media__in=media_ids)))
        kept = [parcel for parcel in parcels.load(rows) if parcel.delivery.delivered_at]
        stale = [parcel.delivery.pk for parcel in kept if parcel.is_news]
        return Delivery.objects.filter(pk__in=stale).update(delivered_at=None, due_at=clock.now(), attempts=0)


def renew_changed(since: datetime) -> int:
    """`renew` for every file that changed since then, whoever changed it and forgot to say so; returns how many
    are due again."""
    watched = Connection.objects.crms().filter(removed_at=None).values("workspace")
    changed = MediaFile.objects.filter(
        workspace__in=watched, changed_at__gte=since, deliveries__delivered_at__isnull=False
    )
    pks = list(changed.order_by("pk").values_list("pk", flat=True).distinct())
    return sum(renew(pks[start : start + BATCH]) for start in range(0, len(pks), BATCH))


def rewrite(connection: Connection) -> int:
    """Files that were written by an earlier version of the mapping are due again, a few hundred a minute, so that what
    arrives today never queues behind them; returns how many. Runs inside the caller's transaction."""
    made, due_at = 0, clock.now()
    stale = mapping.outdated_files(connection.pk).order_by("-delivered_at", "pk")
    while page := list(stale.values_list("pk", flat=True)[:REWRITTEN_PER_MINUTE]):
        made += Delivery.objects.filter(pk__in=page).update(delivered_at=None, due_at=due_at, attempts=0)
        due_at += timedelta(minutes=1)
    return made


# ── what people do ──


def retry(delivery: Delivery, *, by: str) -> set[UUID]:
    """Due now, whatever stood in the way, and so is all that stopped for the same reason of the same person: which.
    What was detached is made anew: that is what this asks for. A promise already kept stays as it is, and so does one that
    somebody left out: that decision is undone where it was made."""
    with transaction.atomic():
        rows = [row for row in _lock_with_peers(delivery) if row.refusal != LEFT_OUT]
        for row in (row for row in rows if row.refusal == DETACHED):
            _forget(row)
        make_due(rows)
        deeds = [
            Deed("delivery.retried", "file", row.media_id, row.refusal or "", subject(row.connection))
            for row in rows
        ]
        AuditEntry.objects.record(delivery.workspace_id, by, deeds)
    return set(_pks(rows))


def retry_all(stopped: QuerySet[Delivery], *, by: str) -> int:
    """Every one of these that only a person can set going, as `retry`; returns how many. A person is asked about once,
    however many files wait."""
    left = stopped.filter(stopped_at__isnull=False).exclude(refusal=LEFT_OUT)
    count, done = 0, set[UUID]()
    for row in left.order_by("pk"):
        if row.pk not in done:
            freed = retry(row, by=by)
            done |= freed
            count += len(freed)
    return count


def promise_to(connection: Connection, media: MediaFile, *, by: str, chosen_by: ChosenBy) -> None:
    """This file to this CRM, whenever it came. Raises NotForCrms and KeptBack. Promised already, it stays as it is."""
    with transaction.atomic():
        account = lock_connection(connection.pk)
        files = MediaFile.objects.for_crms().filter(workspace=account.workspace_id, prepared_at__isnull=False)
        if account.removed_at or not files.filter(pk=media.pk).exists():
            raise NotForCrms()
        if mapping.unwanted(account.workspace_id, account.pk, [media.pk], chosen_by):
            raise KeptBack()
        at = clock.now()
        if _insert([_new_promise(account.workspace_id, account.pk, media.pk, at, due_at=at)]):
            deed = Deed("delivery.promised", "file", media.pk, "", subject(account))
            AuditEntry.objects.record(account.workspace_id, by, [deed])


def link_person(connection: Connection, person: Person, ref: RecordRef, *, by: str) -> RecordLink:
    """Somebody who knows says which contact a person is, whatever was found before. What waited for an answer is due, and
    what was delivered follows to the new contact. Raises Refused where the contact is somebody else's already."""
    with transaction.atomic():
        if records.owners(connection.pk, [ref]).get(ref.record_id, person.pk) != person.pk:
            raise Refused("This contact belongs to another person already.", code="record_of_another")
        records.remember_contacts(connection, [(person.pk, ref, records.CHOSEN)], by=by, at=clock.now())
        promised = Delivery.objects.filter(connection=connection, media__person=person)
        make_due(list(_locked(promised.filter(refusal=CrmErrorKind.AMBIGUOUS, stopped_at__isnull=False))))
        kept = list(
            promised.filter(delivered_at__isnull=False).order_by("pk").values_list("media", flat=True)
        )
        for start in range(0, len(kept), BATCH):
            renew(kept[start : start + BATCH])
        details = {**subject(connection), "record": ref.record_id, "person": ids.text(person.pk)}
        deed = Deed("person.linked", "person", person.pk, "chosen", details)
        AuditEntry.objects.record(connection.workspace_id, by, [deed])
    return RecordLink.objects.get(connection=connection, person=person, object_type=records.CONTACT)


def _lock_with_peers(delivery: Delivery) -> list[Delivery]:
    """The promise, if it is still to be kept, and those about the same person that stopped for its reason."""
    row = Delivery.objects.get(pk=delivery.pk)
    alike = Q(pk=row.pk)
    if row.refusal == CrmErrorKind.AMBIGUOUS or row.refusal_facts.get("object_type") == records.CONTACT:
        person = MediaFile.objects.filter(pk=row.media_id).values("person_id")
        alike |= Q(media__person__in=person, refusal=row.refusal, stopped_at__isnull=False)
    return list(_locked(Delivery.objects.filter(alike, connection=row.connection_id, delivered_at=None)))


def _forget(row: Delivery) -> None:
    """The record is no more; finding or making one starts from nothing."""
    gone = RecordLink.objects.filter(
        connection=row.connection_id, record_id=row.refusal_facts.get("record_id")
    )
    if row.refusal_facts.get("object_type") == records.CONTACT:
        gone.filter(person__isnull=False, object_type=records.CONTACT).delete()
    else:
        gone.filter(media=row.media_id).delete()
        # What hung on it goes again: out of where it may still lie, and onto the new record.
        hung = CrmUpload.objects.filter(
            connection=row.connection_id, media=row.media_id, remove_asked_at=None
        )
        hung.filter(holder_id=row.refusal_facts.get("record_id")).update(
            **AFRESH, uploaded_at=None, size_bytes=None, due_at=clock.now()
        )


def make_due(rows: Collection[Delivery]) -> None:
    """Whatever stood in the way is out of it. The rows are locked by the caller's transaction."""
    pks = [row.pk for row in rows]
    Delivery.objects.filter(pk__in=pks).update(
        stopped_at=None, due_at=clock.now(), attempts=0, payload_hash=None, backfill=None
    )


# ── claiming ──


def claim(connection_id: UUID, limit: int = BATCH) -> list[Delivery]:
    """Up to `limit` due promises, longest due first and those of a backfill last, ours until `claimed_until`; none
    while the connection is paused, removed or resting.

    A person whose files are in other hands is left out: contacts have one writer at a time, since CRMs lock,
    refuse or double what two write at once.
    """
    with transaction.atomic():
        connection = lock_connection(connection_id)
        now = clock.now()
        if not is_open(connection, now):
            return []
        in_hand = Delivery.objects.filter(connection=connection, delivered_at=None, claimed_until__gt=now)
        busy = set(in_hand.values_list("media__person_id", flat=True))
        due = Delivery.objects.due(now).filter(
            TELLABLE,
            connection=connection,
            media__workspace=connection.workspace_id,
            media__stored_at__isnull=False,
        )
        found = list(
            due.exclude(media__person__in=busy)
            .select_related("media")
            .order_by(F("backfill").asc(nulls_first=True), "due_at", "pk")
            .select_for_update(skip_locked=True, no_key=True, of=("self",))[: min(limit, BATCH)]
        )
        return _lease(found, now)


def release(deliveries: Collection[Delivery]) -> None:
    """Promises that are none any more; whoever wants them later promises them anew."""
    with transaction.atomic():
        held = still_held(deliveries)
        runs = Counter(row.backfill_id for row in held.values() if row.backfill_id)
        Delivery.objects.filter(pk__in=held).delete()
        for run, count in runs.items():
            Backfill.objects.filter(pk=run).update(promised=F("promised") - count)


def prolong(deliveries: Collection[Delivery]) -> set[UUID]:
    """Hold on to them for another while; returns those that are still ours and still to be kept."""
    with transaction.atomic():
        held = still_held(deliveries)
        _lease([row for row in deliveries if row.pk in held], clock.now())
    return set(held)


def still_held(deliveries: Collection[Delivery]) -> dict[UUID, Delivery]:
    """Fresh, locked rows of those that are still to be kept and whose lease is still ours."""
    lease = {row.pk: row.claimed_until for row in deliveries}
    undone = Delivery.objects.filter(pk__in=lease, delivered_at=None, stopped_at=None)
    return {row.pk: row for row in _locked(undone) if row.claimed_until == lease[row.pk]}


def still_delivered(deliveries: Collection[Delivery]) -> dict[UUID, Delivery]:
    """Fresh, locked rows of those that nobody renewed or delivered again since they were read."""
    read = {row.pk: row.delivered_at for row in deliveries}
    return {
        row.pk: row
        for row in _locked(Delivery.objects.filter(pk__in=read))
        if row.delivered_at == read[row.pk]
    }


def lock_connection(connection_id: UUID) -> Connection:
    """The row, ours until the transaction ends; others may still point at it."""
    return Connection.objects.crms().select_for_update(no_key=True).get(pk=connection_id)


def is_open(connection: Connection, at: datetime) -> bool:
    """Neither removed, paused nor resting."""
    is_resting = connection.breaker_open_until is not None and connection.breaker_open_until > at
    return not (connection.removed_at or connection.paused_at or is_resting)


def due_connections() -> list[UUID]:
    """CRM connections that something is due for, or a backfill runs for, and that may be written to now; always in the
    same order, so that two who start their jobs never wait for each other."""
    now = clock.now()
    live = Connection.objects.crms().live().exclude(breaker_open_until__gt=now)
    filled = set(Backfill.objects.running().values_list("connection", flat=True))
    return [
        pk
        for pk in live.order_by("pk").values_list("pk", flat=True)
        if pk in filled or Delivery.objects.due(now).filter(TELLABLE, connection=pk).exists()
    ]


def _lease(rows: list[Delivery], now: datetime) -> list[Delivery]:
    until = now + LEASE
    Delivery.objects.filter(pk__in=_pks(rows)).update(claimed_until=until)
    for row in rows:
        row.claimed_until = until
    return rows


def _locked(rows: QuerySet[Delivery]) -> QuerySet[Delivery]:
    """In one order for everybody, so that nobody waits in a circle."""
    return rows.select_related("connection").order_by("pk").select_for_update(no_key=True, of=("self",))


def _pks(rows: Collection[Delivery]) -> list[UUID]:
    return [row.pk for row in rows]


def _new_promise(
    workspace_id: UUID,
    connection_id: UUID,
    media_id: UUID,
    at: datetime,
    *,
    due_at: datetime,
    backfill: Backfill | None = None,
) -> Delivery:
    return Delivery(
        workspace_id=workspace_id,
        connection_id=connection_id,
        media_id=media_id,
        promised_at=at,
        due_at=due_at,
        backfill=backfill,
    )


def _insert(rows: list[Delivery]) -> int:
    records.hold_back(rows)
    Delivery.objects.bulk_create(rows, ignore_conflicts=True, batch_size=1000)
    return Delivery.objects.filter(pk__in=_pks(rows)).count()
