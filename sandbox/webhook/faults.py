"""Things that go wrong on demand in the simulated receiver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from sandbox.planned import Plan

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

    def fits(self, *call: str) -> bool:
        (kind,) = call
        return self.type_has in kind


Faults = Plan[Fault]
