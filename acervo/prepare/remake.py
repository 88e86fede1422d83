"""Copies made anew over many files, in a run that survives every interruption."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

ChosenBy = Callable[[UUID, str], Any]
"""`organise.search.found_in`: the workspace's files of a query, as a queryset in no order."""


async def go_on(run_id: UUID, *, chosen_by: ChosenBy) -> None:
    """From where the run stands to its end. Returns early when it was paused or cancelled."""
    raise NotImplementedError
