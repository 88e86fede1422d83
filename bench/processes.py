"""Processes of a benchmark: started and stopped, and what they cost in CPU and memory."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psutil

STOP_PATIENCE_S = 20.0
SAMPLE_S = 0.05


@dataclass(frozen=True, slots=True)
class Server:
    """A process that answers on a port of loopback."""

    port: int
    process: psutil.Process


@contextmanager
def serving(module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[Server]:
    """`python -m module`, whose first line names the port it listens on."""
    command = [sys.executable, "-m", module, *arguments]
    started = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})}, process_group=0
    )
    try:
        assert started.stdout is not None
        port = started.stdout.readline().strip().rpartition(":")[2]
        yield Server(int(port), psutil.Process(started.pid))
    finally:
        stop(started)


def stop(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def cpu_s(processes: Iterable[psutil.Process]) -> float:
    """Seconds of CPU these processes and all below them have used since they began, those that have ended included."""
    everyone: set[psutil.Process] = set()
    for process in processes:
        with suppress(psutil.Error):
            everyone |= {process, *process.children(recursive=True)}
    total = 0.0
    for process in everyone:
        with suppress(psutil.Error):
            total += sum(process.cpu_times()[:4])
    return total


@contextmanager
def memory_peaks(find: Callable[[], Iterable[psutil.Process]]) -> Iterator[dict[int, Memory]]:
    """Watches every process that `find` gives, at once and again every SAMPLE_S, until the block ends."""
    peaks: dict[int, Memory] = {}
    over = threading.Event()
    _sample(find, peaks, is_idle=True)
    watcher = threading.Thread(target=_watch, args=(find, peaks, over))
    watcher.start()
    try:
        yield peaks
    finally:
        over.set()
        watcher.join()


@dataclass(slots=True)
class Memory:
    """What one process held, in bytes. One that was not there at the beginning was idle at nothing."""

    name: str
    idle_bytes: int = 0
    peak_bytes: int = field(default=0)

    @property
    def grown_mb(self) -> float:
        return (self.peak_bytes - self.idle_bytes) / 1e6


def _watch(
    find: Callable[[], Iterable[psutil.Process]], peaks: dict[int, Memory], over: threading.Event
) -> None:
    while not over.wait(SAMPLE_S):
        _sample(find, peaks, is_idle=False)


def _sample(find: Callable[[], Iterable[psutil.Process]], peaks: dict[int, Memory], *, is_idle: bool) -> None:
    for process in find():
        with suppress(psutil.Error):
            held = _held_bytes(process)
            if process.pid not in peaks:
                peaks[process.pid] = Memory(_name(process), idle_bytes=held if is_idle else 0)
            peaks[process.pid].peak_bytes = max(peaks[process.pid].peak_bytes, held)


def _held_bytes(process: psutil.Process) -> int:
    """Resident memory. PostgreSQL's shared buffers are one memory that each of its processes seems to hold."""
    info = process.memory_info()
    is_postgres = "postgres" in process.name()
    return int(info.rss - getattr(info, "shared", 0)) if is_postgres else int(info.rss)


def _name(process: psutil.Process) -> str:
    words = process.cmdline()
    if "acervo.management.main" in words:
        return " ".join(words[words.index("acervo.management.main") + 1 :][:3])
    return str(process.name())


def wait_for(condition: Callable[[], bool], what: str, *, patience_s: float, every_s: float = 0.02) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"Not {what} within {patience_s:.0f} s.")
        time.sleep(every_s)
