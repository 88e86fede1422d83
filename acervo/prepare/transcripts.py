"""What was said in a file, written down by the workspace's engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

MayI = Callable[[UUID, UUID, str], bool]
"""`govern.consent.allows`: workspace, person, purpose."""


def ask_automatically(files: Sequence[UUID]) -> list[UUID]:
    """Rows for those of these files that their workspaces want transcribed on arrival; ids of the new transcripts."""
    return []


async def transcribe(transcript_id: UUID, may_i: MayI, *, is_last_try: bool = False) -> None:
    """Safe to run twice."""
    raise NotImplementedError
