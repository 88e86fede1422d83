"""Bytes on their way into a CRM, and out of it again: one file at a time, after everything that only needs a link."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import httpx
from django.db import transaction

from acervo.base import clock, filetypes, ids
from acervo.base.database import in_thread
from acervo.base.errors import AcervoError, TryLater
from acervo.crms.contract import Connector, CrmError, CrmErrorKind, EraseResult, RecordRef, Upload, Uploaded
from acervo.deliver import account, outbox, refusals, uploads
from acervo.deliver.account import OpenConnector
from acervo.deliver.outbox import TELLABLE
from acervo.deliver.records import BY
from acervo.deliver.refusals import Refusal
from acervo.keep import credentials, vault
from acervo.models import AuditEntry, Connection, CrmUpload, Deed, MediaFile, Rendition, RenditionKind
from acervo.models.crm_upload import AFRESH

log = logging.getLogger(__name__)

LEASE: Final = timedelta(minutes=30)
"""Of one file on a slow line."""
LONGEST_S: Final = 20 * 60.0
"""Of one upload, well within its lease: nobody takes it up, or takes it out, while bytes still travel."""
PLAYS: Final = (RenditionKind.MP3, RenditionKind.MP4)
ACCOUNT: Final = frozenset({CrmErrorKind.AUTH_REVOKED, CrmErrorKind.AUTH_EXPIRED}) | refusals.RESTS
"""About the account as a whole. Not FORBIDDEN: links may go where bytes may not."""
TOO_LARGE: Final = "too_large"
KEPT_A_WHILE: Final = "kept_a_while"
LOOKED_AT: Final = 20
IN_HAND_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Task:
    """One row in our hands, and what is to be done with it."""

    row: CrmUpload
    source: MediaFile | Rendition | None = None
    """The bytes that go; None: what is there is to be taken out."""
    goes_again: bool = False
    """Taken out, since it may lie where it no longer belongs; then it begins anew."""


async def go_on(
    connection_id: UUID, *, http: httpx.AsyncClient, open_connector: OpenConnector = credentials.connector
) -> bool:
    """One file in or out; whether there was one. May run any number of times, side by side. What goes wrong is written
    on its row."""
    task = await in_thread(_take, connection_id)
    if task is None:
        return False
    row = task.row
    try:
        connector = await account.prepare(row.connection, http, open_connector)
        if task.source is None:
            await _take_out(connector, row, goes_again=task.goes_again)
        else:
            await _put_in(connector, row, task.source)
    except CrmError as error:
        if error.kind is CrmErrorKind.QUOTA_EXHAUSTED and task.source is not None:
            await in_thread(_put_off, row, Refusal.of(error))
        elif error.kind in ACCOUNT:
            await account.refuse(row.connection, error)
            await in_thread(_let_go, row)
        else:
            await in_thread(_refuse, row, Refusal.of(error))
    except AcervoError as error:  # our own storage
        after_s = error.after_s if isinstance(error, TryLater) else None
        refusal = Refusal(error.code, is_final=not isinstance(error, TryLater), retry_after_s=after_s)
        await in_thread(_refuse, row, refusal)
    return True


async def remove_of(
    connection: Connection,
    media_id: UUID,
    *,
    http: httpx.AsyncClient,
    open_connector: OpenConnector,
    holder: RecordRef | None = None,
) -> None:
    """The bytes of one file leave the CRM, before its record does. `holder`: only if they hang on that. Raises what may
    be tried again; what is refused for good is written down."""
    row = await in_thread(_mark, connection, media_id, holder)
    if row is None:
        return
    try:
        await _take_out(await account.reach_to_remove(connection, http, open_connector), row)
    except CrmError as error:
        await in_thread(_refuse, row, Refusal.of(error))
        if error.is_retryable:
            raise


# ── one file ──


async def _put_in(connector: Connector, row: CrmUpload, source: MediaFile | Rendition) -> None:
    terms = connector.uploads
    size_bytes = source.size_bytes or 0
    if terms is None or size_bytes > terms.most_bytes:
        most = terms.most_bytes if terms else 0
        await in_thread(_refuse, row, Refusal(TOO_LARGE, {"size_bytes": size_bytes, "most_bytes": most}))
        return
    upload = Upload(
        media_id=ids.text(row.file),
        file_name=row.file_name,
        mime=source.mime or filetypes.UNKNOWN.mime,
        size_bytes=size_bytes,
        content=lambda: vault.read(source),
        holder=RecordRef(row.holder_type, row.holder_id),
    )
    try:
        async with asyncio.timeout(LONGEST_S):
            done = await connector.upload(upload)
    except TimeoutError as error:
        raise CrmError(CrmErrorKind.UNKNOWN_OUTCOME, "the file took too long on its way") from error
    await in_thread(_keep, row, done, size_bytes)


async def _take_out(connector: Connector, row: CrmUpload, *, goes_again: bool = False) -> None:
    there = Uploaded(
        ids.text(row.file), row.file_name, RecordRef(row.holder_type, row.holder_id), file_id=row.file_id
    )
    try:
        result = await connector.remove_upload(there)
    except CrmError as error:
        if error.kind is not CrmErrorKind.NOT_FOUND:
            raise
        result = EraseResult("done")
    if result.outcome == "impossible":
        raise CrmError(CrmErrorKind.UNSUPPORTED, result.left)
    await in_thread(_begin_anew if goes_again else _forget, row, result.left)


# ── its row ──


def _take(connection_id: UUID) -> Task | None:
    """What is to leave goes first, then the newest that was asked for: what arrives today never waits for a mountain."""
    with transaction.atomic():
        connection = outbox.lock_connection(connection_id)
        now = clock.now()
        if not outbox.is_open(connection, now):
            return None
        due = CrmUpload.objects.due(now).filter(connection=connection)
        free = due.select_related("connection__workspace", "media").select_for_update(
            skip_locked=True, no_key=True, of=("self",)
        )
        row = free.filter(remove_asked_at__isnull=False).order_by("due_at", "pk").first()
        if row is not None:
            return Task(_claimed(row))
        openable = free.filter(
            TELLABLE, uploaded_at=None, remove_asked_at=None, media__stored_at__isnull=False
        )
        for row in openable.order_by("-asked_at", "-pk")[:LOOKED_AT]:
            if row.media and (task := _prepared(row, row.media)):
                return task
    return None


def _prepared(row: CrmUpload, media: MediaFile) -> Task | None:
    """Where it goes, and under which name, is said before the first try: from then on it may be there. If that is no
    longer its place or its name, it leaves from there first. What nothing holds any more, such as a ticket it was tied
    to, is asked for again once something does."""
    holder, source = uploads.holder(row.connection, media.pk), _source(media)
    file_name = f"{media.kind}-{media.slug}{filetypes.by_mime(source.mime or '').extension}"
    place = (*_named(holder), file_name) if holder else None
    if row.holder_id and place != (row.holder_type, row.holder_id, row.file_name):
        return Task(_claimed(row), goes_again=True)
    if place is None:
        row.delete()
        return None
    row.holder_type, row.holder_id, row.file_name = place
    return Task(_claimed(row), source)


def _source(media: MediaFile) -> MediaFile | Rendition:
    """What plays everywhere, where there is such a copy: a CRM is no place for what nobody can open."""
    return media.renditions.filter(kind__in=PLAYS).first() or media


def _claimed(row: CrmUpload) -> CrmUpload:
    row.claimed_until = clock.now() + LEASE
    row.save(update_fields=["claimed_until", "holder_type", "holder_id", "file_name"])
    return row


def _mark(connection: Connection, media_id: UUID, holder: RecordRef | None) -> CrmUpload | None:
    """To be removed now, by us. Raises CrmError while somebody else is at it."""
    with transaction.atomic():
        known = CrmUpload.objects.filter(connection=connection, media=media_id)
        row = known.select_related("connection__workspace", "media").select_for_update(of=("self",)).first()
        if row is None:
            return None
        if holder and row.holder_id and (row.holder_type, row.holder_id) != _named(holder):
            return None
        now = clock.now()
        if row.claimed_until and row.claimed_until > now:
            raise CrmError(CrmErrorKind.LOCKED, "these bytes are on their way", retry_after_s=IN_HAND_S)
        if not row.holder_id:
            row.delete()
            return None
        known.take_out(by=BY, at=now)
        row.refresh_from_db(fields=["remove_asked_at"])
        return _claimed(row)


def _named(ref: RecordRef) -> tuple[str, str]:
    return ref.object_type, ref.record_id


def _keep(row: CrmUpload, done: Uploaded, size_bytes: int) -> None:
    """Whoever wanted it out meanwhile finds it by its id."""
    now = clock.now()
    with transaction.atomic():
        if not CrmUpload.objects.filter(pk=row.pk).update(
            file_id=done.file_id,
            holder_type=done.holder.object_type,
            holder_id=done.holder.record_id,
            size_bytes=size_bytes,
            uploaded_at=now,
            due_at=now,
            claimed_until=None,
            **AFRESH,
        ):
            log.warning("crm.upload_of_nothing", extra={"media": ids.text(row.file)})
            _find_again(row, done, now)
            return
        _record(row, "file.uploaded", "", {"record": done.holder.record_id, "size_bytes": size_bytes})


def _find_again(row: CrmUpload, done: Uploaded, at: datetime) -> None:
    """Its row went while the bytes were on their way: so shall they."""
    left = CrmUpload(
        workspace_id=row.workspace_id,
        connection_id=row.connection_id,
        media_id=row.media_id,
        asked_at=row.asked_at,
        asked_by=row.asked_by,
        due_at=at,
        file_name=done.file_name,
        holder_type=done.holder.object_type,
        holder_id=done.holder.record_id,
        file_id=done.file_id,
        remove_asked_at=at,
        remove_asked_by=BY,
    )
    CrmUpload.objects.bulk_create([left], ignore_conflicts=True)


def _forget(row: CrmUpload, left: str) -> None:
    with transaction.atomic():
        if CrmUpload.objects.filter(pk=row.pk).delete()[0]:
            _record_removal(row, left)


def _begin_anew(row: CrmUpload, left: str) -> None:
    with transaction.atomic():
        wanted = CrmUpload.objects.filter(pk=row.pk, remove_asked_at=None)
        is_wanted = wanted.update(
            **AFRESH, holder_type="", holder_id="", file_name="", file_id="", claimed_until=None
        )
        if is_wanted:
            _record_removal(row, left)
        else:
            _forget(row, left)


def _put_off(row: CrmUpload, refusal: Refusal) -> None:
    """Enough for today, perhaps of files only: every other upload waits too, and links find out for themselves."""
    with transaction.atomic():
        _refuse(row, refusal)
        due_at = clock.now() + timedelta(seconds=refusal.retry_after_s or refusals.QUOTA_WAIT_S)
        waiting = CrmUpload.objects.filter(
            connection=row.connection_id, uploaded_at=None, remove_asked_at=None
        )
        waiting.filter(due_at__lt=due_at).update(due_at=due_at)


def _let_go(row: CrmUpload) -> None:
    CrmUpload.objects.filter(pk=row.pk).update(claimed_until=None)


def _refuse(row: CrmUpload, refusal: Refusal) -> None:
    with transaction.atomic():
        now = CrmUpload.objects.select_for_update().filter(pk=row.pk).first()
        if now is None:
            return
        at = clock.now()
        if now.remove_asked_at and not row.remove_asked_at:  # asked meanwhile: this was about the way in
            _let_go(row)
            return
        is_news = refusal.code != now.refusal
        now.attempts += 1
        now.claimed_until, now.refusal, now.refusal_facts, now.refused_at = (
            None,
            refusal.code,
            refusal.facts,
            at,
        )
        if refusal.is_final:
            now.stopped_at = at
        else:
            now.due_at = at + timedelta(seconds=refusals.wait_s(now.attempts, refusal.retry_after_s))
        now.save()
        log.warning("crm.upload_refused", extra={"media": ids.text(row.file), "kind": refusal.code})
        if is_news or refusal.is_final:
            action = "file.upload_left" if now.remove_asked_at else "upload.stopped"
            _record(row, action if refusal.is_final else "upload.refused", refusal.code, refusal.facts)


def _record_removal(row: CrmUpload, left: str) -> None:
    reason, facts = (KEPT_A_WHILE, {"left": left}) if left else ("", {})
    _record(row, "file.upload_removed", reason, facts)


def _record(row: CrmUpload, action: str, reason: str, facts: Mapping[str, Any]) -> None:
    details = {**refusals.subject(row.connection), **facts}
    AuditEntry.objects.record(row.workspace_id, BY, [Deed(action, "file", row.file, reason, details)])
