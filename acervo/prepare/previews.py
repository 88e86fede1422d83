"""One local file looked at and copied for the eye, the ear and the browser. The original is never replaced."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from acervo.models import MadeAt, MediaPolicy
from acervo.prepare.documents import leaf
from acervo.prepare.facts import Facts
from acervo.prepare.inspection import inspect
from acervo.prepare.isolation import ToolFailed, ToolMissing
from acervo.prepare.made import NOT_SMALLER, TOOL_MISSING, Made, Outcome, Unmade
from acervo.prepare.pictures import draw
from acervo.prepare.playing import Player
from acervo.prepare.wanted import Wish, wanted

log = logging.getLogger(__name__)

Choose = Callable[[Wish], bool]


def on_arrival(wish: Wish) -> bool:
    return wish.at == MadeAt.ARRIVAL


async def examine(
    path: Path,
    declared_kind: str | None,
    policy: MediaPolicy,
    out_dir: Path,
    *,
    choose: Choose = on_arrival,
    is_last_try: bool = True,
) -> Outcome:
    """The facts of a file, and in `out_dir` those of its wanted copies that `choose` takes. A damaged or hostile file
    gives facts that say so. Copies carry neither EXIF nor place nor any other tag. Raises ToolTimedOut, and NotIsolated.
    """
    facts = await inspect(path, declared_kind)
    wishes = [wish for wish in wanted(facts, policy) if choose(wish)]
    if not facts.is_readable:
        return Outcome(facts)
    try:
        outcome = await _work(path, facts, policy, wishes, out_dir, is_last_try=is_last_try)
    except ToolFailed as error:
        log.info("prepare.unreadable", extra={"returncode": error.returncode})
        return _hopeless(facts, wishes, out_dir, error.code)
    except ToolMissing:
        if facts.kind != "document":
            raise
        return Outcome(facts, unmade=[Unmade(wish.kind, TOOL_MISSING) for wish in wishes])
    return _worth_keeping(outcome, path.stat().st_size)


async def _work(
    path: Path,
    facts: Facts,
    policy: MediaPolicy,
    wishes: Sequence[Wish],
    out_dir: Path,
    *,
    is_last_try: bool,
) -> Outcome:
    if facts.kind in ("audio", "video"):
        return await Player(path, facts, policy, out_dir).play(wishes, is_last_try=is_last_try)
    if facts.filetype.still:
        return await draw(path, facts, wishes, out_dir)
    if facts.filetype.drawn_by:
        return await leaf(path, facts, wishes, out_dir)
    return Outcome(facts)


def _hopeless(facts: Facts, wishes: Sequence[Wish], out_dir: Path, reason: str) -> Outcome:
    """Not one frame or sample came out."""
    for wish in wishes:
        (out_dir / wish.kind).unlink(missing_ok=True)
    broken = replace(facts, is_readable=False, is_damaged=True)
    return Outcome(broken, unmade=[Unmade(kind, reason) for kind in {wish.kind: None for wish in wishes}])


def _worth_keeping(outcome: Outcome, original_bytes: int) -> Outcome:
    kept: list[Made] = []
    unmade = list(outcome.unmade)
    for made in outcome.made:
        if made.wish.is_worth_keeping(made.size_bytes, original_bytes):
            kept.append(made)
        else:
            unmade.append(Unmade(made.kind, NOT_SMALLER, made.size_bytes))
            made.path.unlink()
    return Outcome(outcome.facts, kept, unmade)
