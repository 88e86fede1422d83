"""Things that go wrong on demand in the simulated account."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sandbox.planned import Plan

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

    def fits(self, *call: str) -> bool:
        method, path = call
        return self.method in {None, method} and self.path_has in path


Faults = Plan[Fault]
