"""A long chat brought in by the command, against a bare loop that unpacks and hashes the same archive; then again, then
taken out. Memory may not grow with the chat."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from bench.ground import ground
from bench.options import Options
from bench.results import Result, reported, within
from sandbox.chat_exports import PHONES, believable, pack
from tests.house import House

MESSAGES, FILES, FILE_BYTES = 100_000, 5_000, 40_000
SMALLER = 10
"""The chat that memory is compared with has so many times fewer messages and files."""
MOST_GROWN_MB = 60.0
US, THEM = "Suporte", "Marina"
START = datetime(2024, 1, 1, 8)  # noqa: DTZ001  (a phone's clock)
LOOK_S = 0.05


def run(options: Options) -> Iterator[Result]:
    with ground() as place, tempfile.TemporaryDirectory() as folder:
        number, files = options.count(MESSAGES), options.count(FILES)
        small = _chat(Path(folder) / "small", number // SMALLER, files // SMALLER)
        large = _chat(Path(folder) / "large", number, files)
        _taken, _facts, small_mb = _acervo(
            place.house, "import-chat", str(small), "--me", US, "--contact", "Small"
        )
        seconds, facts, large_mb = _acervo(
            place.house, "import-chat", str(large), "--me", US, "--contact", THEM
        )
        if (facts["new_messages"], facts["new_files"]) != (number, files):
            raise AssertionError(f"Not everything came in: {facts}.")
        again_s, again, _mb = _acervo(place.house, "import-chat", str(large), "--me", US, "--contact", THEM)
        if again["new_messages"] != number:
            raise AssertionError(f"The second time changed something: {again}.")
        undo_s, undone, _mb = _acervo(place.house, "import-chat", "--undo", facts["id"])
        if (undone["state"], undone["removed_files"]) != ("undone", files):
            raise AssertionError(f"Not everything was taken out: {undone}.")
        floor_s = min(_floor(large) for _ in range(options.rounds))
    yield reported("import, messages", number / seconds, "messages/s")
    yield reported("import, seconds against unzip and hash", seconds, "s", floor_s)
    yield reported("import of what is here already", again_s, "s", floor_s)
    yield reported("import taken out", undo_s, "s")
    yield within("import, memory grown tenfold", large_mb - small_mb, "MB", at_most=MOST_GROWN_MB)


def _chat(folder: Path, messages: int, files: int) -> Path:
    folder.mkdir()
    said = list(believable(messages, files, us=US, them=THEM, start=START))
    names = [one.file_name for one in said if one.file_name]
    bodies = ((name, os.urandom(FILE_BYTES)) for name in names)
    return pack(folder, said, bodies, PHONES["android pt"], THEM)


def _acervo(home: House, *arguments: str) -> tuple[float, dict[str, Any], float]:
    """Seconds from start to end, what it said, and the most memory it held, in MB."""
    command = [sys.executable, "-m", "acervo.management.main", *arguments, "--json"]
    started, peak = time.perf_counter(), 0
    with home.log.open("ab") as log:
        process = subprocess.Popen(command, env=home.environment, stdout=subprocess.PIPE, stderr=log)
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                peak = max(peak, watched.memory_info().rss)
            except psutil.Error:
                break
            time.sleep(LOOK_S)
        said = process.communicate()[0]
    if process.returncode:
        raise AssertionError(
            f"{arguments[:1]} ended with {process.returncode}: {home.log.read_text()[-2000:]}"
        )
    return time.perf_counter() - started, json.loads(said), peak / 1e6


def _floor(path: Path) -> float:
    command = [sys.executable, "-m", "bench.floors.bare_unzip", str(path)]
    return float(json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["seconds"])
