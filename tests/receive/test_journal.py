"""Decision 4: many knocks share a commit, and a knock is answered only when its receipt is on disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import psycopg
import pytest
from asgiref.sync import sync_to_async

from acervo.base import clock, ids
from acervo.base.database import conninfo
from acervo.models import Connection, Receipt
from acervo.receive import journal as module
from acervo.receive.journal import Entry, Journal, JournalAway

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def journal(connection: Connection) -> AsyncIterator[Journal]:
    made = Journal(await sync_to_async(conninfo)())
    await made.open()
    yield made
    await made.close()


def entry(connection: Connection, body: bytes = b"{}", connection_id: UUID | None = None) -> Entry:
    pk = connection_id or connection.pk
    return Entry(
        ids.new(), connection.workspace_id, pk, clock.now(), {"content-type": "application/json"}, body
    )


async def test_a_receipt_is_on_disk_when_append_returns(journal: Journal, connection: Connection) -> None:
    kept = entry(connection, b"\x00raw \xff bytes")
    await journal.append(kept)
    async with await psycopg.AsyncConnection.connect(await sync_to_async(conninfo)()) as other:
        row = await (
            await other.execute("SELECT body, headers FROM acervo_receipt WHERE id = %s", [kept.id])
        ).fetchone()
    assert row == (kept.body, {"content-type": "application/json"})


async def test_knocks_at_once_share_commits(journal: Journal, connection: Connection) -> None:
    commits: list[int] = []
    insert = journal._insert

    async def counted(connection: psycopg.AsyncConnection, batch: list[object]) -> None:
        commits.append(len(batch))
        await insert(connection, batch)  # type: ignore[arg-type]

    journal._insert = counted  # type: ignore[method-assign,assignment]
    await asyncio.gather(*(journal.append(entry(connection)) for _ in range(100)))
    assert await Receipt.objects.acount() == 100
    assert sum(commits) == 100
    assert len(commits) < 20


async def test_one_entry_that_cannot_be_written_does_not_spoil_its_neighbours(
    journal: Journal, connection: Connection
) -> None:
    orphan = entry(connection, connection_id=ids.new())
    good = [entry(connection) for _ in range(5)]
    answers = await asyncio.gather(
        *map(journal.append, [*good[:3], orphan, *good[3:]]), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [type(None)] * 3 + [JournalAway] + [type(None)] * 2
    assert await Receipt.objects.acount() == 5


async def test_while_the_database_is_away_a_knock_is_refused_and_later_taken(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 0.2)
    away = Journal("host=127.0.0.1 port=1 user=nobody dbname=none connect_timeout=1")
    away._pool.timeout = 0.2
    await away.open()
    with pytest.raises(JournalAway):
        await away.append(entry(connection))
    await away.close()
    assert not await Receipt.objects.aexists()


async def test_a_database_that_is_away_costs_no_memory_and_nobody_waits_in_line_for_it(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_PENDING_BYTES", 40)
    monkeypatch.setattr(module, "BATCH", 1)
    away = Journal("host=127.0.0.1 port=1 user=nobody dbname=none connect_timeout=1")
    away._pool.timeout = 0.3
    await away.open()
    waiting = [asyncio.create_task(away.append(entry(connection, b"x" * 10))) for _ in range(20)]
    await asyncio.sleep(0.05)
    assert sum(task.done() for task in waiting) >= 14, "refused at once"
    assert away._pending_bytes <= 40
    async with asyncio.timeout(2):
        answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(answer) for answer in answers} == {JournalAway}
    assert (away._pending, away._pending_bytes) == ([], 0)
    await away.close()


async def test_a_connection_that_broke_is_replaced(journal: Journal, connection: Connection) -> None:
    await journal.append(entry(connection))
    async with await psycopg.AsyncConnection.connect(
        await sync_to_async(conninfo)(), autocommit=True
    ) as other:
        await other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'acervo journal'"
        )
    await journal.append(entry(connection))
    assert await Receipt.objects.acount() == 2
