"""What a number does about files that a customer took back: kept, hidden or erased, whether they came before or after."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db.models import Q

from acervo.base import clock
from acervo.models import Deed, Direction, MediaFile, OnRevoke
from acervo.models.media import TAKEN_BACK
from acervo.receive.withdrawn import ON_REVOKE


@dataclass(slots=True)
class Obeyed:
    """What was decided, in the transaction that heard of it."""

    files: list[UUID] = field(default_factory=list)
    """Hidden, or to be erased."""
    gone: set[UUID] = field(default_factory=set)
    """Never to be fetched."""
    deeds: list[Deed] = field(default_factory=list)


def obey(revoked: Collection[UUID], new_files: Collection[UUID]) -> Obeyed:
    """Do once what each number wanted when it heard of it: for files of messages that were taken back just now, and for
    files that come after they were. Must run inside a transaction, after messages and withdrawals are written."""
    obeyed = Obeyed()
    if revoked or new_files:
        for media in _affected(revoked, new_files):
            _obey(media, obeyed)
    return obeyed


def _affected(revoked: Collection[UUID], new_files: Collection[UUID]) -> Iterable[MediaFile]:
    return (
        MediaFile.objects.filter(Q(message__in=revoked) | Q(pk__in=new_files))
        .filter(direction=Direction.INBOUND, message__revoked_at__isnull=False)
        .filter(hidden_at=None)
        .select_related("message")
        .defer("waveform")
        .order_by("pk")
        .select_for_update(no_key=True, of=("self",))
    )


def _obey(media: MediaFile, obeyed: Obeyed) -> None:
    at = clock.now()
    policy = media.message.extra.get(ON_REVOKE, OnRevoke.KEEP)
    changes: dict[str, Any] = {"changed_at": at}
    if policy == OnRevoke.HIDE:
        changes["hidden_at"] = at
        obeyed.deeds.append(Deed("file.hidden", "file", media.pk))
    elif policy == OnRevoke.DELETE:
        changes["erase_asked_at"] = media.erase_asked_at or at
        obeyed.deeds.append(Deed("file.erase_asked", "file", media.pk))
        if media.stored_at is None:
            changes |= {"gone_at": at, "refusal": TAKEN_BACK, "refused_at": at, "claimed_until": None}
            changes |= dict.fromkeys(("url", "url_expires_at", "caption", "file_name", "announced_sha256"))
            obeyed.gone.add(media.pk)
    MediaFile.objects.filter(pk=media.pk).update(**changes)
    if policy != OnRevoke.KEEP:
        obeyed.files.append(media.pk)
