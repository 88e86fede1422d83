"""The provider's own copy is deleted once ours is safe, where a number wants that."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from acervo.base import clock, ids
from acervo.base.database import in_thread
from acervo.base.http import media_session
from acervo.keep import credentials
from acervo.models import AuditEntry, Deed, MediaFile
from acervo.providers.contract import AnnouncedFile, Kind, MediaGone
from acervo.providers.recovery import Forgets

log = logging.getLogger(__name__)

BY: Final = "system:capture"
OPTION: Final = "forgets"
WANTED: Final = f"connection__options__{OPTION}"
ALL: Final = "all"
"""Its value where copies of damaged files go, too; any other true value means files that are proven."""


def ask(files: Collection[UUID]) -> list[UUID]:
    """Which of these prepared files are to be forgotten; returns those. A file is proven by the provider's own hash, or
    by decoding whole. Must run inside the transaction of what made them ready, whose caller starts the job."""
    at = clock.now()
    proven = Q(announced_sha256__isnull=False) | Q(is_damaged=False)
    wanting = Q(**{WANTED: ALL}) | (proven & Q(**{WANTED: True}))
    ready = MediaFile.objects.kept().filter(
        wanting, pk__in=files, prepared_at__isnull=False, forget_asked_at=None, message__chat_import=None
    )
    chosen = list(ready.exclude(provider_id="").values_list("pk", flat=True))
    MediaFile.objects.filter(pk__in=chosen).update(forget_asked_at=at)
    return chosen


def waiting(limit: int, before: datetime) -> list[UUID]:
    """Asked about some time ago and still there: a job was lost, or the number was paused or without access."""
    found = MediaFile.objects.kept().filter(
        forget_asked_at__lt=before,
        forgotten_at=None,
        connection__paused_at=None,
        connection__removed_at=None,
        **{f"{WANTED}__in": (True, ALL)},
    )
    return list(found.order_by("forget_asked_at").values_list("pk", flat=True)[:limit])


async def forget(media_id: UUID) -> None:
    """Ask the provider to delete its copy; one that is not there is well. Safe to run twice. Raises AccessLost and
    ProviderBusy."""
    found = await in_thread(_open, media_id)
    if found is None:
        return
    provider, file = found
    try:
        async with media_session(settings.ACERVO_ALLOW_PRIVATE_HOSTS, limit=1) as session:
            await provider.forget(session, file)
    except MediaGone:
        pass
    await in_thread(_note, media_id)


def _open(media_id: UUID) -> tuple[Forgets, AnnouncedFile] | None:
    """Only what is stored, and still wanted gone, on a number that is neither paused nor removed."""
    media = (
        MediaFile.objects.kept()
        .filter(pk=media_id, forget_asked_at__isnull=False, forgotten_at=None)
        .select_related("connection")
        .first()
    )
    if media is None or media.connection.paused_at or media.connection.removed_at:
        return None
    if not media.connection.options.get(OPTION):
        return None
    provider: Any = credentials.provider(media.connection)
    if not isinstance(provider, Forgets):
        return None
    return provider, AnnouncedFile(media.provider_id, Kind(media.kind), media.announced_mime)


def _note(media_id: UUID) -> None:
    at = clock.now()
    with transaction.atomic():
        if not MediaFile.objects.filter(pk=media_id, forgotten_at=None).update(
            forgotten_at=at, changed_at=at
        ):
            return
        workspace_id = MediaFile.objects.values_list("workspace_id", flat=True).get(pk=media_id)
        AuditEntry.objects.record(workspace_id, BY, [Deed("file.forgotten", "file", media_id)])
    log.info("file.forgotten", extra={"media": ids.text(media_id)})
