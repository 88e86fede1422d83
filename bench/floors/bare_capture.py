"""The floor of capture: download, hash, seal, store durably; no database, no queue, nothing that could be resumed.

Reads URLs from standard input, one a line; ends by printing how long it took and what it cost, as JSON.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator

import aiohttp
import uvloop

from acervo.keep.folder import FolderStorage
from acervo.keep.sealing import KEY_BYTES, Sealer

CHUNK_BYTES = 256 * 1024
SMALL_BYTES = 1024 * 1024


async def one(session: aiohttp.ClientSession, store: FolderStorage, url: str, name: str, key: bytes) -> None:
    sealer, sha256 = Sealer(key, name.encode()), hashlib.sha256()
    async with session.get(url) as response:
        response.raise_for_status()
        if (response.content_length or SMALL_BYTES) < SMALL_BYTES:
            body = await response.read()
            sha256.update(body)
            await store.put(name, sealer.update(body) + sealer.finish())
        else:
            await store.put(name, sealed(response, sealer, sha256))


async def sealed(
    response: aiohttp.ClientResponse, sealer: Sealer, sha256: hashlib._Hash
) -> AsyncIterator[bytearray]:
    async for chunk in response.content.iter_chunked(CHUNK_BYTES):
        sha256.update(chunk)
        yield sealer.update(chunk)
    yield sealer.finish()


async def worker(
    session: aiohttp.ClientSession, store: FolderStorage, urls: Iterator[tuple[int, str]]
) -> None:
    key = os.urandom(KEY_BYTES)
    for number, url in urls:
        await one(session, store, url, f"files/{number}", key)


async def main(folder: str, side_by_side: int, token: str) -> None:
    urls = enumerate(sys.stdin.read().split())
    store = FolderStorage(folder)
    headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"}
    connector = aiohttp.TCPConnector(limit=side_by_side)
    async with aiohttp.ClientSession(connector=connector, headers=headers, auto_decompress=False) as session:
        started, spent = time.perf_counter(), time.process_time()
        await asyncio.gather(*(worker(session, store, urls) for _ in range(side_by_side)))
        seconds, cpu = time.perf_counter() - started, time.process_time() - spent
    print(json.dumps({"seconds": seconds, "cpu_s": cpu}))


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
