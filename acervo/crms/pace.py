"""How fast one connection may call its CRM: rolling limits, shared by every connector of that connection."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import lru_cache
from weakref import WeakKeyDictionary

from acervo.crms.contract import CrmError, CrmErrorKind


class RollingLimit:
    """At most `count` starts in any `per_s` seconds."""

    def __init__(self, count: int, per_s: float) -> None:
        self.count = count
        self.per_s = per_s
        self._starts: deque[float] = deque(maxlen=count)
        self._blocked_until = 0.0

    def wait_s(self, now: float) -> float:
        """Seconds until the next start is allowed; 0 or less means now."""
        wait = self._blocked_until - now
        if len(self._starts) == self.count:
            wait = max(wait, self._starts[0] + self.per_s - now)
        return wait

    def start(self, now: float) -> None:
        self._starts.append(now)

    def block(self, until: float) -> None:
        self._blocked_until = max(self._blocked_until, until)


class Pace:
    """The lanes of one connection and the clock they are measured with. Tests hand in a clock of their own."""

    def __init__(
        self,
        lanes: Mapping[str, RollingLimit],
        *,
        at_once: int | None = None,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`at_once`: the most calls under way, where the CRM counts those; None for any number."""
        self.lanes = lanes
        self.at_once = at_once
        self.now = now
        self.sleep = sleep
        self._places: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()

    def place(self) -> AbstractAsyncContextManager[object]:
        """One of the calls under way; waits while there are as many as may be."""
        if self.at_once is None:
            return nullcontext()
        loop = asyncio.get_running_loop()  # a semaphore belongs to one, a pace to the process
        return self._places.setdefault(loop, asyncio.Semaphore(self.at_once))

    async def take(self, lanes: Iterable[str], *, until: float) -> None:
        """Wait for a place in every lane and take it. Raises CrmError RATE_LIMITED at once, with the wait it
        would need, when that place comes only after `until`: a job shall not hold its worker that long."""
        limits = [self.lanes[lane] for lane in lanes]
        while (wait_s := max(limit.wait_s(self.now()) for limit in limits)) > 0:
            if self.now() + wait_s > until:
                raise CrmError(CrmErrorKind.RATE_LIMITED, "our own limit is reached", retry_after_s=wait_s)
            await self.sleep(wait_s)
        for limit in limits:
            limit.start(self.now())

    def block(self, lane: str, wait_s: float) -> None:
        """The CRM said it is too much: everyone on this lane waits."""
        self.lanes[lane].block(self.now() + wait_s)


@lru_cache(maxsize=1024)
def shared_pace(
    connection: str, lanes: tuple[tuple[str, int, float], ...], *, at_once: int | None = None
) -> Pace:
    """The one Pace of a connection in this process, whoever asks. `lanes`: (name, count, per seconds).

    It does not see other processes: one worker per CRM connection delivers at a time, and the limits leave
    room below the vendor's for what slips.
    """
    limits = {name: RollingLimit(count, per_s) for name, count, per_s in lanes}
    return Pace(limits, at_once=at_once)
