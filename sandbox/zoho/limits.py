"""Zoho's limits: calls under way, credits of a rolling day, access tokens in ten minutes."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sandbox.hubspot.limits import Window

WRITES_A_CREDIT = 10
MODULE_CREDITS = 500


class Traffic:
    """Everything that knocked at this organisation. `others` are calls of the customer's other apps, always on."""

    def __init__(self, clock: Callable[[], float], *, at_once: int, others: int, credits_a_day: int) -> None:
        self.at_once = at_once
        self.others = others
        self.peak = others
        self.credits_a_day = credits_a_day
        self.tokens = Window(10, 600.0, clock)
        self.refused = 0
        self.by_operation: dict[str, int] = {}
        self._clock = clock
        self._under_way = 0
        self._spent: deque[tuple[float, int]] = deque()
        self._used = 0

    @property
    def credits_left(self) -> int:
        oldest = self._clock() - 86_400
        while self._spent and self._spent[0][0] <= oldest:
            self._used -= self._spent.popleft()[1]
        return self.credits_a_day - self._used

    @contextmanager
    def call(self, operation: str) -> Iterator[bool]:
        """Whether it may go on: neither too many under way nor out of credits."""
        self.by_operation[operation] = self.by_operation.get(operation, 0) + 1
        self._under_way += 1
        self.peak = max(self.peak, self._under_way + self.others)
        is_admitted = self._under_way + self.others <= self.at_once and self.credits_left > 0
        self.refused += not is_admitted
        try:
            yield is_admitted
        finally:
            self._under_way -= 1

    def spend(self, records_written: int = 0, *, extra: int = 0) -> None:
        cost = max(1, math.ceil(records_written / WRITES_A_CREDIT)) + extra
        self._used += cost
        self._spent.append((self._clock(), cost))
