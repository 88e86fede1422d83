"""The block for those who insist: so many failed media requests in an hour, and a number gets nothing for a while."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

HOUR_S = 3600.0


@dataclass(slots=True)
class Block:
    """By default the stricter of the two documented rules: 5 failures within an hour, blocked for an hour."""

    now: Callable[[], float]
    most_failures: int = 5
    blocked_for_s: float = HOUR_S
    tripped: int = 0
    """How many times anybody was blocked."""
    refused: int = 0
    """Requests during a block."""
    _failures: dict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque))
    _until: dict[str, float] = field(default_factory=dict)

    def holds(self, key: str) -> bool:
        """Whether this key is blocked now; asking during a block is counted."""
        holds = self.now() < self._until.get(key, 0.0)
        self.refused += holds
        return holds

    def note_failure(self, key: str) -> None:
        """Another failed request of this key."""
        failures = self._failures[key]
        failures.append(self.now())
        while failures[0] <= self.now() - HOUR_S:
            failures.popleft()
        if len(failures) >= self.most_failures:
            self._until[key] = self.now() + self.blocked_for_s
            self.tripped += 1
            failures.clear()
