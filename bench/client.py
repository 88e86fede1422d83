"""A load generator that costs little: prebuilt requests over kept-alive connections, answers counted and timed.

The client shares the machine with what it measures, so it does no more than it must: it looks at the status line and
at Content-Length, and parses nothing else.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

STUCK_S = 30.0
"""An answer that takes this long will not come."""


@dataclass(slots=True)
class Answers:
    """What came back."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    elapsed_s: float = 0.0

    @property
    def per_second(self) -> float:
        return sum(self.statuses.values()) / self.elapsed_s

    def percentile_ms(self, share: float) -> float:
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def get(path: str, headers: dict[str, str]) -> bytes:
    """One HTTP/1.1 request without a body."""
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: 127.0.0.1",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def post(path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """One HTTP/1.1 request, ready to be written."""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def flood(port: int, requests: Sequence[bytes], *, connections: int, seconds: float) -> Answers:
    """Closed loop: every connection sends its next request as soon as its last one was answered."""
    answers, until = Answers(), time.perf_counter() + seconds
    started = time.perf_counter()
    lines = [_Line(answers, requests, offset, until) for offset in range(connections)]
    loop = asyncio.get_running_loop()
    for line in lines:
        await loop.create_connection(lambda line=line: line, "127.0.0.1", port)  # type: ignore[misc]
    async with asyncio.timeout(seconds + STUCK_S):
        await asyncio.gather(*(line.over for line in lines))
    answers.elapsed_s = time.perf_counter() - started
    return answers


async def send_all(port: int, requests: Sequence[bytes], *, connections: int) -> Answers:
    """Every request once, as fast as they are answered."""
    answers, waiting = Answers(), iter(requests)

    async def send(line: _Single) -> None:
        for request in waiting:
            sent_at = time.perf_counter()
            answers.statuses[await line.ask(request)] += 1
            answers.seconds.append(time.perf_counter() - sent_at)

    lines = [await _Single.open(port) for _ in range(min(connections, len(requests)))]
    started = time.perf_counter()
    await asyncio.gather(*(send(line) for line in lines))
    answers.elapsed_s = time.perf_counter() - started
    for line in lines:
        line.transport.close()
    return answers


async def stream(
    port: int, requests: Sequence[bytes], *, per_second: float, connections: int = 64
) -> Answers:
    """Open loop: request number n leaves at n / per_second, whatever became of the others. Its time counts from when
    it was due, so that waiting for a free connection is not hidden."""
    answers = Answers()
    free: asyncio.Queue[_Single] = asyncio.Queue()
    for _ in range(connections):
        free.put_nowait(await _Single.open(port))

    async def one(request: bytes, due: float) -> None:
        line = await free.get()
        status = await line.ask(request)
        answers.statuses[status] += 1
        answers.seconds.append(time.perf_counter() - due)
        free.put_nowait(line)

    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number, request in enumerate(requests):
            due = started + number / per_second
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(one(request, due))
    answers.elapsed_s = time.perf_counter() - started
    return answers


class _Connection(asyncio.Protocol):
    transport: asyncio.Transport
    _head = b""
    _status = 0
    _missing = 0
    """Bytes of the body that are still to come; the head is complete once a status is known."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        if not self._status:
            head, separator, data = (self._head + data).partition(b"\r\n\r\n")
            self._head = head + separator
            if not separator:
                return
            self._status, self._missing = int(head[9:12]), _length(head)
        self._missing -= len(data)
        if self._missing <= 0:
            status, self._status, self._head = self._status, 0, b""
            self.answered(status)

    def answered(self, status: int) -> None:
        raise NotImplementedError


def _length(head: bytes) -> int:
    """Of the body, in bytes. Every server here is made to tell it."""
    _, found, rest = head.lower().partition(b"content-length:")
    if not found:
        raise ValueError("An answer without Content-Length cannot be measured by this client.")
    return int(rest.split(b"\r\n", 1)[0])


class _Line(_Connection):
    """One of the connections of a flood."""

    def __init__(self, answers: Answers, requests: Sequence[bytes], offset: int, until: float) -> None:
        self._answers, self._requests, self._next, self._until = answers, requests, offset, until
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._send()

    def answered(self, status: int) -> None:
        now = time.perf_counter()
        self._answers.statuses[status] += 1
        self._answers.seconds.append(now - self._sent_at)
        if now < self._until:
            self._send()
        else:
            self.transport.close()
            self.over.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.over.done():
            self.over.set_exception(error or ConnectionError("The server hung up."))

    def _send(self) -> None:
        self._sent_at = time.perf_counter()
        self.transport.write(self._requests[self._next % len(self._requests)])
        self._next += 1


class _Single(_Connection):
    """One question at a time."""

    _answer: asyncio.Future[int]

    @classmethod
    async def open(cls, port: int) -> Self:
        _, line = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return line

    async def ask(self, request: bytes) -> int:
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        async with asyncio.timeout(STUCK_S):
            return await self._answer

    def answered(self, status: int) -> None:
        self._answer.set_result(status)
