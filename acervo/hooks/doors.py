"""Which connection a webhook address belongs to, remembered for a few seconds so that knocks cost no query."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

from asgiref.sync import sync_to_async
from django.db import Error, close_old_connections

from acervo.base import ids
from acervo.base.errors import TryLater
from acervo.base.sealed import SealedElsewhere
from acervo.keep import credentials
from acervo.models import Connection
from acervo.providers import PROVIDERS
from acervo.providers.contract import Provider

log = logging.getLogger(__name__)

REMEMBERED_S = 5.0
"""A new secret or a removed connection takes at most this long to count."""
FORGET_ABOVE = 4096
"""Guessed addresses must not fill the memory."""


class DoorStuck(TryLater):
    """The secrets of this connection do not open here. Once somebody restores the key, the provider comes again."""

    code = "sealed_elsewhere"


@dataclass(frozen=True, slots=True)
class Door:
    connection_id: UUID
    workspace_id: UUID
    provider: Provider


class Doors:
    """Looks doors up. While the database is away, a remembered door stays good: its receipt will be refused later."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, UUID], tuple[float, Door | None]] = {}

    async def find(self, kind: str, slug: str) -> Door | None:
        """None: there is no such address. Raises DoorStuck, and django.db.Error when nothing is remembered and nobody
        can be asked."""
        key = _key(kind, slug)
        if key is None:
            return None
        known = self._known.get(key)
        if known and known[0] > time.monotonic():
            return known[1]
        if known:  # one asks; the others that knock meanwhile go by what is remembered
            self._remember(key, known[1])
        try:
            door = await sync_to_async(_look_up)(*key)
        except Error:
            if known is None:
                raise
            return known[1]
        self._remember(key, door)
        return door

    def _remember(self, key: tuple[str, UUID], door: Door | None) -> None:
        if len(self._known) >= FORGET_ABOVE and key not in self._known:
            real = {key: known for key, known in self._known.items() if known[1] is not None}
            self._known = real if len(real) < FORGET_ABOVE else {}
        self._known[key] = (time.monotonic() + REMEMBERED_S, door)


@lru_cache(maxsize=FORGET_ABOVE)
def _key(kind: str, slug: str) -> tuple[str, UUID] | None:
    """None for what cannot be an address: it costs neither a query nor memory."""
    try:
        return (kind, ids.parse(slug)) if kind in PROVIDERS else None
    except ValueError:
        return None


def _look_up(kind: str, pk: UUID) -> Door | None:
    close_old_connections()
    connection = Connection.objects.providers().filter(pk=pk, kind=kind, removed_at=None).first()
    if connection is None:
        return None
    try:
        return Door(connection.pk, connection.workspace_id, credentials.provider(connection))
    except SealedElsewhere as error:
        log.error("hooks.secrets_do_not_open", extra={"connection": ids.text(pk)})
        raise DoorStuck from error
