"""Rows against bytes: is every kept object still there, whole and what its row says?"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from uuid import UUID

from acervo.base import ids
from acervo.base.database import in_thread
from acervo.keep import vault
from acervo.keep.keys import KeyDestroyed
from acervo.keep.sealing import ObjectDamaged
from acervo.keep.storage import ObjectMissing
from acervo.models import MediaFile, Rendition, SealedObject

PAGE = 200
SIDE_BY_SIDE = 4


@dataclass(slots=True)
class Verdict:
    whole: int = 0
    erased: int = 0
    missing: int = 0
    damaged: int = 0
    ill: list[str] = field(default_factory=list)
    """Ids of files that are missing or damaged; at most 100."""


async def verify(limit: int | None = None) -> Verdict:
    """Read every object back, or the first `limit`, and compare with its hash. Flat memory, whatever the sizes."""
    verdict, slots = Verdict(), asyncio.Semaphore(SIDE_BY_SIDE)

    async def one(row: SealedObject) -> None:
        async with slots:
            await _examine(row, verdict)

    async for page in _pages(limit):
        await asyncio.gather(*map(one, page))
    return verdict


async def _examine(row: SealedObject, verdict: Verdict) -> None:
    sha256 = hashlib.sha256()
    try:
        async for piece in vault.read(row):
            sha256.update(piece)
    except KeyDestroyed:
        verdict.erased += 1
        return
    except ObjectMissing:
        verdict.missing += 1
    except ObjectDamaged:
        verdict.damaged += 1
    else:
        if sha256.hexdigest() == row.sha256:
            verdict.whole += 1
            return
        verdict.damaged += 1
    if len(verdict.ill) < 100:
        verdict.ill.append(ids.text(row.pk))


async def _pages(limit: int | None) -> AsyncIterator[list[SealedObject]]:
    for model in (MediaFile, Rendition):
        seen, last = 0, UUID(int=0)
        while limit is None or seen < limit:
            page: list[SealedObject] = await in_thread(_page, model, last)
            if not page:
                break
            yield page
            seen, last = seen + len(page), page[-1].pk


def _page(model: type[MediaFile] | type[Rendition], after: UUID) -> list[SealedObject]:
    rows = model._base_manager.filter(object_key__isnull=False, pk__gt=after).order_by("pk")
    return list(rows[:PAGE])
