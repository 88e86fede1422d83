"""News without reloading: `/live` tells an open page that something it may see has changed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import DatabaseError
from django.db.models import OuterRef, Q, Subquery
from django.db.models.functions import Greatest
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from acervo.base import clock
from acervo.base.database import in_thread
from acervo.models import Delivery, MediaFile, Member, Role, Workspace
from acervo.play.session import member_of

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 1.0
HEARTBEAT_S: Final = 15.0
STREAM_LIVES_S: Final = 600.0
"""The browser then comes back by itself, and is asked again who it is."""


@dataclass(eq=False, slots=True)
class _Listener:
    member: Member
    seen: datetime
    news: asyncio.Event = field(default_factory=asyncio.Event)


class Watch:
    """Looks at the database once a second for everybody who listens in this process, and not at all for nobody."""

    def __init__(self) -> None:
        self._listeners: set[_Listener] = set()
        self._looking: asyncio.Task[None] | None = None
        self._is_stopping = False

    def stop(self) -> None:
        """End every stream now, so that the server can close: called when the process is told to stop."""
        self._is_stopping = True
        for listener in self._listeners:
            listener.news.set()

    async def finished(self) -> None:
        """Wait until nobody is looking any more."""
        if self._looking is not None:
            await self._looking

    async def events(self, member: Member) -> AsyncIterator[str]:
        """The text of the stream, until the browser goes, ten minutes pass or the process stops."""
        # What changed while the page was on its way is news too.
        listener = _Listener(member, seen=clock.now() - timedelta(seconds=5))
        ends_at = time.monotonic() + STREAM_LIVES_S
        self._add(listener)
        try:
            yield "retry: 2000\n\nevent: ready\ndata: 1\n\n"
            while not self._is_stopping and time.monotonic() < ends_at:
                if await self._has_news(listener):
                    yield "event: changed\ndata: 1\n\n"
                elif not self._is_stopping:
                    yield ": still here\n\n"
        finally:
            self._listeners.discard(listener)

    async def _has_news(self, listener: _Listener) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(listener.news.wait(), HEARTBEAT_S)
        has_news = listener.news.is_set() and not self._is_stopping
        listener.news.clear()
        return has_news

    def _add(self, listener: _Listener) -> None:
        self._listeners.add(listener)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_while_somebody_listens())

    async def _look_while_somebody_listens(self) -> None:
        while self._listeners and not self._is_stopping:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await self._look()
            except DatabaseError as error:
                log.warning("live.database_away", extra={"error": type(error).__name__})

    async def _look(self) -> None:
        listeners = list(self._listeners)
        if not listeners:
            return
        newest = await in_thread(_newest_changes, {listener.member.workspace_id for listener in listeners})
        for listener in listeners:
            changed = newest.get(listener.member.workspace_id)
            if changed is None or changed <= listener.seen:
                continue
            since, listener.seen = listener.seen, changed
            # Only an agent's view is narrowed; nobody else costs a query of their own.
            if listener.member.role != Role.AGENT or await in_thread(_sees_a_change, listener.member, since):
                listener.news.set()


watch = Watch()


async def live(request: Request) -> Response:
    """A stream of server-sent events for a signed-in member."""
    member = await member_of(request)
    if member is None:
        return Response(status_code=204)  # tells EventSource not to come back
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "X-Content-Type-Options": "nosniff"}
    return StreamingResponse(watch.events(member), media_type="text/event-stream", headers=headers)


def _newest_changes(workspaces: set[UUID]) -> dict[UUID, datetime | None]:
    """Three looks into indexes for each workspace somebody watches: files, and what the CRMs took or refused."""
    newest = Greatest(
        _newest(MediaFile.objects, "changed_at"),
        _newest(Delivery.objects.filter(delivered_at__isnull=False), "delivered_at"),
        _newest(Delivery.objects.filter(refused_at__isnull=False), "refused_at"),
    )
    return dict(Workspace.objects.filter(pk__in=workspaces).values_list("pk", newest))


def _newest(rows: Any, moment: str) -> Subquery:
    return Subquery(rows.filter(workspace=OuterRef("pk")).order_by(f"-{moment}").values(moment)[:1])


def _sees_a_change(member: Member, since: datetime) -> bool:
    of_file = Q(changed_at__gt=since)
    of_delivery = Q(deliveries__delivered_at__gt=since) | Q(deliveries__refused_at__gt=since)
    return MediaFile.objects.visible_to(member).filter(of_file | of_delivery).exists()
