"""Objects that no row came to own, because a process died between writing and committing: found and deleted."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from asgiref.sync import sync_to_async
from django.apps import apps

from acervo.base import clock, ids
from acervo.base.errors import NeedsPerson
from acervo.keep import storage
from acervo.keep.storage import StoredObject
from acervo.models import SealedObject, Workspace

log = logging.getLogger(__name__)

OLDER_THAN_HOURS = 24
_PAGE = 1000
FEW = 100
"""So many orphans a crash may leave: whoever deletes rows before their objects goes in steps no larger."""
_SHARE = 0.05


class TooManyOrphans(NeedsPerson):
    """More objects without a row than crashes explain. Is this the right database, and is it not an old backup?"""

    code = "too_many_orphans"


@dataclass(slots=True)
class Swept:
    """What a sweep saw and did."""

    seen: int = 0
    young: int = 0
    """Not judged: their row may still be on its way."""
    orphans: int = 0
    orphan_bytes: int = 0
    leftovers: int = 0
    """Half-written files of killed processes."""
    deleted: int = 0


async def sweep(
    *, older_than_hours: float = OLDER_THAN_HOURS, dry_run: bool = False, is_sure: bool = False
) -> Swept:
    """Delete objects of our workspaces that are old enough and that no row names. Raises TooManyOrphans.

    Objects of workspaces this database does not know are never touched: they belong to another installation, or we
    look at the wrong database. `is_sure` deletes however many there are.
    """
    before = clock.now() - timedelta(hours=older_than_hours)
    store, swept, orphans = storage.configured(), Swept(), list[StoredObject]()
    for workspace_id in await _workspaces():
        page: list[StoredObject] = []
        async for found in store.list(f"ws/{ids.text(workspace_id)}"):
            swept.seen += 1
            if found.modified_at >= before:
                swept.young += 1
                continue
            page.append(found)
            if len(page) == _PAGE:
                orphans += await _orphans(page)
                page = []
        orphans += await _orphans(page)
    swept.orphans, swept.orphan_bytes = len(orphans), sum(orphan.size_bytes for orphan in orphans)
    if len(orphans) > max(FEW, swept.seen * _SHARE) and not (dry_run or is_sure):
        raise TooManyOrphans(orphans=len(orphans), seen=swept.seen)
    swept.leftovers = await store.delete_leftovers(before, dry_run=dry_run)
    if orphans and not dry_run:
        await store.delete([orphan.key for orphan in orphans])
        swept.deleted = len(orphans)
    log.info("vault.swept", extra={"seen": swept.seen, "orphans": swept.orphans, "deleted": swept.deleted})
    return swept


async def _orphans(page: list[StoredObject]) -> list[StoredObject]:
    owned = await _owned([found.key for found in page]) if page else set()
    return [found for found in page if found.key not in owned]


@sync_to_async
def _owned(object_keys: Iterable[str]) -> set[str]:
    """Asks every table there is, so that a new kind of row cannot be forgotten here."""
    owned: set[str] = set()
    for model in apps.get_models():
        if issubclass(model, SealedObject):
            rows = model._base_manager.filter(object_key__in=object_keys)
            owned.update(key for key in rows.values_list("object_key", flat=True) if key)
    return owned


@sync_to_async
def _workspaces() -> list[UUID]:
    return list(Workspace.objects.order_by("pk").values_list("pk", flat=True))
