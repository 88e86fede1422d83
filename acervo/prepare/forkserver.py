"""The near end of `launcher.py`: one small process a worker, from which every media tool is forked.

Starting an interpreter for each tool would cost as much as decoding a short voice note does.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from acervo.prepare import launcher

ALONE: Final = (sys.executable, "-I", "-S", "-B", "-X", "utf8")
"""An interpreter that sees the standard library and nothing of ours."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A running tool, in the hand of whoever started it."""

    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader
    _told: asyncio.StreamReader
    _leash: asyncio.StreamWriter

    async def ended(self) -> int | None:
        """Its return code, a negative one being the signal that ended it. None: it was killed with the server."""
        code = await self._told.read()
        return int(code) if code else None

    def let_go(self) -> None:
        """It is killed with all that it started; `ended` tells when that is done. Harmless once it has ended."""
        with contextlib.suppress(OSError):
            self._leash.write_eof()


class ForkServer:
    """Starts the launcher when first asked, and anew should it have been killed. Safe to use from any thread."""

    def __init__(self, program: Sequence[str] = (launcher.__file__,)) -> None:
        self._command = [*ALONE, *program]
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._requests: socket.socket | None = None

    @asynccontextmanager
    async def start(self, argv: Sequence[str], plan: dict[str, Any]) -> AsyncIterator[Tool]:
        """The tool at work under the plan of `launcher.Plan`. What still runs on leaving is killed."""
        request = json.dumps({"argv": argv, "plan": plan}).encode()
        with ExitStack() as ours, ExitStack() as theirs:
            stdout, _, told_out = await _line(ours, theirs)
            stderr, _, told_err = await _line(ours, theirs)
            told, leash, far_end = await _line(ours, theirs)
            self._ask(request, [told_out, told_err, far_end])
            theirs.close()
            yield Tool(stdout, stderr, told, leash)

    def stop(self) -> None:
        """Ends the server and all its tools; the next `start` begins a new one."""
        with self._lock:
            if self._requests is not None:
                self._requests.close()
            if self._process is not None:
                self._process.wait()
            self._process = self._requests = None

    def _ask(self, request: bytes, fds: Sequence[int]) -> None:
        with self._lock:
            try:
                self._send(request, fds)
            except OSError:  # it was killed
                self._begin()
                self._send(request, fds)

    def _send(self, request: bytes, fds: Sequence[int]) -> None:
        if self._requests is None:
            self._begin()
        assert self._requests is not None  # noqa: S101  (it has just begun)
        socket.send_fds(self._requests, [len(request).to_bytes(4, "big")], fds)
        self._requests.sendall(request)

    def _begin(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if self._requests is not None:
            self._requests.close()
        self._requests, far = socket.socketpair()
        with far:
            # A session of its own: a Ctrl-C that is meant for us must not take the tools away under a running job.
            self._process = subprocess.Popen(
                self._command,
                stdin=far.fileno(),
                stdout=subprocess.DEVNULL,
                env={},
                cwd="/",
                start_new_session=True,
            )


async def _line(ours: ExitStack, theirs: ExitStack) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, int]:
    """Our end, and the descriptor of theirs. A pair of sockets: uvloop closes the end of a pipe twice, and the second
    time the number may be that of a file somebody just opened."""
    near, far = socket.socketpair()
    theirs.callback(far.close)
    reader, writer = await asyncio.open_connection(sock=near)
    ours.callback(writer.close)
    return reader, writer, far.fileno()
