"""The floor of acceptance: bare Starlette and psycopg, which verify, insert by group commit, and answer."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bench.floors import serve

CONNINFO, SECRET = os.environ["FLOOR_CONNINFO"], os.environ["FLOOR_SECRET"].encode()
FLUSHERS, BATCH = 2, 256
TABLE = """CREATE TABLE floor_receipt (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received_at timestamptz NOT NULL DEFAULT now(), headers jsonb NOT NULL, body bytea NOT NULL)"""
INSERT = "INSERT INTO floor_receipt (headers, body) SELECT * FROM unnest(%b::text[]::jsonb[], %b::bytea[])"

pending: list[tuple[str, bytes, asyncio.Future[None]]] = []
awake = asyncio.Event()


async def hook(request: Request) -> Response:
    body = await request.body()
    signature = hmac.new(SECRET, body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(f"sha256={signature}", request.headers.get("x-hub-signature-256", "")):
        return Response(status_code=401)
    committed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    pending.append((json.dumps(dict(request.headers)), body, committed))
    awake.set()
    await committed
    return Response()


async def flush_forever(connection: psycopg.AsyncConnection) -> None:
    while True:
        await awake.wait()
        batch = pending[:BATCH]
        del pending[:BATCH]
        if not pending:
            awake.clear()
        if batch:
            headers, bodies, futures = zip(*batch, strict=True)
            await connection.execute(INSERT, [list(headers), list(bodies)])
            for committed in futures:
                committed.set_result(None)


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    connections = [await psycopg.AsyncConnection.connect(CONNINFO, autocommit=True) for _ in range(FLUSHERS)]
    flushers = [asyncio.create_task(flush_forever(connection)) for connection in connections]
    yield
    for flusher in flushers:
        flusher.cancel()
    await asyncio.gather(*flushers, return_exceptions=True)
    for connection in connections:
        await connection.close()


if __name__ == "__main__":
    with psycopg.connect(CONNINFO, autocommit=True) as made:
        made.execute(TABLE)
    serve(Starlette(routes=[Route("/hook", hook, methods=["POST"])], lifespan=lifespan))
