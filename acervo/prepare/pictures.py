"""Sends still and moving pictures to the picture worker (`stills.py`), which runs as isolated as ffmpeg."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import PIL

from acervo.prepare import isolation, limits
from acervo.prepare.facts import Facts
from acervo.prepare.isolation import ToolFailed, ToolTimedOut
from acervo.prepare.made import TOO_MUCH, TOOL_FAILED, Made, Outcome, Unmade
from acervo.prepare.wanted import THUMBNAILS, Wish

WORKER: Final = Path(__file__).with_name("stills.py")
INTERPRETER: Final = (Path(sys.prefix), Path(sys.base_prefix), Path(PIL.__file__).parent.parent)
STANDS_STILL: Final = "stands_still"


async def draw(path: Path, facts: Facts, wishes: Sequence[Wish], out_dir: Path) -> Outcome:
    """Raises ToolFailed for a picture that does not decode."""
    told, *copies = await ask_worker(
        WORKER, [str(facts.filetype.still), str(path), str(out_dir), *outputs(wishes)], path, out_dir
    )
    facts = replace(facts, **told)
    return outcome_of(copies, facts, wishes, out_dir)


async def preview(path: Path, facts: Facts, wishes: Sequence[Wish], out_dir: Path) -> Outcome:
    """Thumbnails of the picture that an Office program put into its file; without one there are none."""
    arguments = ["PREVIEW", str(path), str(out_dir), *outputs(wishes)]
    try:
        _, *copies = await ask_worker(WORKER, arguments, path, out_dir)
    except ToolFailed:
        return Outcome(facts)
    return outcome_of(copies, facts, wishes, out_dir)


def outputs(wishes: Sequence[Wish]) -> list[str]:
    sides: dict[str, int] = {str(kind): side for kind, side in THUMBNAILS.items()}
    return [f"{wish.kind}={sides.get(wish.kind, 0)}" for wish in wishes]


async def ask_worker(
    worker: Path, arguments: Sequence[str], path: Path, out_dir: Path
) -> list[dict[str, Any]]:
    """What it said, a line an answer. A worker that died halfway has still done what it said before.
    Raises ToolFailed if that is nothing."""
    command = [sys.executable, "-I", "-B", "-X", "utf8", str(worker), *arguments]
    reads = [path, worker, *INTERPRETER]
    result = await isolation.run(command, reads=reads, writes=out_dir, limits=limits.DRAWING)
    if result.returncode == -signal.SIGKILL:
        raise ToolTimedOut("The picture worker was killed from outside.")
    said = [json.loads(line) for line in result.stdout.decode().splitlines() if line.endswith("}")]
    if not said:
        raise ToolFailed("The picture worker could not open it.", returncode=result.returncode)
    if result.returncode:
        said.append({"reason": TOO_MUCH if result.returncode == -signal.SIGXCPU else TOOL_FAILED})
    return said


def outcome_of(
    copies: Sequence[dict[str, Any]], facts: Facts, wishes: Sequence[Wish], out_dir: Path
) -> Outcome:
    """The copies that were made, and why the others were not: each for its own reason, or for that of the end."""
    by_kind = {wish.kind: wish for wish in wishes}
    outcome = Outcome(facts)
    reasons = {copy["kind"]: copy["reason"] for copy in copies if "kind" in copy and "reason" in copy}
    last = next((copy["reason"] for copy in copies if "kind" not in copy), TOOL_FAILED)
    for copy in copies:
        if "width" in copy:
            page = copy.get("page", 0)
            path = out_dir / (f"{copy['kind']}-{page}" if page else copy["kind"])
            wish = by_kind[copy["kind"]]
            outcome.made.append(Made(wish, path, "image/webp", copy["width"], copy["height"], page))
    there = {made.kind for made in outcome.made}
    for kind in by_kind.keys() - there:
        if reasons.get(kind) != STANDS_STILL:
            (out_dir / kind).unlink(missing_ok=True)
            outcome.unmade.append(Unmade(kind, reasons.get(kind, last)))
    return outcome
