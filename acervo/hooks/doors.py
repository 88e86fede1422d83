"""Which connection a webhook address belongs to, remembered for a few seconds so that knocks cost no query."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from uuid import UUID

from asgiref.sync import sync_to_async
from django.db import Error, close_old_connections

from acervo.base import ids
from acervo.base.sealed import SealedElsewhere
from acervo.keep import credentials
from acervo.models import Connection
from acervo.providers.contract import Provider

log = logging.getLogger(__name__)

REMEMBERED_S = 5.0
"""A new secret or a removed connection takes at most this long to count."""
FORGET_ABOVE = 4096
"""Guessed addresses must not fill the memory."""


@dataclass(frozen=True, slots=True)
class Door:
    connection_id: UUID
    workspace_id: UUID
    provider: Provider


class Doors:
    """Looks doors up. While the database is away, a remembered door stays good: its receipt will be refused later."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[float, Door | None]] = {}

    async def find(self, kind: str, slug: str) -> Door | None:
        """None: there is no such address. Raises django.db.Error when nothing is remembered and nobody can be asked."""
        key = (kind, slug)
        known = self._known.get(key)
        if known and known[0] > time.monotonic():
            return known[1]
        try:
            door = await sync_to_async(_look_up)(kind, slug)
        except Error:
            if known is None:
                raise
            return known[1]
        if len(self._known) >= FORGET_ABOVE:
            self._known.clear()
        self._known[key] = (time.monotonic() + REMEMBERED_S, door)
        return door


def _look_up(kind: str, slug: str) -> Door | None:
    try:
        pk = ids.parse(slug)
    except ValueError:
        return None
    close_old_connections()
    connection = Connection.objects.providers().filter(pk=pk, kind=kind, removed_at=None).first()
    if connection is None:
        return None
    try:
        return Door(connection.pk, connection.workspace_id, credentials.provider(connection))
    except SealedElsewhere:
        log.error("hooks.secrets_do_not_open", extra={"connection": slug})
        return None
