"""What `bench.sealing` measures: chunks through hash, sealer and store. Prints seconds and memory grown, as JSON."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator

from acervo.keep.folder import FolderStorage
from acervo.keep.sealing import KEY_BYTES, Sealer
from bench.floors.plain_copy import CHUNK_BYTES, Memory


async def sealed(size_bytes: int, memory: Memory) -> AsyncIterator[bytearray]:
    chunk, sealer, sha256 = os.urandom(CHUNK_BYTES), Sealer(os.urandom(KEY_BYTES), b"bench"), hashlib.sha256()
    for _ in range(size_bytes // CHUNK_BYTES):
        sha256.update(chunk)
        yield sealer.update(chunk)
        memory.look()
    yield sealer.finish()


async def main(folder: str, size_bytes: int) -> None:
    store, memory = FolderStorage(folder), Memory()
    started = time.perf_counter()
    await store.put("files/one", sealed(size_bytes, memory))
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "grown_mb": memory.grown_mb}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
