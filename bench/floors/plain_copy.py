"""The floor of sealing: the same chunks written and synced as they come. Prints seconds and memory grown, as JSON."""

from __future__ import annotations

import json
import os
import sys
import time

import psutil

CHUNK_BYTES = 256 * 1024


class Memory:
    """How much this process has grown, as often as somebody looks. (`ru_maxrss` would begin with the parent's peak.)"""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._idle_bytes = self._peak_bytes = self._process.memory_info().rss

    def look(self) -> None:
        self._peak_bytes = max(self._peak_bytes, self._process.memory_info().rss)

    @property
    def grown_mb(self) -> float:
        return float(self._peak_bytes - self._idle_bytes) / 1e6


def main(path: str, size_bytes: int) -> None:
    chunk = os.urandom(CHUNK_BYTES)
    memory = Memory()
    started = time.perf_counter()
    with open(path, "wb", buffering=0) as file:
        for _ in range(size_bytes // CHUNK_BYTES):
            file.write(chunk)
            memory.look()
        os.fsync(file.fileno())
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "grown_mb": memory.grown_mb}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
