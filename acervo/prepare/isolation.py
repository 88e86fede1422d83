"""Runs a media tool with little room: no network, no file but the named ones, no more time and memory than given.

Every file is hostile, so nothing of ours decodes media in its own process. A tool runs behind `launcher.py` (rlimits,
Landlock, seccomp, no capabilities) in its own process group with an empty environment, and is gone when `run` is over.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import json
import logging
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from django.conf import settings

from acervo.base.errors import NeedsPerson, Refused, TryLater
from acervo.prepare import forkserver, launcher
from acervo.prepare.forkserver import ForkServer, Tool

log = logging.getLogger(__name__)

MIB: Final = 1024 * 1024
STDERR_BYTES: Final = 64 * 1024
SYSTEM: Final = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/alternatives")
"""Programs and libraries. Nothing else of /etc, no /proc, no /home, no /tmp."""

_tools = ForkServer()
atexit.register(_tools.stop)


class ToolFailed(Refused):
    """A media tool could not read this file."""

    code = "tool_failed"

    def __init__(self, detail: str, *, returncode: int, stderr: bytes = b"") -> None:
        """A negative returncode is the signal that ended it. `stderr` may quote the file: never log it."""
        super().__init__(detail, returncode=returncode)
        self.returncode = returncode
        self.stderr = stderr


class ToolTimedOut(TryLater):
    """A media tool did not finish in time."""

    code = "tool_timed_out"


class ToolMissing(NeedsPerson):
    """A media tool is not installed, or not where the settings say."""

    code = "tool_missing"


class NotIsolated(NeedsPerson):
    """This machine cannot isolate media tools as ACERVO_ISOLATION requires."""

    code = "not_isolated"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may use."""

    wall_s: float = 60
    cpu_s: int = 60
    memory_bytes: int = 1024 * MIB
    file_bytes: int = 256 * MIB
    """Of each file it writes."""
    open_files: int = 64
    stdout_bytes: int = 1 * MIB

    def rlimits(self) -> dict[str, int]:
        return {
            "AS": self.memory_bytes,
            "CPU": self.cpu_s,
            "FSIZE": self.file_bytes,
            "NOFILE": self.open_files,
            "CORE": 0,
        }


@dataclass(frozen=True, slots=True)
class Result:
    """What a tool said."""

    returncode: int
    stdout: bytes = field(repr=False)
    stderr: bytes = field(repr=False)
    """At most its first 64 KiB."""


@dataclass(frozen=True, slots=True)
class Isolation:
    """What this machine can take away from a tool; shown by `acervo doctor`."""

    landlock_abi: int
    """0: the kernel has no Landlock, a tool could read what we can read."""
    is_network_closed: bool
    rlimits: tuple[str, ...]

    @property
    def is_complete(self) -> bool:
        return (
            self.landlock_abi > 0 and self.is_network_closed and {"AS", "CPU", "FSIZE"} <= set(self.rlimits)
        )


async def run(
    argv: Sequence[str | Path],
    *,
    reads: Sequence[Path],
    writes: Path | None = None,
    limits: Limits | None = None,
    on_stdout: Callable[[bytes], None] | None = None,
) -> Result:
    """Runs a tool to its end, whatever its return code; see `must` to insist on success.

    It sees `reads` and may change `writes` (also its working folder), nothing else. With `on_stdout` the output is
    handed over as it comes instead of being collected. When this returns, raises or is cancelled, the tool and
    everything it started are gone. Raises ToolTimedOut, ToolMissing, NotIsolated, and ToolFailed for too much output.
    """
    limits = limits or Limits()
    output, complaints = _Collected(limits.stdout_bytes), _Collected(STDERR_BYTES)
    plan = _plan(argv, reads=reads, writes=writes, limits=limits)
    async with _tools.start([str(word) for word in argv], plan) as running:
        tasks: list[asyncio.Task[Any]] = [
            asyncio.create_task(_read(running.stdout, on_stdout or output.add)),
            asyncio.create_task(_read(running.stderr, complaints.add)),
            asyncio.create_task(running.ended()),
        ]
        try:
            _, unfinished = await asyncio.wait(tasks, timeout=limits.wall_s)
        finally:
            await _end(running, tasks)
    if unfinished:
        raise ToolTimedOut(f"{_name(argv)} did not finish within {limits.wall_s:g} s.")
    returncode = [task.result() for task in tasks][-1]
    if returncode is None:
        raise ToolTimedOut(f"{_name(argv)} was killed from outside.")
    result = Result(returncode, bytes(output.kept), bytes(complaints.kept))
    _refuse_launcher_failures(result, argv)
    if output.is_overflowing:
        raise ToolFailed(f"{_name(argv)} said too much.", returncode=result.returncode)
    return result


