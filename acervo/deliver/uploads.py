"""Which files' bytes shall be in a CRM, and which shall leave it: one row a file, where the mapping wants more than the link."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Sum

from acervo import crms
from acervo.base import clock
from acervo.crms.contract import RecordRef, UploadTerms
from acervo.deliver import mapping, records
from acervo.deliver.mapping import Rules
from acervo.deliver.outbox import TELLABLE
from acervo.models import AuditEntry, Connection, CrmUpload, Deed, Delivery, MediaFile, RecordLink
from acervo.models.media import not_quarantined

PAGE = 500


@dataclass(frozen=True, slots=True)
class Standing:
    """How the uploads of a connection stand, in numbers of files."""

    there: int = 0
    size_bytes: int = 0
    """Of those that are there."""
    waiting: int = 0
    leaving: int = 0
    stopped: dict[str, int] = field(default_factory=dict)
    """By refusal: those that only a person can go on with, to get in or out."""

    @property
    def is_empty(self) -> bool:
        return not (self.there or self.waiting or self.leaving or self.stopped)


def terms(connection: Connection) -> UploadTerms | None:
    """What this CRM takes; None where only the link goes into it."""
    return crms.get(connection.kind).uploads


def holder_of(wanted: UploadTerms, refs: Iterable[RecordRef]) -> RecordRef | None:
    """Which of a file's records its bytes hang on."""
    by_type: dict[str, RecordRef] = {}
    for ref in refs:
        by_type.setdefault(ref.object_type, ref)
    return next((by_type[name] for name in wanted.hangs_on if name in by_type), None)


# ── asking ──


def ask(connection: Connection, media_ids: Collection[UUID], *, by: str, at: datetime) -> int:
    """Of files that lie in the CRM, those whose bytes shall follow; returns how many are new. Files without a record that
    could hold them are left out: they are asked for once they are tied to one. Runs inside the caller's transaction."""
    wanted = terms(connection)
    kinds = mapping.current(connection.pk)[1].kinds_with_bytes if wanted and media_ids else []
    if wanted is None or not kinds:
        return 0
    found = set(MediaFile.objects.filter(pk__in=media_ids, kind__in=kinds).values_list("pk", flat=True))
    refs = _refs(connection.pk, found)
    rows = [
        CrmUpload(
            workspace_id=connection.workspace_id,
            connection=connection,
            media_id=pk,
            asked_at=at,
            asked_by=by,
            due_at=at,
        )
        for pk in sorted(found)
        if holder_of(wanted, refs.get(pk, ()))
    ]
    CrmUpload.objects.bulk_create(rows, ignore_conflicts=True)
    return CrmUpload.objects.filter(pk__in=[row.pk for row in rows]).count()


def ask_earlier(connection: Connection, *, by: str) -> int:
    """The bytes of every file that lies in the CRM already, where the mapping wants bytes; returns how many are new."""
    at, count = clock.now(), 0
    with transaction.atomic():
        for page in _pages(earlier(connection)):
            count += ask(connection, page, by=by, at=at)
        _record(connection, "connection.uploads_asked", by, count)
    return count


def earlier(connection: Connection) -> QuerySet[Delivery]:
    """Files in the CRM whose bytes the mapping wants there, and that nobody asked for."""
    kinds = mapping.current(connection.pk)[1].kinds_with_bytes if terms(connection) else []
    asked = CrmUpload.objects.filter(connection=connection, media=OuterRef("media"))
    held = RecordLink.objects.filter(
        connection=connection, media=OuterRef("media"), object_type__in=_hangs_on(connection)
    )
    return Delivery.objects.filter(
        ~Exists(asked),
        Exists(held),
        TELLABLE,
        connection=connection,
        delivered_at__isnull=False,
        media__kind__in=kinds,
    )


