"""One kept file shown to the malware scanner, before anybody may have it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import aclosing
from datetime import timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet

from acervo.base import clock, ids
from acervo.base.database import in_thread
from acervo.base.errors import AcervoError
from acervo.keep import vault
from acervo.models import AuditEntry, Deed, MediaFile
from acervo.prepare.clamd import Engine, Scanner, ScannerAway, TooLargeToScan

log = logging.getLogger(__name__)

SCANNER_OFF = "scanner_off"
AGAIN_AFTER = timedelta(minutes=10)
"""A scan that was lost, or failed, is asked for again."""
TOO_LARGE_AGAIN_AFTER = timedelta(hours=1)
"""Until somebody changes the scanner, sending it a hundred megabytes is in vain."""

OnClean = Callable[[UUID], None]
"""Called inside the transaction that lets the file through: what comes next in its journey."""


class Verdict(StrEnum):
    CLEAN = "clean"
    INFECTED = "infected"
    UNDECIDED = "undecided"
    """The scanner is away or could not finish."""


def scanner() -> Scanner | None:
    """The one of the settings; None where files are not scanned."""
    return Scanner(settings.ACERVO_CLAMD) if settings.ACERVO_CLAMD else None


async def scan(media_id: UUID, on_clean: OnClean) -> Verdict | None:
    """Decide about a file that is held; None when there is nothing left to decide. Safe to run twice.

    Whatever is not plainly clean stays held, and the row says why: the clock asks again (`due_again`). Nothing is
    raised for it, because ten thousand jobs that wait for the same scanner would each knock at it by themselves.
    """
    media = await in_thread(_one, MediaFile.objects.awaiting_scan(), media_id)
    if media is None:
        return None
    asked = scanner()
    if asked is None:
        await in_thread(_hold_on, media, SCANNER_OFF)
        return Verdict.UNDECIDED
    try:
        infection, engine = await _ask(asked, media)
    except AcervoError as error:
        log.warning("scan.undecided", extra={"media": ids.text(media_id), "reason": error.code})
        await in_thread(_hold_on, media, error.code)
        return Verdict.UNDECIDED
    return await in_thread(_decide, MediaFile.objects.awaiting_scan(), media, infection, engine, on_clean)


async def rescan(media_id: UUID) -> Verdict | None:
    """Show the scanner a file that people have already: it stays open to them unless something is found.
    Raises ScannerAway; what else hinders leaves the file as it was."""
    media = await in_thread(_one, open_files(), media_id)
    asked = scanner()
    if media is None or asked is None:
        return None
    try:
        infection, engine = await _ask(asked, media)
    except ScannerAway:
        raise
    except AcervoError as error:
        log.warning("scan.undecided", extra={"media": ids.text(media_id), "reason": error.code})
        return Verdict.UNDECIDED
    return await in_thread(_decide, open_files(), media, infection, engine, lambda pk: None)


async def is_clean(candidate: MediaFile) -> bool:
    """Whether bytes that no row owns yet may be looked into: yes where files are not scanned. In doubt no."""
    asked = scanner()
    if asked is None:
        return True
    try:
        infection, _engine = await _ask(asked, candidate)
    except AcervoError as error:
        log.warning("scan.undecided", extra={"media": ids.text(candidate.pk), "reason": error.code})
        return False
    return infection is None


def open_files() -> QuerySet[MediaFile]:
    """Those people have: neither held, nor ever found to be infected (the officer has decided about those)."""
    return MediaFile.objects.openable().filter(infection=None)


def due_again() -> QuerySet[MediaFile]:
    """Held files whose scan was lost or failed some time ago, besides those that wait for the scanner to return."""
    at = clock.now()
    lost = Q(refused_at=None, held_at__lt=at - AGAIN_AFTER)
    failed = Q(refused_at__lt=at - AGAIN_AFTER) & ~Q(refusal__in=(ScannerAway.code, TooLargeToScan.code))
    too_large = Q(refused_at__lt=at - TOO_LARGE_AGAIN_AFTER, refusal=TooLargeToScan.code)
    return MediaFile.objects.awaiting_scan().filter(lost | failed | too_large).order_by("held_at")


def waiting_for_scanner() -> QuerySet[MediaFile]:
    return MediaFile.objects.awaiting_scan().filter(refusal=ScannerAway.code).order_by("held_at")


def take_waiting(limit: int) -> list[UUID]:
    """Files that waited for the scanner, each given once. Inside the transaction that sends them on their way."""
    rows = waiting_for_scanner().select_for_update(skip_locked=True, no_key=True)
    pks = list(rows.values_list("pk", flat=True)[:limit])
    MediaFile.objects.filter(pk__in=pks).update(refusal=None, refused_at=None)
    return pks


async def _ask(asked: Scanner, media: MediaFile) -> tuple[str | None, Engine | None]:
    async with aclosing(vault.read(media)) as pieces:  # type: ignore[type-var]
        infection = await asked.infection(pieces)
    if infection is None:
        return None, None
    try:
        return infection, await asked.engine()
    except ScannerAway:  # what was found counts, whoever found it
        return infection, None


def _one(files: QuerySet[MediaFile], media_id: UUID) -> MediaFile | None:
    return files.filter(pk=media_id).first()


def _hold_on(media: MediaFile, code: str) -> None:
    at = clock.now()
    MediaFile.objects.awaiting_scan().filter(pk=media.pk).update(
        refusal=code[:32], refused_at=at, changed_at=at
    )


def _decide(
    undecided: QuerySet[MediaFile],
    media: MediaFile,
    infection: str | None,
    engine: Engine | None,
    on_clean: OnClean,
) -> Verdict | None:
    """Whoever decides first has decided."""
    at = clock.now()
    facts: dict[str, Any] = {"scanned_at": at, "infection": infection, "refusal": None, "refused_at": None}
    if infection or media.held_at:  # people see a difference
        facts["changed_at"] = at
    with transaction.atomic():
        if not undecided.filter(pk=media.pk).update(**facts):
            return None
        if infection is None:
            on_clean(media.pk)
            return Verdict.CLEAN
        log.warning("file.quarantined", extra={"media": ids.text(media.pk)})
        deed = Deed("file.quarantined", "file", media.pk, infection, _told_of(engine))
        AuditEntry.objects.record(media.workspace_id, "system:scan", [deed])
    return Verdict.INFECTED


def _told_of(engine: Engine | None) -> dict[str, Any]:
    if engine is None:
        return {}
    at = engine.signatures_at
    return {
        "engine": engine.name,
        "signatures": engine.signatures,
        "signatures_at": at.isoformat() if at else None,
    }
