"""HubSpot's rate limits as sliding windows, and the measure of how close anyone came to them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable


class Window:
    """Accepts at most `limit` requests in any `per_s` seconds. `peak` counts the refused ones too."""

    def __init__(self, limit: int, per_s: float, clock: Callable[[], float]) -> None:
        self.limit = limit
        self.per_s = per_s
        self.peak = 0
        self._clock = clock
        self._seen: deque[float] = deque()

    @property
    def used(self) -> int:
        oldest = self._clock() - self.per_s
        while self._seen and self._seen[0] <= oldest:
            self._seen.popleft()
        return len(self._seen)

    @property
    def wait_s(self) -> float:
        """Seconds until there is room again."""
        return self._seen[0] + self.per_s - self._clock() if self.used >= self.limit else 0.0

    def admit(self) -> bool:
        used = self.used
        self.peak = max(self.peak, used + 1)
        if used >= self.limit:
            return False
        self._seen.append(self._clock())
        return True


class Traffic:
    """Everything that knocked at this account."""

    def __init__(self, clock: Callable[[], float], *, burst: int, searches: int, daily: int) -> None:
        self.burst = Window(burst, 10.0, clock)
        self.searches = Window(searches, 1.0, clock)
        self.daily = Window(daily, 86_400.0, clock)
        self.count = 0
        self.refused = 0
        self.by_operation: dict[str, int] = {}

    def admit(self, *, operation: str, is_search: bool) -> str | None:
        """The name of the policy that is exceeded, or None."""
        self.count += 1
        self.by_operation[operation] = self.by_operation.get(operation, 0) + 1
        windows = [("DAILY", self.daily), ("TEN_SECONDLY_ROLLING", self.burst)]
        if is_search:
            windows.append(("SECONDLY", self.searches))
        for policy, window in windows:
            if not window.admit():
                self.refused += 1
                return policy
        return None