def due_connections() -> list[UUID]:
    """CRMs that files are to be put into or taken out of now, and that may be written to; always in the same order."""
    now = clock.now()
    due = CrmUpload.objects.due(now).filter(TELLABLE | Q(remove_asked_at__isnull=False))
    live = Connection.objects.crms().live().exclude(breaker_open_until__gt=now)
    pks = live.order_by("pk").values_list("pk", flat=True)
    return [pk for pk in pks if due.filter(connection=pk).exists()]


def take_out_infected() -> None:
    """A scanner that learned something new speaks of copies too: a CRM is no place for them."""
    unsafe = ~not_quarantined("media__")
    CrmUpload.objects.filter(unsafe, remove_asked_at=None).take_out(by=records.BY, at=clock.now())


# ── what people do ──


def ask_removal(connection: Connection, *, by: str) -> int:
    """Every byte of ours is to leave the CRM; the links stay. Returns how many files that are."""
    at = clock.now()
    with transaction.atomic():
        count = CrmUpload.objects.filter(connection=connection).take_out(by=by, at=at)
        _record(connection, "connection.upload_removal_asked", by, count)
    return count


def drop_unwanted(connection: Connection, wanted: Rules, *, by: str) -> None:
    """The mapping changed: of kinds whose bytes nobody wants any more, nothing goes on its way; what is there stays. Runs
    inside the caller's transaction."""
    rows = CrmUpload.objects.filter(connection=connection, uploaded_at=None)
    rows.exclude(media__kind__in=wanted.kinds_with_bytes).take_out(by=by, at=clock.now())


def retry(connection: Connection, *, by: str) -> int:
    """Whatever stopped, in or out, is due again; returns how many."""
    with transaction.atomic():
        stopped = CrmUpload.objects.filter(connection=connection, stopped_at__isnull=False)
        count = stopped.update(stopped_at=None, due_at=clock.now(), attempts=0)
        _record(connection, "connection.uploads_retried", by, count)
    return count


def standing(connection: Connection) -> Standing:
    rows = CrmUpload.objects.filter(connection=connection)
    stays, goes = Q(remove_asked_at=None), Q(remove_asked_at__isnull=False)
    counted = rows.aggregate(
        there=Count("pk", filter=stays & Q(uploaded_at__isnull=False)),
        size_bytes=Sum("size_bytes", filter=Q(uploaded_at__isnull=False), default=0),
        waiting=Count("pk", filter=stays & TELLABLE & Q(uploaded_at=None, stopped_at=None)),
        leaving=Count("pk", filter=goes & Q(stopped_at=None)),
    )
    stopped = rows.filter(stopped_at__isnull=False).order_by().values_list("refusal").annotate(Count("pk"))
    return Standing(**counted, stopped={refusal or "": count for refusal, count in stopped})


def _refs(connection_id: UUID, media_ids: Collection[UUID]) -> dict[UUID, list[RecordRef]]:
    known = records.known(connection_id, (), media_ids)
    own = {pk: [ref] for pk, ref in known.files.items()}
    return {pk: [*own.get(pk, []), *known.related.get(pk, [])] for pk in {*own, *known.related}}


def holder(connection: Connection, media_id: UUID) -> RecordRef | None:
    """As it is known now: it may have been tied, or written elsewhere, since it was asked for."""
    wanted = terms(connection)
    refs = _refs(connection.pk, [media_id]).get(media_id, [])
    return holder_of(wanted, refs) if wanted else None


def _hangs_on(connection: Connection) -> tuple[str, ...]:
    wanted = terms(connection)
    return wanted.hangs_on if wanted else ()


def _pages(rows: QuerySet[Delivery]) -> Iterable[list[UUID]]:
    pks = list(rows.order_by("media").values_list("media", flat=True))
    for start in range(0, len(pks), PAGE):
        yield pks[start : start + PAGE]


def _record(connection: Connection, action: str, by: str, count: int) -> None:
    if count:
        deed = Deed(action, "connection", connection.pk, "", {"files": count})
        AuditEntry.objects.record(connection.workspace_id, by, [deed])
