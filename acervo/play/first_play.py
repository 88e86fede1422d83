"""Copies that are made when somebody first wants to play them: asked for once, and waited for by everybody together."""

from __future__ import annotations

import asyncio
import time
from typing import Final
from uuid import UUID

from acervo import journey
from acervo.base.database import in_thread
from acervo.models import MediaFile, MediaPolicy, Rendition, UnmadeRendition
from acervo.prepare.to_come import to_come

WAIT_S: Final = 20.0
LOOK_EVERY_S: Final = 0.3
COME_AGAIN_S: Final = 3
"""What a player is told that waited in vain."""
_awaited: dict[tuple[UUID, str], asyncio.Task[bool]] = {}


def may_come(media: MediaFile, kind: str, page: int) -> bool:
    """Whether the workspace wants this copy and nobody has tried in vain to make it."""
    if kind not in to_come(media, MediaPolicy.of(media.workspace_id)) or _was_tried(media.pk, kind):
        return False
    # Pages are made together: one that is missing among others is beyond the last.
    return not page or (page <= (media.page_count or 0) and not _is_made(media.pk, kind))


async def come(media: MediaFile, kind: str) -> bool:
    """Whether the copy came while the player waited. However many wait for it, one asks and one looks."""
    about = (media.pk, kind)
    task = _awaited.get(about)
    if task is None or task.get_loop() is not asyncio.get_running_loop():
        task = _awaited[about] = asyncio.create_task(_ask_and_look(media.pk, kind))
        task.add_done_callback(lambda done: _forget(about, done))
    return await asyncio.shield(task)


def _forget(about: tuple[UUID, str], done: asyncio.Task[bool]) -> None:
    if _awaited.get(about) is done:
        del _awaited[about]


async def _ask_and_look(media_id: UUID, kind: str) -> bool:
    """Between two looks no connection to the database is held."""
    await in_thread(journey.start_copies, media_id, [kind])
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until:
        await asyncio.sleep(LOOK_EVERY_S)
        if await in_thread(_is_made, media_id, kind):
            return True
        if await in_thread(_was_tried, media_id, kind):
            return False
    return False


def _is_made(media_id: UUID, kind: str) -> bool:
    return Rendition.objects.filter(media=media_id, kind=kind).exists()


def _was_tried(media_id: UUID, kind: str) -> bool:
    return UnmadeRendition.objects.filter(media=media_id, kind=kind).exists()
