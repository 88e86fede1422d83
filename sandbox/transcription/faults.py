"""Things that go wrong on demand in the simulated transcription server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FaultKind = Literal["slow", "status", "cut", "nonsense", "no_times", "no_detail", "endless"]


@dataclass
class Fault:
    """One misbehaviour, for the next `times` uploads; 0 times: for ever.

    slow: waits `after_s`, then answers well. status: answers `status`, with the error's `code` and `Retry-After`.
    cut: the connection ends in the middle of the answer. nonsense: the answer is not JSON. no_times: the text without
    segments. no_detail: refuses `verbose_json`, as models without times do. endless: an answer that never ends.
    """

    kind: FaultKind
    times: int = 1
    status: int = 500
    code: str = ""
    after_s: float = 0.0
    retry_after: str = ""


class Faults:
    """What is still to go wrong, first come, first served."""

    def __init__(self) -> None:
        self._planned: list[Fault] = []

    def add(self, fault: Fault) -> None:
        self._planned.append(fault)

    def clear(self) -> None:
        self._planned.clear()

    def take(self) -> Fault | None:
        if not self._planned:
            return None
        fault = self._planned[0]
        fault.times -= 1
        if fault.times == 0:
            self._planned.remove(fault)
        return fault
