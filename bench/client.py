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
    await asyncio.gather(*(line.over for line in lines))
    answers.elapsed_s = time.perf_counter() - started
    return answers


async def stream(port: int, requests: Sequence[bytes], *, per_second: float, connections: int = 64) -> Answers:
    """Open loop: request number n leaves at n / per_second, whatever became of the others. Its time counts from when
    it was due, so that waiting for a free connection is not hidden."""
    answers = Answers()
    loop = asyncio.get_running_loop()
    free: asyncio.Queue[_Single] = asyncio.Queue()
    for _ in range(connections):
        line = _Single()
        await loop.create_connection(lambda line=line: line, "127.0.0.1", port)  # type: ignore[misc]
        free.put_nowait(line)

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
    _received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator:
            return
        lowered = head.lower()
        at = lowered.find(b"content-length:")
        length = int(lowered[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(body) >= length:
            self._received = body[length:]
            self.answered(int(head[9:12]))

    def answered(self, status: int) -> None:
        raise NotImplementedError


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

    async def ask(self, request: bytes) -> int:
        self._answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self._answer

    def answered(self, status: int) -> None:
        self._answer.set_result(status)
