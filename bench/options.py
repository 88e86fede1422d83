"""How long and how often is measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    rounds: int = 3
    """Each side runs so often, in turn with the others; medians are told."""
    scale: float = 1.0
    """Multiplies numbers of files and durations; what is told of a small run is only that it ran."""

    def scaled(self, seconds: float) -> float:
        return max(0.5, seconds * self.scale)

    def count(self, files: int) -> int:
        return max(1, round(files * self.scale))
