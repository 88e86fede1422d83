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
from statistics import median

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
    at_most: float
    """Wanted CPU, in floors."""


@dataclass
class Rounds:
    """What the rounds of one load gave, a figure each."""

    cpu_ms: list[float] = field(default_factory=list)
    worker_ms: list[float] = field(default_factory=list)
    floor_ms: list[float] = field(default_factory=list)


def run(options: Options) -> Iterator[Result]:
    with tempfile.TemporaryDirectory() as folder:
        loads = (
            Load("notes of 30 s", "audio/ogg; codecs=opus", "voice", NOTE, 40, at_most=1.25),
            Load("videos of 10 s", "video/mp4", "video", grainy_film(Path(folder)), 5, at_most=1.05),
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
    rounds, count = Rounds(), options.count(load.files)
    for _ in range(options.rounds):
        with place.part(*WORKER) as worker:
            _prepare(place, load, WARM_UP, [worker])
            parts = {"worker": [worker], "postgres": place.postgres()}
            before = {name: cpu_s(processes) for name, processes in parts.items()}
            _prepare(place, load, count, [worker])
            spent = {name: cpu_s(parts[name]) - before[name] for name in parts}
        rounds.cpu_ms.append(1000 * sum(spent.values()) / count)
        rounds.worker_ms.append(1000 * spent["worker"] / count)
        rounds.floor_ms.append(_floor_ms(place, load, count))
    name = f"preparation, {load.name}"
    yield _at_most(f"{name}: CPU", median(rounds.cpu_ms), median(rounds.floor_ms), load.at_most)
    yield reported(f"{name}: CPU of the worker and its tools", median(rounds.worker_ms), "ms/file")


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
                rates[workers].append(_prepare(place, load, count, started))
    one, two = median(rates[1]), median(rates[2])
    name = "preparation, two workers against one"
    return Result(name, two, "files/s", one, two / one, f"ratio ≥ {GROWTH}", two / one >= GROWTH)


# ── files that wait, then workers that begin ──


def _prepare(place: Ground, load: Load, count: int, workers: list[psutil.Process]) -> float:
    """Files a second, from the first that was ready to the last. All of them wait before the workers go on."""
    aim = place.ask(PREPARED) + count
    with _held(workers):
        uvloop.run(_keep(place, load, count))
    with place.asking() as ask:
        wait_for(lambda: ask(PREPARED) >= aim, f"{count} files prepared", patience_s=PATIENCE_S, every_s=0.25)
        latest = f"SELECT prepared_at FROM acervo_mediafile ORDER BY prepared_at DESC LIMIT {count}"
        seconds = ask(
            f"SELECT extract(epoch FROM max(prepared_at) - min(prepared_at)) FROM ({latest}) AS ours"  # type: ignore[arg-type]
        )
    return (count - 1) / float(seconds) if count > 1 else 0.0


@contextmanager
def _held(workers: list[psutil.Process]) -> Iterator[None]:
    for worker in workers:
        os.kill(worker.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for worker in workers:
            os.kill(worker.pid, signal.SIGCONT)


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
