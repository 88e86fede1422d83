"""Time that passes only when everyone waits, so that a suite can sit through minutes of limits in no time."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Iterator
from contextlib import contextmanager

_QUIET_ROUNDS = 10
"""Turns of the event loop without a request under way before the clock may jump to the next sleeper."""


class VirtualTime:
    """Hand `now` and `sleep` to a `Pace`, `now` to the simulated account, and wrap requests in `busy`."""

    def __init__(self, at: float = 1_795_000_000.0) -> None:
        self._at = at
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0
        self._busy = 0
        self._driver: asyncio.Task[None] | None = None

    def now(self) -> float:
        return self._at

    def advance(self, seconds: float) -> None:
        self._at += seconds

    @contextmanager
    def busy(self) -> Iterator[None]:
        """No time passes while a request is under way."""
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1

    async def sleep(self, seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._sleepers, (self._at + seconds, self._count, future))
        if self._driver is None or self._driver.done():
            self._driver = asyncio.create_task(self._drive())
        await future

    async def _drive(self) -> None:
        while self._sleepers:
            await self._quiet()
            self._at = max(self._at, self._sleepers[0][0])
            while self._sleepers and self._sleepers[0][0] <= self._at:
                future = heapq.heappop(self._sleepers)[2]
                if not future.done():
                    future.set_result(None)

    async def _quiet(self) -> None:
        rounds = 0
        while rounds < _QUIET_ROUNDS:
            await asyncio.sleep(0)
            rounds = 0 if self._busy else rounds + 1
