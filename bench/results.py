"""One line a measurement: what, how much, against which floor of the same run, and whether that is what we want."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

PATH = Path(__file__).parent / "results.json"


@dataclass(frozen=True, slots=True)
class Result:
    name: str
    measured: float
    unit: str
    floor: float | None = None
    """The same unit, measured in the same run; None where there is only a bound."""
    ratio: float | None = None
    wanted: str = ""
    held: bool | None = None
    """None: reported only."""


def against(name: str, measured: float, unit: str, floor: float, *, at_least: float | None = None) -> Result:
    """A rate compared with its floor's rate."""
    ratio = measured / floor
    wanted = f"ratio ≥ {at_least}" if at_least is not None else ""
    return Result(name, measured, unit, floor, ratio, wanted, None if at_least is None else ratio >= at_least)


def reported(name: str, measured: float, unit: str, floor: float | None = None) -> Result:
    """A figure to be seen, without a bound."""
    return Result(name, measured, unit, floor, measured / floor if floor else None)


def within(name: str, measured: float, unit: str, *, at_most: float) -> Result:
    """A figure compared with a bound."""
    return Result(name, measured, unit, wanted=f"≤ {at_most:g} {unit}", held=measured <= at_most)


def write(results: Iterable[Result]) -> None:
    PATH.write_text(json.dumps([asdict(result) for result in results], indent=2, ensure_ascii=False) + "\n")


def table(results: Iterable[Result]) -> str:
    rows = [("name", "measured", "floor", "ratio", "wanted", "held")]
    for r in results:
        floor = f"{r.floor:,.1f}" if r.floor is not None else ""
        ratio = f"{r.ratio:.2f}" if r.ratio is not None else ""
        held = {True: "yes", False: "NO", None: ""}[r.held]
        rows.append((r.name, f"{r.measured:,.1f} {r.unit}", floor, ratio, r.wanted, held))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
