"""From the webhook to the committed file: how many a second, what each costs, and where the time goes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median

import psutil
import uvloop

from bench import client
from bench.ground import Ground, ground, knocks
from bench.options import Options
from bench.processes import cpu_s, wait_for
from bench.results import Result, against, reported
from sandbox.whatsapp import Announced, Phone, RemoteSandbox

CONNECTIONS = 64
SIDE_BY_SIDE = 32
"""What one capture worker does by default."""
PATIENCE_S = 120.0
KEPT = "SELECT count(*) FROM acervo_mediafile WHERE stored_at IS NOT NULL"
FLOOR = "bench.floors.bare_capture"


@dataclass(frozen=True, slots=True)
class Load:
    name: str
    mime: str
    size_bytes: int
    files: int
    at_least: float
    """Wanted share of the floor's rate."""


LOADS = (
    Load("notes of 30 KB", "audio/ogg; codecs=opus", 30_000, 2_000, at_least=0.25),
    Load("videos of 5 MB", "video/mp4", 5_000_000, 60, at_least=0.6),
)


@dataclass
class Rounds:
    """What the rounds of one load gave, a figure each."""

    rates: list[float] = field(default_factory=list)
    floor_rates: list[float] = field(default_factory=list)
    floor_cpu_ms: list[float] = field(default_factory=list)
    cpu_ms: dict[str, list[float]] = field(default_factory=dict)
    """Milliseconds a file, by part of the installation."""


def run(options: Options) -> Iterator[Result]:
    with ground() as place, place.web() as web, place.part("worker", "--queues", "capture,tick") as worker:
        parts = {"web": [web], "worker": [worker], "origin": [place.origin.process]}
        uvloop.run(_capture(place, LOADS[0], 50))  # imports, connections, keys
        for load in LOADS:
            rounds, count = Rounds(), options.count(load.files)
            for _ in range(options.rounds):
                _measure_us(place, load, count, parts, rounds)
                _measure_floor(place, load, count, rounds)
            yield from _results(load, rounds)


def _measure_us(
    place: Ground, load: Load, count: int, parts: dict[str, list[psutil.Process]], rounds: Rounds
) -> None:
    parts = parts | {"postgres": place.postgres()}
    before = {name: cpu_s(processes) for name, processes in parts.items()}
    seconds = uvloop.run(_capture(place, load, count))
    rounds.rates.append(count / seconds)
    for name, processes in parts.items():
        spent_ms = 1000 * (cpu_s(processes) - before[name]) / count
        rounds.cpu_ms.setdefault(name, []).append(spent_ms)


async def _capture(place: Ground, load: Load, count: int) -> float:
    """Seconds from the first webhook to the commit of the last file."""
    requests = knocks(place.hook, await _shelve(place, load, count))
    aim = place.ask(KEPT) + count
    started = time.perf_counter()
    answers = await client.send_all(place.port, requests, connections=CONNECTIONS)
    if set(answers.statuses) != {200}:
        raise AssertionError(f"Answered {dict(answers.statuses)}.")
    with place.asking() as ask:
        wait_for(lambda: ask(KEPT) >= aim, f"{count} files kept", patience_s=PATIENCE_S)
    return time.perf_counter() - started


async def _shelve(place: Ground, load: Load, count: int) -> list[Announced]:
    async with RemoteSandbox(place.meta) as sandbox:
        return await sandbox.add_copies(os.urandom(load.size_bytes), load.mime, count)


def _measure_floor(place: Ground, load: Load, count: int, rounds: Rounds) -> None:
    folder = place.house.folder / "floor"
    files = uvloop.run(_shelve(place, load, count))
    command = [sys.executable, "-m", FLOOR, str(folder), str(SIDE_BY_SIDE), Phone().access_token]
    done = subprocess.run(
        command, input="\n".join(file.url for file in files), capture_output=True, text=True, check=True
    )
    shutil.rmtree(folder)
    told = json.loads(done.stdout)
    rounds.floor_rates.append(count / told["seconds"])
    rounds.floor_cpu_ms.append(1000 * told["cpu_s"] / count)


def _results(load: Load, rounds: Rounds) -> Iterator[Result]:
    name = f"capture, {load.name}"
    cost = {part: median(spent) for part, spent in rounds.cpu_ms.items()}
    yield against(name, median(rounds.rates), "files/s", median(rounds.floor_rates), at_least=load.at_least)
    ours = cost["web"] + cost["worker"]
    yield reported(f"{name}: CPU of web and worker", ours, "ms/file", median(rounds.floor_cpu_ms))
    for part, spent_ms in cost.items():
        yield reported(f"{name}: CPU of {part}", spent_ms, "ms/file")
