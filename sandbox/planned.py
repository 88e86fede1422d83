"""Things that are to go wrong in a simulated account, each a number of times: first come, first served."""

from __future__ import annotations

from typing import Any, Generic, Protocol, TypeVar


class Planned(Protocol):
    """For the next `times` calls that it fits, after letting `after` of them pass."""

    times: int
    after: int

    def fits(self, *call: Any) -> bool: ...


Fault = TypeVar("Fault", bound=Planned)


class Plan(Generic[Fault]):
    """What is still to go wrong. Every fault is used up; `left` tells a test whether all of them happened."""

    def __init__(self) -> None:
        self._planned: list[Fault] = []

    def add(self, fault: Fault) -> None:
        self._planned.append(fault)

    def clear(self) -> None:
        self._planned.clear()

    @property
    def left(self) -> int:
        return sum(fault.times for fault in self._planned)

    def take(self, *call: Any) -> Fault | None:
        """`call`: what the faults of this account look at."""
        for fault in self._planned:
            if not fault.fits(*call):
                continue
            if fault.after > 0:
                fault.after -= 1
                continue
            fault.times -= 1
            if fault.times <= 0:
                self._planned.remove(fault)
            return fault
        return None
