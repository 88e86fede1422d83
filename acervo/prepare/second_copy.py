"""Two copies of one damaged file: the better one is kept, with the facts and copies that were made of it."""

from __future__ import annotations

import copy
import logging
from uuid import UUID

from django.db import transaction

from acervo.base import clock, ids
from acervo.base.database import in_thread
from acervo.base.errors import TryLater
from acervo.keep import vault
from acervo.keep.vault import Stored
from acervo.models import AuditEntry, Deed, MediaFile, Rendition, UnmadeRendition
from acervo.prepare import scan
from acervo.prepare.facts import Facts
from acervo.prepare.previews import on_arrival
from acervo.prepare.renditions import Due, OnPrepared, Work, ready, work_on

log = logging.getLogger(__name__)


async def choose(media_id: UUID, second: Stored, on_prepared: OnPrepared) -> None:
    """Look at the second copy as at the first. What is not kept is discarded; `on_prepared` is called inside the
    transaction that says which one that is. Safe to run twice: the row tells that it was done."""
    due = await in_thread(ready, media_id)
    surplus = [second.object_key]
    if due is not None:
        work = await _look_at(due, second)
        surplus = await in_thread(_commit, due.media, second, work, on_prepared)
    try:
        await vault.discard(surplus)
    except TryLater:
        log.warning("prepare.surplus_left", extra={"objects": len(surplus)})


async def _look_at(due: Due, second: Stored) -> Work | None:
    """None for one that the scanner does not find clean."""
    media = copy.copy(due.media)
    for name, value in second.columns().items():
        setattr(media, name, value)
    if not await scan.is_clean(media):
        return None
    return await work_on(Due(media, due.policy), on_arrival, is_last_try=True)


def _commit(first: MediaFile, second: Stored, work: Work | None, on_prepared: OnPrepared) -> list[str]:
    """The objects that no row names any more."""
    made = work.object_keys() if work else []
    at = clock.now()
    with transaction.atomic():
        media = (
            MediaFile.objects.openable()
            .select_for_update(no_key=True)
            .filter(pk=first.pk, sha256=first.sha256, fetched_again_at=None)
            .first()
        )
        if media is None:
            return [second.object_key, *made]
        if work is None or not is_better(work.outcome.facts, second.size_bytes, media):
            MediaFile.objects.filter(pk=media.pk).update(fetched_again_at=at)
            on_prepared(media.pk)
            return [second.object_key, *made]
        old = Rendition.objects.filter(media=media)
        surplus = [key for key in (media.object_key, *old.values_list("object_key", flat=True)) if key]
        old.delete()
        UnmadeRendition.objects.filter(media=media).delete()
        changes = {**second.columns(), **work.columns(), "stored_at": at, "prepared_at": at}
        MediaFile.objects.filter(pk=media.pk).update(**changes, fetched_again_at=at, changed_at=at)
        Rendition.objects.bulk_create(work.rows(at))
        UnmadeRendition.objects.bulk_create(work.unmade_rows(at))
        on_prepared(media.pk)
        details = {"size_bytes": second.size_bytes, "damaged_bytes": media.size_bytes}
        AuditEntry.objects.record(
            media.workspace_id, "system:prepare", [Deed("file.fetched_again", "file", media.pk, "", details)]
        )
    log.info("file.fetched_again", extra={"media": ids.text(first.pk)})
    return surplus


def is_better(facts: Facts, size_bytes: int, known: MediaFile) -> bool:
    """Whole before damaged; else the one that plays longer, then the larger."""
    theirs = (not facts.is_damaged, facts.duration_s or 0.0, size_bytes)
    return theirs > (not known.is_damaged, known.duration_s or 0.0, known.size_bytes or 0)
