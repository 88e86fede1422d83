"""A file that was taken back leaves the CRMs: its records go, and what was promised of it is no longer."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import httpx
from django.db import transaction

from acervo.base import clock, ids
from acervo.base.database import in_thread
from acervo.base.errors import TryLater
from acervo.crms.contract import Connector, CrmError, CrmErrorKind
from acervo.deliver import account, mapping, uploading
from acervo.deliver.account import OpenConnector
from acervo.deliver.records import BY, WRITTEN, reference
from acervo.deliver.refusals import subject
from acervo.keep import credentials
from acervo.models import AuditEntry, CrmUpload, Deed, Delivery, Discrepancy, MediaFile, RecordLink

log = logging.getLogger(__name__)

IN_HAND_S: Final = 30.0


class StillBeingWritten(TryLater):
    """Somebody is just writing this file into a CRM."""

    code = "still_being_written"


class CrmBusy(TryLater):
    """The CRM cannot be asked to remove a record just now."""

    code = "unavailable"


async def withdraw(
    media_id: UUID, *, http: httpx.AsyncClient, open_connector: OpenConnector = credentials.connector
) -> None:
    """Safe to run twice. Raises StillBeingWritten and CrmBusy, after everything else was done. A paused CRM is asked once
    it goes on; one that is removed, or refuses, keeps its record, and the audit trail says so."""
    await let_go(await in_thread(_stop, media_id), http=http, open_connector=open_connector)


async def let_go(
    links: Sequence[RecordLink], *, http: httpx.AsyncClient, open_connector: OpenConnector
) -> None:
    """Our records leave the CRM, and the links are forgotten; what a CRM keeps is written down. Raises CrmBusy."""
    busy: CrmError | None = None
    for link in links:
        try:
            await _erase(link, http, open_connector)
        except CrmError as error:
            if error.is_retryable:
                busy = error
            else:
                await in_thread(_give_up, link, str(error.kind))
    if busy is not None:
        raise CrmBusy(after_s=busy.retry_after_s)


def _stop(media_id: UUID) -> list[RecordLink]:
    """Nothing is promised any more; the records that are to go."""
    at = clock.now()
    with transaction.atomic():
        media = MediaFile.objects.filter(pk=media_id).exclude(hidden_at=None, erase_asked_at=None)
        if not media.exists():
            return []
        promised = Delivery.objects.filter(media=media_id)
        in_hand = [row.claimed_until for row in promised.select_for_update() if not row.delivered_at]
        if any(until and until > at for until in in_hand):
            raise StillBeingWritten(after_s=IN_HAND_S)
        copies = CrmUpload.objects.filter(media=media_id)
        if any(row.claimed_until and row.claimed_until > at for row in copies.select_for_update()):
            raise StillBeingWritten(after_s=IN_HAND_S)
        copies.take_out(by=BY, at=at)  # wherever they hang, with a record of ours or without
        promised.delete()
        Discrepancy.objects.filter(media=media_id).delete()
    ours = RecordLink.objects.filter(media=media_id, reason=WRITTEN)
    return list(ours.select_related("connection").order_by("pk"))


async def _erase(link: RecordLink, http: httpx.AsyncClient, open_connector: OpenConnector) -> None:
    if link.media_id:
        await uploading.remove_of(link.connection, link.media_id, http=http, open_connector=open_connector)
    connector = await account.reach_to_remove(link.connection, http, open_connector)
    try:
        also = await _also(connector, link)
        result = await connector.erase_media(reference(link), also=also)
    except CrmError as error:
        if error.kind is not CrmErrorKind.NOT_FOUND:
            raise
    else:
        if result.outcome == "impossible":
            raise CrmError(CrmErrorKind.UNSUPPORTED)
    await in_thread(_forget, link)


async def _also(connector: Connector, link: RecordLink) -> list[str]:
    """Fields of theirs that held values of ours under any mapping, as far as they still exist."""
    used = await in_thread(mapping.ever_used, link.connection_id)
    if not used:
        return []
    try:
        there = {one.name for one in await connector.fields("media") if one.is_writable}
    except CrmError as error:
        if error.kind in (CrmErrorKind.UNSUPPORTED, CrmErrorKind.NOT_FOUND):
            return []
        raise
    return sorted(used & there)


def _forget(link: RecordLink) -> None:
    with transaction.atomic():
        if RecordLink.objects.filter(pk=link.pk).delete()[0]:
            _record(link, "file.removed_from_crm", "")


def _give_up(link: RecordLink, reason: str) -> None:
    log.warning(
        "crm.record_left", extra={"media": ids.text(link.media_id) if link.media_id else "", "reason": reason}
    )
    with transaction.atomic():
        _record(link, "file.left_in_crm", reason)


def _record(link: RecordLink, action: str, reason: str) -> None:
    details = {**subject(link.connection), "record": link.record_id}
    AuditEntry.objects.record(link.workspace_id, BY, [Deed(action, "file", link.media_id, reason, details)])
