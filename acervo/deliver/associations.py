"""Deals, tickets and campaigns a file belongs to besides its contact: by hand, by the connection's rule, and off again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import httpx
from django.db import transaction

from acervo.base import clock
from acervo.base.database import in_thread
from acervo.base.errors import Refused
from acervo.crms.contract import Connector, CrmError, CrmErrorKind, RecordRef, RelatedRef
from acervo.deliver import account, outbox, records, uploading
from acervo.deliver.account import OpenConnector
from acervo.deliver.parcels import Parcel
from acervo.deliver.refusals import subject
from acervo.deliver.withdrawal import CrmBusy
from acervo.keep import credentials
from acervo.models import AuditEntry, Connection, Deed, Delivery, RecordLink
from acervo.models.connection import RELATED_TYPES

log = logging.getLogger(__name__)

NOTHING_TO_TIE: Final = frozenset(
    {CrmErrorKind.UNSUPPORTED, CrmErrorKind.NOT_FOUND, CrmErrorKind.FORBIDDEN, CrmErrorKind.VALIDATION}
)
"""A rule that cannot be followed holds up no file."""


class NotOffered(Refused):
    """This is not among the deals and tickets of the contact."""

    code = "related_not_offered"


class AlreadyTied(Refused):
    """The file is on another one of this kind. Take it off there first."""

    code = "already_tied"


class NoContactYet(Refused):
    """The contact in the CRM is not known yet, so nobody can say what is open there."""

    code = "no_contact_yet"


class UnknownTie(Refused):
    """Files can be tied to deals, tickets and campaigns."""

    code = "unknown_choice"


# ── by rule ──


async def by_rule(connector: Connector, connection_id: UUID, batch: Sequence[Parcel]) -> None:
    """Files that are new in the CRM go onto the only open deal, ticket… of their contact, where the connection wants
    that. Of several open ones nobody guesses. Raises CrmError where the next call would fail as well."""
    kinds = await in_thread(_wanted, connection_id)
    fresh = [parcel for parcel in batch if kinds and _is_fresh(parcel)]
    found: dict[UUID, tuple[RecordRef, ...]] = {}
    for parcel in fresh:
        person_id, contact = parcel.party.person_id, parcel.party.contact
        if person_id not in found and contact:
            found[person_id] = _only_open(await _related(connector, contact), kinds)
        parcel.related = found.get(person_id, ())
    if any(parcel.related for parcel in fresh):
        await in_thread(_remember, connection_id, fresh)


def change_ties(connection: Connection, wanted: Collection[str], *, by: str) -> bool:
    """What new files are tied to by themselves from now on; whether that is a change. Raises UnknownTie."""
    kinds = [kind for kind in RELATED_TYPES if kind in wanted]
    if len(kinds) != len(set(wanted)):
        raise UnknownTie()
    with transaction.atomic():
        row = outbox.lock_connection(connection.pk)
        if row.ties_to == kinds:
            return False
        row.ties_to = connection.ties_to = kinds
        row.save(update_fields=["ties_to"])
        deed = Deed("connection.ties_changed", "connection", row.pk, "", {"ties_to": kinds})
        AuditEntry.objects.record(row.workspace_id, by, [deed])
    return True


def _wanted(connection_id: UUID) -> list[str]:
    return Connection.objects.values_list("ties_to", flat=True).get(pk=connection_id)


def _is_fresh(parcel: Parcel) -> bool:
    return parcel.verdict is None and parcel.known_ref is None and not parcel.related


async def _related(connector: Connector, contact: RecordRef) -> Sequence[RelatedRef]:
    try:
        return await connector.find_related(contact)
    except CrmError as error:
        if error.kind in NOTHING_TO_TIE:
            return ()
        raise


def _only_open(found: Iterable[RelatedRef], kinds: Collection[str]) -> tuple[RecordRef, ...]:
    chosen = []
    for kind in kinds:
        candidates = [one.ref for one in found if one.is_open and one.ref.object_type == kind]
        if len(candidates) == 1:
            chosen.append(candidates[0])
    return tuple(chosen)


def _remember(connection_id: UUID, parcels: Sequence[Parcel]) -> None:
    """Before it is written: a lost answer must not lose what the file was tied to."""
    at = clock.now()
    RecordLink.objects.bulk_create(
        (
            _tie(
                parcel.delivery.workspace_id,
                connection_id,
                parcel.media.pk,
                ref,
                records.RULE,
                records.BY,
                at,
            )
            for parcel in parcels
            for ref in parcel.related
        ),
        ignore_conflicts=True,
    )


# ── by hand ──


async def offered(
    delivery: Delivery, *, http: httpx.AsyncClient, open_connector: OpenConnector = credentials.connector
) -> Sequence[RelatedRef]:
    """What the contact has in the CRM now, open ones first. Raises CrmError and NoContactYet."""
    contact = await in_thread(_contact_of, delivery)
    connector = await account.reach(delivery.connection_id, http, open_connector)
    found = await connector.find_related(contact)
    return sorted(found, key=lambda one: not one.is_open)


async def tie(
    delivery: Delivery,
    wanted: Collection[str],
    *,
    by: str,
    http: httpx.AsyncClient,
    then: Callable[[], None] = lambda: None,
    open_connector: OpenConnector = credentials.connector,
) -> int:
    """The file belongs to these, each said as `deal:123`; a promise like any other writes it. `then` runs in the same
    transaction. How many were new. Raises CrmError, NotOffered, AlreadyTied and NoContactYet."""
    there = await offered(delivery, http=http, open_connector=open_connector)
    by_name = {f"{one.ref.object_type}:{one.ref.record_id}": one.ref for one in there}
    if not wanted or not set(wanted) <= set(by_name):
        raise NotOffered()
    return await in_thread(_tie_all, delivery, [by_name[one] for one in sorted(set(wanted))], by, then)


def _contact_of(delivery: Delivery) -> RecordRef:
    link = RecordLink.objects.filter(
        connection=delivery.connection_id,
        object_type=records.CONTACT,
        person__files=delivery.media_id,
    ).first()
    if link is None:
        raise NoContactYet()
    return records.reference(link)


def _tie_all(delivery: Delivery, refs: Sequence[RecordRef], by: str, then: Callable[[], None]) -> int:
    at = clock.now()
    with transaction.atomic():
        connection = outbox.lock_connection(delivery.connection_id)
        there = {
            link.object_type: link.record_id
            for link in RecordLink.objects.filter(connection=connection, media=delivery.media_id)
        }
        new = [ref for ref in refs if there.get(ref.object_type) != ref.record_id]
        if len({ref.object_type for ref in refs}) < len(refs) or any(ref.object_type in there for ref in new):
            raise AlreadyTied()
        RecordLink.objects.bulk_create(
            _tie(connection.workspace_id, connection.pk, delivery.media_id, ref, records.CHOSEN, by, at)
            for ref in new
        )
        outbox.renew([delivery.media_id])
        deeds = [_deed("file.tied", connection, delivery.media_id, ref) for ref in new]
        AuditEntry.objects.record(connection.workspace_id, by, deeds)
        then()
    return len(new)


# ── off again ──


def ask_untie(link: RecordLink, *, by: str) -> bool:
    """The file is to leave this deal or ticket; whether the CRM has to be told. Only for what people or a rule tied."""
    at = clock.now()
    with transaction.atomic():
        tied = RecordLink.objects.filter(pk=link.pk, media__isnull=False, object_type__in=RELATED_TYPES)
        row = tied.select_related("connection").select_for_update(of=("self",)).first()
        if row is None or (row.untie_asked_at and not row.untie_refusal):
            return False
        deed = _deed("file.untie_asked", row.connection, row.media_id, records.reference(row))
        is_written = _record_of(row) is not None
        if is_written:
            row.untie_asked_at, row.untie_asked_by, row.untie_refusal = at, by, None
            row.save(update_fields=["untie_asked_at", "untie_asked_by", "untie_refusal"])
        else:
            row.delete()
        AuditEntry.objects.record(row.workspace_id, by, [deed])
    return is_written


def keep_tied(link: RecordLink, *, by: str) -> None:
    """The CRM does not let go, so the file stays on it."""
    with transaction.atomic():
        asked = RecordLink.objects.filter(pk=link.pk, untie_refusal__isnull=False)
        if asked.update(untie_asked_at=None, untie_asked_by=None, untie_refusal=None):
            deed = _deed("file.tied", link.connection, link.media_id, records.reference(link))
            AuditEntry.objects.record(link.workspace_id, by, [deed])


async def untie(
    link_id: UUID, *, http: httpx.AsyncClient, open_connector: OpenConnector = credentials.connector
) -> None:
    """Safe to run twice. Raises CrmBusy; what the CRM refuses for good is written on the link."""
    link, record = await in_thread(_to_untie, link_id)
    if link is None:
        return
    try:
        if record is not None:
            await _unlink(link, record, http, open_connector)
    except CrmError as error:
        if error.is_retryable:
            raise CrmBusy(after_s=error.retry_after_s) from error
        await in_thread(_refused, link, str(error.kind))
    else:
        await in_thread(_untied, link)


def to_untie(limit: int, before: datetime) -> list[UUID]:
    """Asked for some time ago, and neither done nor refused: a job was lost."""
    left = RecordLink.objects.filter(untie_asked_at__lt=before, untie_refusal=None).order_by("untie_asked_at")
    return list(left.values_list("pk", flat=True)[:limit])


async def _unlink(
    link: RecordLink, record: RecordRef, http: httpx.AsyncClient, open_connector: OpenConnector
) -> None:
    connector = await account.reach_to_remove(link.connection, http, open_connector)
    tied_to = records.reference(link)
    if link.media_id:
        await uploading.remove_of(
            link.connection, link.media_id, http=http, open_connector=open_connector, holder=tied_to
        )
    await connector.unlink(record, tied_to)


def _to_untie(link_id: UUID) -> tuple[RecordLink | None, RecordRef | None]:
    asked = RecordLink.objects.filter(pk=link_id, untie_asked_at__isnull=False)
    link = asked.select_related("connection").first()
    return (link, _record_of(link)) if link else (None, None)


def _untied(link: RecordLink) -> None:
    with transaction.atomic():
        if RecordLink.objects.filter(pk=link.pk, untie_asked_at__isnull=False).delete()[0] and link.media_id:
            outbox.renew([link.media_id])
            deed = _deed("file.untied", link.connection, link.media_id, records.reference(link))
            AuditEntry.objects.record(link.workspace_id, records.BY, [deed])


def _refused(link: RecordLink, kind: str) -> None:
    log.warning("crm.tie_left", extra={"connection": str(link.connection_id), "reason": kind})
    RecordLink.objects.filter(pk=link.pk, untie_asked_at__isnull=False).update(untie_refusal=kind)


def _record_of(link: RecordLink) -> RecordRef | None:
    """Where the file itself stands in this CRM."""
    if link.media_id is None:
        return None
    return records.known(link.connection_id, (), [link.media_id]).files.get(link.media_id)


def _tie(
    workspace_id: UUID,
    connection_id: UUID,
    media_id: UUID,
    ref: RecordRef,
    reason: str,
    by: str,
    at: datetime,
) -> RecordLink:
    return RecordLink(
        workspace_id=workspace_id,
        connection_id=connection_id,
        media_id=media_id,
        object_type=ref.object_type,
        record_id=ref.record_id,
        url=ref.url,
        reason=reason,
        linked_by=by,
        linked_at=at,
    )


def _deed(action: str, connection: Connection, media_id: UUID | None, ref: RecordRef) -> Deed:
    details = {**subject(connection), "object_type": ref.object_type, "record": ref.record_id}
    return Deed(action, "file", media_id, "", details)
