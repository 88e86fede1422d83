"""The floor of sealing: the same chunks written and synced as they come. Prints seconds and memory grown, as JSON."""

from __future__ import annotations

import json
import os
import resource
import sys
import time

CHUNK_BYTES = 256 * 1024


def main(path: str, size_bytes: int) -> None:
    chunk = os.urandom(CHUNK_BYTES)
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    with open(path, "wb", buffering=0) as file:
        for _ in range(size_bytes // CHUNK_BYTES):
            file.write(chunk)
        os.fsync(file.fileno())
    seconds = time.perf_counter() - started
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb
    print(json.dumps({"seconds": seconds, "grown_mb": grown_kb / 1000}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
