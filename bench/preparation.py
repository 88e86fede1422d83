"""From a kept file to its copies: what the whole pipeline costs beside bare ffmpeg, and whether two workers do twice."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median

import psutil
import uvloop

from bench import client
from bench.ground import Ground, ground, knocks
from bench.options import Options
from bench.processes import cpu_s, wait_for
from bench.results import Result, reported
from sandbox.whatsapp import Announced, RemoteSandbox

NOTE = Path(__file__).parents[1] / "tests" / "corpus" / "voice_30s_16k.ogg"
PATIENCE_S = 600.0
PREPARED = "SELECT count(*) FROM acervo_mediafile WHERE prepared_at IS NOT NULL"
STARTED = "SELECT count(*) FROM acervo_mediafile WHERE stored_at IS NOT NULL"
IN_TRANSACTION = (
    "SELECT count(*) FROM pg_stat_activity WHERE xact_start IS NOT NULL AND pid <> pg_backend_pid()"
)
WORKER = ("worker", "--queues", "prepare", "--concurrency", "1")
FLOOR = "bench.floors.bare_ffmpeg"
WARM_UP = 2
GROWTH = 1.8
"""Two workers against one, at least."""


@dataclass(frozen=True, slots=True)
class Load:
    name: str
    mime: str
    kind: str
    path: Path
    files: int
    turns: int
    """How often ours and the floor are measured by turns in a round: the same film costs a tenth more or less each time."""
    at_most: float
    """Wanted CPU, in floors."""


@dataclass
class Turns:
    """What the turns of one load gave, in milliseconds of CPU a file."""

    worker: list[float] = field(default_factory=list)
    postgres: list[float] = field(default_factory=list)
    floor: list[float] = field(default_factory=list)


def run(options: Options) -> Iterator[Result]:
    with tempfile.TemporaryDirectory() as folder:
        loads = (
            Load("notes of 30 s", "audio/ogg; codecs=opus", "voice", NOTE, 40, 1, at_most=1.25),
            Load("videos of 10 s", "video/mp4", "video", grainy_film(Path(folder)), 2, 5, at_most=1.05),
        )
        with ground() as place, place.web(), place.part("worker", "--queues", "capture"):
            for load in loads:
                yield from _cost(place, load, options)
            yield _growth(place, loads[0], options)


def grainy_film(folder: Path) -> Path:
    """10 s of grainy 720p at several times the cap, as a good camera sends it."""
    film = folder / "film.mp4"
    picture = "testsrc2=s=1280x720:r=30:d=10,noise=alls=12:allf=t"
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", picture]
    command += ["-f", "lavfi", "-i", "sine=f=330:r=44100:d=10", "-c:v", "libx264", "-preset", "ultrafast"]
    command += ["-b:v", "6M", "-maxrate", "7M", "-bufsize", "7M", "-pix_fmt", "yuv420p", "-c:a", "aac"]
    subprocess.run([*command, "-movflags", "+faststart", str(film)], check=True)
    return film


# ── what it costs ──


def _cost(place: Ground, load: Load, options: Options) -> Iterator[Result]:
    turns, count = Turns(), options.count(load.files)
    with place.part(*WORKER) as worker:
        _prepare(place, load, WARM_UP, [worker])
        for _ in range(options.rounds * load.turns):
            done = _prepare(place, load, count, [worker])
            turns.worker.append(done.worker_ms)
            turns.postgres.append(done.postgres_ms)
            turns.floor.append(_floor_ms(place, load, count))
    name = f"preparation, {load.name}"
    spent = mean(turns.worker) + mean(turns.postgres)
    yield _at_most(f"{name}: CPU", spent, mean(turns.floor), load.at_most)
    yield reported(f"{name}: CPU of the worker and its tools", mean(turns.worker), "ms/file")


def _at_most(name: str, spent_ms: float, floor_ms: float, bound: float) -> Result:
    ratio = spent_ms / floor_ms
    return Result(name, spent_ms, "ms/file", floor_ms, ratio, f"ratio ≤ {bound}", ratio <= bound)


def _floor_ms(place: Ground, load: Load, count: int) -> float:
    command = [sys.executable, "-m", FLOOR, str(load.path), load.kind, str(count)]
    environment = place.house.environment | {"DJANGO_SETTINGS_MODULE": "acervo.settings"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(1000 * json.loads(done.stdout)["cpu_s"])


# ── whether two workers do twice ──


def _growth(place: Ground, load: Load, options: Options) -> Result:
    rates: dict[int, list[float]] = {1: [], 2: []}
    count = options.count(load.files)
    for _ in range(options.rounds):
        for workers in rates:
            with ExitStack() as stack:
                started = [stack.enter_context(place.part(*WORKER)) for _ in range(workers)]
                _prepare(place, load, WARM_UP * workers, started)
                rates[workers].append(_prepare(place, load, count, started).per_s)
    one, two = median(rates[1]), median(rates[2])
    name = "preparation, two workers against one"
    return Result(name, two, "files/s", one, two / one, f"ratio ≥ {GROWTH}", two / one >= GROWTH)


# ── files that wait, then workers that begin ──


@dataclass(frozen=True, slots=True)
class Prepared:
    per_s: float
    """Files a second, from the first that was ready to the last."""
    worker_ms: float
    """CPU a file."""
    postgres_ms: float


def _prepare(place: Ground, load: Load, count: int, workers: list[psutil.Process]) -> Prepared:
    """All files wait before the workers go on."""
    aim = place.ask(PREPARED) + count
    parts = (workers, place.postgres())
    with _held(place, workers):
        uvloop.run(_keep(place, load, count))
        before = [cpu_s(part) for part in parts]
    with place.asking() as ask:
        wait_for(lambda: ask(PREPARED) >= aim, f"{count} files prepared", patience_s=PATIENCE_S, every_s=0.25)
        spent = [1000 * (cpu_s(part) - at) / count for part, at in zip(parts, before, strict=True)]
        latest = f"SELECT prepared_at FROM acervo_mediafile ORDER BY prepared_at DESC LIMIT {count}"
        seconds = ask(
            f"SELECT extract(epoch FROM max(prepared_at) - min(prepared_at)) FROM ({latest}) AS ours"  # type: ignore[arg-type]
        )
    return Prepared((count - 1) / float(seconds) if count > 1 else 0.0, *spent)


@contextmanager
def _held(place: Ground, workers: list[psutil.Process]) -> Iterator[None]:
    wait_for(
        lambda: _are_stopped(place, workers),
        "workers stopped between two transactions",
        patience_s=PATIENCE_S,
    )
    try:
        yield
    finally:
        _signal(workers, signal.SIGCONT)


def _are_stopped(place: Ground, workers: list[psutil.Process]) -> bool:
    """One stopped within a transaction would keep what it locks from everybody."""
    _signal(workers, signal.SIGSTOP)
    if place.ask(IN_TRANSACTION):
        _signal(workers, signal.SIGCONT)
        return False
    return True


def _signal(workers: list[psutil.Process], number: int) -> None:
    for worker in workers:
        os.kill(worker.pid, number)


async def _keep(place: Ground, load: Load, count: int) -> None:
    aim = place.ask(STARTED) + count
    async with RemoteSandbox(place.meta) as sandbox:
        body = await asyncio.to_thread(load.path.read_bytes)
        files: list[Announced] = await sandbox.add_copies(body, load.mime, count)
    answers = await client.send_all(place.port, knocks(place.hook, files), connections=8)
    if set(answers.statuses) != {200}:
        raise AssertionError(f"Answered {dict(answers.statuses)}.")
    with place.asking() as ask:
        await asyncio.to_thread(
            wait_for, lambda: ask(STARTED) >= aim, f"{count} files kept", patience_s=PATIENCE_S
        )
