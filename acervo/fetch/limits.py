"""How large a file may be: the workspace's limit for its kind, the installation's, and what an administrator lifts."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet

from acervo.base import clock
from acervo.base.errors import Refused
from acervo.models import AuditEntry, Deed, Kind, MediaFile, SizeLimit
from acervo.providers.contract import Outcome

CEILING_BYTES: Final = 2 * 1024**3
"""Nothing is fetched beyond this, whoever asks: what the setting of the installation can be raised to."""


class LimitStands(Refused):
    """The limit of this file cannot be lifted: it is here, its time has ended, or it is larger than 2 GiB."""

    code = "limit_stands"


def permitted_bytes(kind_limit: int | None, *, is_lifted: bool, told: Collection[int] = ()) -> int:
    """How many bytes may come. `told` are the sizes we heard of so far. Once somebody has lifted the limit for this
    one file, what was told is the limit, so that a lie about the size still ends the download."""
    standing = settings.ACERVO_MAX_FILE_BYTES
    if not is_lifted:
        return standing if kind_limit is None else min(kind_limit, standing)
    return min(max(standing, *told), CEILING_BYTES) if told else CEILING_BYTES


def limit_of(workspace_id: UUID, kind: str) -> int:
    """What a workspace fetches by itself, in bytes."""
    return permitted_bytes(SizeLimit.of(workspace_id).get(kind), is_lifted=False)


def lift(media: MediaFile, *, by: str, reason: str) -> None:
    """Fetch one refused file although it is over the limit. Raises LimitStands where that cannot be."""
    at = clock.now()
    lifted = (
        _refused_for_size(at)
        .filter(pk=media.pk)
        .filter(Q(announced_bytes=None) | Q(announced_bytes__lte=CEILING_BYTES))
        .update(limit_lifted_at=at, gone_at=None, due_at=at, claimed_until=None, changed_at=at)
    )
    if not lifted:
        raise LimitStands()
    deed = Deed("file.limit_lifted", "file", media.pk, reason, {"announced_bytes": media.announced_bytes})
    AuditEntry.objects.record(media.workspace_id, by, [deed])


def reconsider(workspace_id: UUID) -> int:
    """Files refused for their size that the limits of today allow are due again, as long as the provider has them;
    returns how many. One whose size was never announced is asked about once more. Waits for no row: who calls has
    often written to the audit already."""
    at = clock.now()
    allowed = Q(pk__in=[])
    for kind in Kind.values:
        fits = Q(announced_bytes=None) | Q(announced_bytes__lte=limit_of(workspace_id, kind))
        allowed |= fits & Q(kind=kind)
    refused = _refused_for_size(at).filter(allowed, workspace=workspace_id)
    free = list(refused.select_for_update(skip_locked=True, no_key=True).values_list("pk", flat=True))
    return MediaFile.objects.filter(pk__in=free).update(
        gone_at=None, due_at=at, claimed_until=None, changed_at=at
    )


def _refused_for_size(at: datetime) -> QuerySet[MediaFile]:
    return MediaFile.objects.lost().filter(refusal=Outcome.TOO_LARGE, stored_at=None, fetch_before__gt=at)
