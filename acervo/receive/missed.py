"""Webhooks that never came: where a provider keeps a list of what it received, it is read by the clock."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import aiohttp
from django.db import transaction

from acervo import providers
from acervo.base import clock
from acervo.base.database import in_thread
from acervo.keep import credentials
from acervo.models import Connection
from acervo.providers.contract import Reading
from acervo.providers.recovery import Recovers
from acervo.receive.reader import Drained, Listen, nobody_listens, write_reading

OVERLAP: Final = timedelta(hours=1)
"""Read once more each time: a list may show a message later than others that are younger."""
FIRST_LOOK: Final = timedelta(days=1)
"""How far back the first look goes."""
LOOKED_AT: Final = "list_read_at"
"""In `Connection.options`: when the list was last read to its end."""

OnNew = Callable[[Drained], None]
"""Called inside the transaction that writes what nobody had told of: files are to be captured."""


@functools.cache
def kinds_with_a_list() -> tuple[str, ...]:
    return tuple(kind for kind in providers.kinds() if issubclass(providers.get(kind), Recovers))


async def recover(
    connection: Connection, session: aiohttp.ClientSession, on_new: OnNew, listen: Listen = nobody_listens
) -> int:
    """Read the list of one account, of a kind that has one, since the last look; returns how many files no webhook had told.
    Safe to run twice. Raises AccessLost and ProviderBusy; then the same stretch is read again next time."""
    provider: Any = await in_thread(credentials.provider, connection)
    began_at = clock.now()
    found = 0
    async for reading in provider.missed(session, _since(connection, began_at)):
        found += await in_thread(_write, connection, reading, on_new, listen)
    await in_thread(_remember, connection.pk, began_at)
    return found


def _since(connection: Connection, at: datetime) -> datetime:
    looked_at = connection.options.get(LOOKED_AT)
    return datetime.fromisoformat(looked_at) - OVERLAP if looked_at else at - FIRST_LOOK


def _write(connection: Connection, reading: Reading, on_new: OnNew, listen: Listen) -> int:
    with transaction.atomic():
        drained = write_reading(connection, reading, listen)
        if drained.new_files or drained.withdrawn:
            on_new(drained)
    return len(drained.new_files)


def _remember(pk: UUID, at: datetime) -> None:
    with transaction.atomic():
        row = Connection.objects.select_for_update(no_key=True).get(pk=pk)
        options: dict[str, Any] = {**row.options, LOOKED_AT: at.isoformat()}
        Connection.objects.filter(pk=pk).update(options=options)
