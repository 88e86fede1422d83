"""The processes of one machine: started, watched, restarted when they die, stopped together."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

log = logging.getLogger(__name__)

STOP_PATIENCE_S = 20.0
LONGEST_PAUSE_S = 30.0
STEADY_S = 20.0
"""A process that lived this long starts again at once when it dies; one that dies sooner waits longer each time."""


@dataclass(slots=True)
class Child:
    """One process and how often it died lately."""

    name: str
    arguments: tuple[str, ...]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    deaths: int = 0
    start_at: float = 0.0


@dataclass(slots=True)
class Household:
    """Runs `acervo <arguments>` for each child. They end when we end, however we end: each holds a pipe whose other
    side is ours (`--lifeline`), and reads its end when we are gone."""

    children: list[Child]
    kept_fds: tuple[int, ...] = ()
    stopping: threading.Event = field(default_factory=threading.Event)
    _lifeline: tuple[int, int] = field(default_factory=os.pipe)

    def run(self) -> None:
        """Until `stopping` is set; then all are stopped."""
        try:
            while not self.stopping.wait(0.2):
                for child in self.children:
                    self._look_after(child)
        finally:
            self._stop_all()

    def _look_after(self, child: Child) -> None:
        now = time.monotonic()
        if child.process is None:
            if now >= child.start_at:
                self._start(child)
            return
        code = child.process.poll()
        if code is None:
            return
        was_steady = now - child.started_at > STEADY_S
        child.deaths = 1 if was_steady else child.deaths + 1
        pause_s = 0.0 if was_steady else min(0.5 * 2 ** (child.deaths - 1), LONGEST_PAUSE_S)
        log.warning("process.died", extra={"child": child.name, "exit_code": code, "again_in_s": pause_s})
        child.process, child.start_at = None, now + pause_s

    def _start(self, child: Child) -> None:
        command = [sys.executable, "-m", "acervo.management.main", *child.arguments]
        command += ["--lifeline", str(self._lifeline[0])]
        # A group of its own: Ctrl-C in the terminal reaches only us, and we stop everybody in order.
        child.process = subprocess.Popen(
            command, pass_fds=(self._lifeline[0], *self.kept_fds), process_group=0, stdin=subprocess.DEVNULL
        )
        child.started_at = time.monotonic()
        log.info("process.started", extra={"child": child.name, "pid": child.process.pid})

    def _stop_all(self) -> None:
        alive = [child.process for child in self.children if child.process and child.process.poll() is None]
        for process in alive:
            process.terminate()
        deadline = time.monotonic() + STOP_PATIENCE_S
        for process in alive:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("process.killed", extra={"pid": process.pid})
                process.kill()
                process.wait()


def die_with_parent(lifeline: int | None) -> None:
    """Stop this process (by SIGTERM to itself) when the other side of the pipe is gone."""
    if lifeline is None:
        return

    def wait() -> None:
        os.read(lifeline, 1)  # nobody ever writes: this returns when the parent has ended
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(2 * STOP_PATIENCE_S)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait, name="lifeline", daemon=True).start()


def household(host_fd: int, *, workers: Sequence[tuple[str, str]]) -> Household:
    """The web on an open socket, and a worker for each `(name, queues)`."""
    children = [Child("web", ("web", "--fd", str(host_fd)))]
    children += [Child(name, ("worker", "--queues", queues)) for name, queues in workers]
    return Household(children, kept_fds=(host_fd,))
