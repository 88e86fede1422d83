"""Things that go wrong on demand in the simulated account."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FaultKind = Literal["timeout_after_commit", "timeout", "status", "partial"]


@dataclass
class Fault:
    """One misbehaviour, for the next `times` requests that fit, after letting `after` of them pass.

    timeout_after_commit: the work is done, the answer never comes. timeout: neither.
    status: answers `status` without doing anything. partial: the last input of a batch write fails (207).
    """

    kind: FaultKind
    status: int = 500
    method: str | None = None
    path_has: str = ""
    times: int = 1
    after: int = 0
    category: str = "INTERNAL_ERROR"
    message: str = "Something went wrong on our side."
    policy_name: str | None = None

    def fits(self, method: str, path: str) -> bool:
        return self.method in {None, method} and self.path_has in path


class Faults:
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

    def take(self, method: str, path: str) -> Fault | None:
        for fault in self._planned:
            if not fault.fits(method, path):
                continue
            if fault.after > 0:
                fault.after -= 1
                continue
            fault.times -= 1
            if fault.times <= 0:
                self._planned.remove(fault)
            return fault
        return None
