"""Who opened what stands in the audit before the first byte leaves, once an hour and not for every range."""

from __future__ import annotations

import time
from typing import Final
from uuid import UUID

from django.db import transaction

from acervo.base.database import in_thread
from acervo.models import AuditEntry, Deed, MediaFile
from acervo.play.holder import Holder

NOTED_AGAIN_AFTER_S: Final = 3600
"""One audit entry for a holder, a file and a deed in this time: a player asks for dozens of ranges."""
_MOST_REMEMBERED: Final = 10_000

_noted: dict[tuple[UUID, UUID, str], float] = {}


async def note(holder: Holder, media: MediaFile, action: str, what: str) -> None:
    """`what` is the last part of the address: which copy it was."""
    about = (holder.pk, media.pk, action)
    now = time.monotonic()
    if _noted.get(about, now) > now:
        return
    await in_thread(_record, holder, media, action, what)
    if len(_noted) >= _MOST_REMEMBERED:
        _noted.clear()
    _noted[about] = now + NOTED_AGAIN_AFTER_S


def forget() -> None:
    """Write the next opening down, whoever opens what."""
    _noted.clear()


@transaction.atomic
def _record(holder: Holder, media: MediaFile, action: str, what: str) -> None:
    deed = Deed(action, "file", media.pk, details={"what": what, **holder.details})
    AuditEntry.objects.record(media.workspace_id, holder.by, [deed])
