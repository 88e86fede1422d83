"""Hashing, sealing and storing a stream of 100 MB, beside writing it as it is: speed and memory."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench.options import Options
from bench.results import Result, reported, within

SIZE_BYTES = 100_000_000
MOST_MB = 32.0
"""A stream must not gather in memory: a few segments and one group of chunks do."""
OURS, FLOOR = "bench.sealed_copy", "bench.floors.plain_copy"


def run(options: Options) -> Iterator[Result]:
    size_bytes = options.count(SIZE_BYTES)
    ours: list[dict[str, float]] = []
    floor: list[dict[str, float]] = []
    for _ in range(options.rounds):
        ours.append(_told(OURS, size_bytes))
        floor.append(_told(FLOOR, size_bytes))
    rates = [median(size_bytes / 1e6 / told["seconds"] for told in side) for side in (ours, floor)]
    yield reported("sealing a stream", rates[0], "MB/s", rates[1])
    yield within("sealing a stream, memory", max(told["grown_mb"] for told in ours), "MB", at_most=MOST_MB)


def _told(module: str, size_bytes: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="acervo-bench-") as folder:
        place = folder if module == OURS else str(Path(folder) / "copy")
        command = [sys.executable, "-m", module, place, str(size_bytes)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    told: dict[str, float] = json.loads(done.stdout)
    return told
