"""The journal of receipts: many knocks, one commit; a knock is answered only once its receipt is on disk."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from acervo.base.errors import TryLater

log = logging.getLogger(__name__)

FLUSHERS = 2  # natural batching: while one batch is on its way to disk the next one gathers; no timer
BATCH = 256
PATIENCE_S = 5.0
"""How long a knock waits for the database before the provider is asked to come again."""
MOST_PENDING_BYTES = 64 * 1024 * 1024
"""Of bodies waiting for the disk: above this knocks are refused at once, so that a slow database costs no memory."""
STUCK_MS = 15_000
"""A commit that takes longer will not come: the database is stuck, or the network swallows its answers."""

INSERT = """
INSERT INTO acervo_receipt (id, workspace_id, connection_id, received_at, headers, body, unread)
SELECT u.*, '[]'::jsonb FROM unnest(%b::uuid[], %b::uuid[], %b::uuid[], %b::timestamptz[], %b::text[]::jsonb[], %b::bytea[]) u
"""


class JournalAway(TryLater):
    """The database cannot take receipts now; the provider will send this again."""

    code = "journal_away"


@dataclass(frozen=True, slots=True)
class Entry:
    """A verified webhook, not yet on disk."""

    id: UUID
    workspace_id: UUID
    connection_id: UUID
    received_at: datetime
    headers: Mapping[str, str]
    body: bytes


class Journal:
    """Appends receipts by group commit. One per process, inside one event loop."""

    def __init__(self, conninfo: str) -> None:
        self._pool = AsyncConnectionPool(
            conninfo,
            min_size=FLUSHERS,
            max_size=FLUSHERS,
            kwargs={
                "autocommit": True,
                "application_name": "acervo journal",
                "tcp_user_timeout": STUCK_MS,
            },
            configure=_limit_statements,
            check=AsyncConnectionPool.check_connection,
            timeout=PATIENCE_S,
            open=False,
        )
        self._pending: list[tuple[Entry, asyncio.Future[None]]] = []
        self._pending_bytes = 0
        self._wake = asyncio.Event()
        self._flushers: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Does not wait for the database: until it is there, `append` raises JournalAway."""
        await self._pool.open(wait=False)
        self._flushers = [asyncio.create_task(self._flush_forever()) for _ in range(FLUSHERS)]

    async def close(self) -> None:
        """Flushes what is pending, then lets go of the database."""
        while self._pending:
            self._wake.set()
            await asyncio.sleep(0.01)
        for flusher in self._flushers:
            flusher.cancel()
        await asyncio.gather(*self._flushers, return_exceptions=True)
        await self._pool.close()

    async def append(self, entry: Entry) -> None:
        """Returns once the receipt is committed with the flush to disk awaited. Raises JournalAway."""
        if self._pending and self._pending_bytes + len(entry.body) > MOST_PENDING_BYTES:
            raise JournalAway("Too much waits for the disk.")
        committed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append((entry, committed))
        self._pending_bytes += len(entry.body)
        self._wake.set()
        await committed

    async def _flush_forever(self) -> None:
        while True:
            await self._wake.wait()
            if batch := self._next(BATCH):
                await self._flush(batch)

    def _next(self, most: int) -> list[tuple[Entry, asyncio.Future[None]]]:
        """The oldest pending entries, no longer pending."""
        batch, self._pending = self._pending[:most], self._pending[most:]
        self._pending_bytes -= sum(len(entry.body) for entry, _ in batch)
        if not self._pending:
            self._wake.clear()
        return batch

    async def _flush(self, batch: list[tuple[Entry, asyncio.Future[None]]]) -> None:
        try:
            async with self._pool.connection() as connection:
                await self._insert(connection, batch)
        except (psycopg.Error, PoolTimeout, OSError) as error:
            if isinstance(error, PoolTimeout):  # those behind would only wait as long for the same answer
                batch = batch + self._next(len(self._pending))
            log.warning("journal.away", extra={"receipts": len(batch), "reason": type(error).__name__})
            for _, committed in batch:
                _fail(committed, error)
        except Exception as error:
            log.exception("journal.fault")
            for _, committed in batch:
                _fail(committed, error)

    async def _insert(
        self, connection: psycopg.AsyncConnection, batch: list[tuple[Entry, asyncio.Future[None]]]
    ) -> None:
        try:
            await connection.execute(INSERT, _columns([entry for entry, _ in batch]))
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            if len(batch) == 1:
                log.error("journal.refused", extra={"reason": type(error).__name__})
                _fail(batch[0][1], error)
                return
            # A batch fails as a whole: find the one that spoils it and let its neighbours through.
            for single in batch:
                await self._insert(connection, [single])
            return
        for _, committed in batch:
            if not committed.done():
                committed.set_result(None)


async def _limit_statements(connection: psycopg.AsyncConnection) -> None:
    await connection.execute(f"SET statement_timeout = {STUCK_MS}")


def _fail(committed: asyncio.Future[None], error: Exception) -> None:
    if not committed.done():
        failure = JournalAway()
        failure.__cause__ = error
        committed.set_exception(failure)


def _columns(entries: list[Entry]) -> tuple[list[object], ...]:
    return (
        [entry.id for entry in entries],
        [entry.workspace_id for entry in entries],
        [entry.connection_id for entry in entries],
        [entry.received_at for entry in entries],
        [json.dumps(dict(entry.headers)) for entry in entries],
        [entry.body for entry in entries],
    )
