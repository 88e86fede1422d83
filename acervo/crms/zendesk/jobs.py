"""Zendesk's jobs: waited for with patience, and read for what went wrong in them. The shape of their results is not
written down well, so only what they call a fault is one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from acervo.crms.contract import CrmError, CrmErrorKind
from acervo.crms.zendesk.api import Api, Json

FEW = 3
"""Up to so many are written one by one: a job costs a call to start it, one or more to ask, and one to read."""
FIRST_LOOK_S, LONGEST_LOOK_S, PATIENCE_S = 1.0, 8.0, 45.0
AGAIN_S = 60.0
_FINISHED = frozenset({"completed", "failed", "killed"})


@dataclass(frozen=True, slots=True)
class Done:
    """What we know of a job when it ended, or when our patience did."""

    is_over: bool
    faulty: frozenset[int]
    """Places of the items it refused: to be tried alone, which says exactly why."""


async def finished(api: Api, job: Json, count: int) -> Done:
    until = api.now() + PATIENCE_S
    wait_s = FIRST_LOOK_S
    while str(job.get("status")) not in _FINISHED and api.now() + wait_s < until:
        await api.rest(wait_s)
        wait_s = min(wait_s * 2, LONGEST_LOOK_S)
        job = await api.job(str(job["id"]))
    return Done(str(job.get("status")) in _FINISHED, faulty(job, count))


def faulty(job: Json, count: int) -> frozenset[int]:
    if job.get("status") in {"failed", "killed"}:
        return frozenset(range(count))
    results = job.get("results")
    refused = [
        result.get("index", place)
        for place, result in enumerate(results if isinstance(results, list) else ())
        if isinstance(result, dict) and _is_fault(result)
    ]
    return frozenset(index for index in refused if isinstance(index, int) and 0 <= index < count)


def still_running() -> CrmError:
    return CrmError(CrmErrorKind.UNAVAILABLE, "Zendesk has not finished the batch yet", retry_after_s=AGAIN_S)


def _is_fault(result: Mapping[str, Any]) -> bool:
    says_so = bool(result.get("error") or result.get("errors")) or result.get("success") is False
    return says_so or str(result.get("status", "")).lower() in {"error", "failed"}