async def must(
    argv: Sequence[str | Path],
    *,
    reads: Sequence[Path],
    writes: Path | None = None,
    limits: Limits | None = None,
) -> Result:
    """Like `run`, and raises ToolFailed unless the tool ends with 0."""
    result = await run(argv, reads=reads, writes=writes, limits=limits)
    if result.returncode:
        raise ToolFailed(
            f"{_name(argv)} ended with {result.returncode}.",
            returncode=result.returncode,
            stderr=result.stderr,
        )
    return result


def tool(setting: str) -> str:
    """The absolute path of a configured program, such as `ACERVO_FFMPEG`. Raises ToolMissing."""
    found = shutil.which(getattr(settings, setting))
    if found is None:
        raise ToolMissing(f"There is no program at {setting}; install ffmpeg or correct the setting.")
    return str(Path(found).absolute())


@functools.cache
def active() -> Isolation:
    """What isolation really is in force here, found by trying it on a child. Raises NotIsolated if there is no way."""
    plan: dict[str, Any] = {"reads": [], "writes": None, "rlimits": Limits().rlimits(), "is_required": False}
    command = [*forkserver.ALONE, launcher.__file__, json.dumps(plan)]
    finished = subprocess.run(command, env={}, capture_output=True, timeout=20, check=False)
    if finished.returncode:
        raise NotIsolated("Media tools cannot be started in isolation on this machine.")
    words = [line.split() for line in finished.stdout.decode().splitlines()]
    return Isolation(
        landlock_abi=next((int(word[1]) for word in words if word[0] == "landlock"), 0),
        is_network_closed=["no_sockets"] in words,
        rlimits=tuple(word[1] for word in words if word[0] == "rlimit"),
    )


def _plan(
    argv: Sequence[str | Path], *, reads: Sequence[Path], writes: Path | None, limits: Limits
) -> dict[str, Any]:
    """What `launcher.Plan` reads."""
    return {
        "reads": [*SYSTEM, str(Path(argv[0]).resolve()), *(str(path.resolve()) for path in reads)],
        "writes": str(writes.resolve()) if writes else None,
        "rlimits": limits.rlimits(),
        "is_required": settings.ACERVO_ISOLATION == "required",
    }


def _refuse_launcher_failures(result: Result, argv: Sequence[str | Path]) -> None:
    if not result.stderr.startswith(launcher.COMPLAINT.encode()):
        return
    if result.returncode == launcher.CANNOT_START:
        raise ToolMissing(f"{_name(argv)} could not be started.")
    if result.returncode == launcher.CANNOT_CONFINE:
        raise NotIsolated(f"{_name(argv)} could not be isolated.")


async def _end(running: Tool, tasks: Sequence[asyncio.Task[Any]]) -> None:
    running.let_go()
    _, unfinished = await asyncio.wait(tasks, timeout=5)
    for task in unfinished:
        log.error("prepare.tool_survived")
        task.cancel()


async def _read(stream: asyncio.StreamReader, give: Callable[[bytes], None]) -> None:
    while chunk := await stream.read(64 * 1024):
        give(chunk)


def _name(argv: Sequence[str | Path]) -> str:
    return Path(argv[0]).name


class _Collected:
    """The beginning of an output; the rest is read and dropped, so that the writer never blocks."""

    def __init__(self, limit: int) -> None:
        self.kept = bytearray()
        self.limit = limit
        self.is_overflowing = False

    def add(self, chunk: bytes) -> None:
        room = self.limit - len(self.kept)
        self.kept += chunk[:room]
        self.is_overflowing = self.is_overflowing or len(chunk) > room
