"""Files of the past that were promised and never offered: after their days they are said to be lost, once."""

from __future__ import annotations

from collections import defaultdict
from uuid import UUID

from django.db import transaction

from acervo.base import clock
from acervo.models import AuditEntry, Deed, MediaFile
from acervo.providers.contract import Outcome

PER_TRANSACTION = 500


def state_losses() -> int:
    """Every file without an id whose days are over becomes a stated loss. Returns how many. An id that comes later
    still brings it back (`announced`)."""
    total = 0
    while stated := _state_some():
        total += stated
    return total


@transaction.atomic
def _state_some() -> int:
    at = clock.now()
    overdue = MediaFile.objects.awaited().filter(provider_id="", fetch_before__lte=at)
    locked = overdue.select_for_update(skip_locked=True, no_key=True).order_by("id")
    found: list[tuple[UUID, UUID]] = list(locked.values_list("pk", "workspace_id")[:PER_TRANSACTION])
    MediaFile.objects.filter(pk__in=[pk for pk, _ in found]).update(
        refusal=Outcome.EXPIRED, refused_at=at, gone_at=at, changed_at=at
    )
    deeds: dict[UUID, list[Deed]] = defaultdict(list)
    for pk, workspace_id in found:
        deeds[workspace_id].append(Deed("file.lost", "file", pk, Outcome.EXPIRED))
    for workspace_id, done in sorted(deeds.items()):
        AuditEntry.objects.record(workspace_id, by="system:reader", deeds=done)
    return len(found)
