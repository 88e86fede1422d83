"""Things that go wrong on demand in the simulated receiver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

FaultKind = Literal["timeout_after_commit", "timeout", "status", "partial"]


@dataclass
class Fault:
    """One misbehaviour, for the next `times` messages of a type, after letting `after` of them pass.

    timeout_after_commit: the file is kept, the answer never comes. timeout: neither. status: answers `status` without
    doing anything. partial: the last file of a message for many is refused with `status`.
    """

    kind: FaultKind
    status: int = 500
    type_has: str = ""
    times: int = 1
    after: int = 0
    code: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class Faults:
    """What is still to go wrong. Every fault is used up."""

    def __init__(self) -> None:
        self._planned: list[Fault] = []

    def add(self, fault: Fault) -> None:
        self._planned.append(fault)

    def clear(self) -> None:
        self._planned.clear()

    def take(self, kind: str) -> Fault | None:
        for fault in self._planned:
            if fault.type_has not in kind:
                continue
            if fault.after > 0:
                fault.after -= 1
                continue
            fault.times -= 1
            if fault.times <= 0:
                self._planned.remove(fault)
            return fault
        return None
