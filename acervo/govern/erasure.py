"""The bytes of a file go, with all that was derived from them; its row stays and says that there was one."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from acervo.base import clock, ids
from acervo.base.database import in_thread
from acervo.base.errors import TryLater
from acervo.keep import vault
from acervo.models import AuditEntry, Deed, MediaFile, Rendition, Transcript, UnmadeRendition
from acervo.models.media import TAKEN_BACK
from acervo.organise import tags

log = logging.getLogger(__name__)

BY: Final = "system:erasure"
EMPTIED: Final = (
    "object_key", "size_bytes", "sealed_bytes", "sha256", "sealing", "seal_header", "data_key", "stored_at",
    "announced_sha256", "file_name", "caption", "url", "url_expires_at", "held_at", "scanned_at", "infection",
    "released_at", "mime", "width", "height", "rotation", "duration_s", "video_codec", "audio_codec", "bit_rate",
    "loudness_lufs", "page_count", "waveform", "prepared_at", "claimed_until",
)  # fmt: skip


async def erase(media_id: UUID) -> None:
    """Erase a file that its sender took back, where the number wants that. Safe to run twice. Rows go first, so that no
    page leads to missing bytes; objects that a crash leaves behind are the sweeper's."""
    objects = await in_thread(_empty, media_id)
    try:
        await vault.discard(objects)
    except TryLater:
        log.warning("erasure.objects_left", extra={"objects": len(objects)})


def waiting(limit: int, before: datetime) -> list[UUID]:
    """Asked for some time ago and still there: a job was lost."""
    left = MediaFile.objects.filter(erase_asked_at__lt=before, gone_at=None).order_by("erase_asked_at")
    return list(left.values_list("pk", flat=True)[:limit])


def _empty(media_id: UUID) -> list[str]:
    at = clock.now()
    with transaction.atomic():
        to_erase = MediaFile.objects.filter(pk=media_id, erase_asked_at__isnull=False, gone_at=None)
        media = to_erase.select_for_update(no_key=True).first()
        if media is None:
            return []
        copies = Rendition.objects.filter(media=media, object_key__isnull=False)
        objects = [key for key in (media.object_key, *copies.values_list("object_key", flat=True)) if key]
        Rendition.objects.filter(media=media).delete()
        UnmadeRendition.objects.filter(media=media).delete()
        Transcript.objects.filter(media=media).delete()
        tags.take_all_off(media)
        changes: dict[str, Any] = dict.fromkeys(EMPTIED)
        changes |= {"is_damaged": False, "is_mistyped": False, "is_animated": False}
        changes |= {"gone_at": at, "refusal": TAKEN_BACK, "refused_at": at, "changed_at": at}
        MediaFile.objects.filter(pk=media.pk).update(**changes)
        deed = Deed("file.erased", "file", media.pk, TAKEN_BACK, {"objects": len(objects)})
        AuditEntry.objects.record(media.workspace_id, BY, [deed])
    log.info("file.erased", extra={"file": ids.text(media_id), "objects": len(objects)})
    return objects
