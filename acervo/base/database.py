"""Django's database from async code: a few threads with connections of their own that survive its restarts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import close_old_connections, connection
from psycopg import AsyncConnection, pq
from psycopg.conninfo import make_conninfo

P = ParamSpec("P")
R = TypeVar("R")

_threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="database")


async def in_thread(do: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run blocking database work beside the event loop. A connection that broke since is replaced first."""

    @wraps(do)
    def fresh(*inner: P.args, **named: P.kwargs) -> R:
        close_old_connections()
        return do(*inner, **named)

    return await sync_to_async(fresh, thread_sensitive=False, executor=_threads)(*args, **kwargs)


@asynccontextmanager
async def alone(name: str) -> AsyncIterator[bool]:
    """Whether nobody else, in any process, is inside a block of this name. The claim lives on a connection of its own:
    it ends with its holder, however that ends."""
    address = await in_thread(conninfo)
    async with await AsyncConnection.connect(address, autocommit=True) as claim:
        asked = await claim.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [name])
        answer = await asked.fetchone()
        yield bool(answer and answer[0])


def conninfo() -> str:
    """How others than Django reach the same database. Holds the password: never log it."""
    words = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    known = connection.get_connection_params()
    # Everything libpq understands, sslmode and certificates above all; the rest is Django's and psycopg's own.
    return make_conninfo(**{name: value for name, value in known.items() if name in words and value})
