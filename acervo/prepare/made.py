"""What came of the work on one file: its facts, the copies in the working folder, and those that are not there."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from acervo.prepare.facts import Facts
from acervo.prepare.wanted import Wish

TOO_MUCH: Final = "too_much"
TOOL_FAILED: Final = "tool_failed"
TOOL_MISSING: Final = "tool_missing"
NOT_SMALLER: Final = "not_smaller"
NOT_NEEDED: Final = "not_needed"
"""Asked for, and the file turned out to do without it, or to give nothing for it."""
LOCKED: Final = "locked"
"""A document behind a password."""


@dataclass(frozen=True, slots=True)
class Made:
    """A finished copy in the working folder."""

    wish: Wish
    path: Path
    mime: str
    width: int | None = None
    height: int | None = None
    page: int = 0

    @property
    def kind(self) -> str:
        return self.wish.kind

    @property
    def size_bytes(self) -> int:
        return self.path.stat().st_size

    @property
    def exists(self) -> bool:
        return self.path.exists() and self.size_bytes > 0


@dataclass(frozen=True, slots=True)
class Unmade:
    """A copy that was tried and is not there."""

    kind: str
    reason: str
    """As in `models.UnmadeRendition`."""
    size_bytes: int | None = None


@dataclass(slots=True)
class Outcome:
    """All of it."""

    facts: Facts
    made: list[Made] = field(default_factory=list)
    unmade: list[Unmade] = field(default_factory=list)
