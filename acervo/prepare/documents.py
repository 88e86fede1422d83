"""Documents become pictures: pages of a PDF by the document worker (`pages.py`), an Office file by its own preview.

LibreOffice is not asked: it needs sockets, a home and /proc, and would lose against our isolation, or we ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from acervo.base.filetypes import Painter
from acervo.prepare import limits
from acervo.prepare.facts import Facts
from acervo.prepare.made import LOCKED, TOOL_FAILED, Outcome, Unmade
from acervo.prepare.pictures import ask_worker, outcome_of, outputs, preview
from acervo.prepare.wanted import Wish

WORKER: Final = Path(__file__).with_name("pages.py")
MOST_PAGES_TOLD: Final = 1_000_000


async def leaf(path: Path, facts: Facts, wishes: Sequence[Wish], out_dir: Path) -> Outcome:
    """Raises ToolFailed for a document that cannot be opened at all."""
    if facts.filetype.drawn_by == Painter.PREVIEW:
        return await preview(path, facts, wishes, out_dir)
    arguments = [str(path), str(out_dir), str(limits.MAX_PAGES), *outputs(wishes)]
    told, *answers = await ask_worker(WORKER, arguments, path, out_dir)
    if told.get("is_locked"):
        return Outcome(
            replace(facts, is_readable=False), unmade=[Unmade(wish.kind, LOCKED) for wish in wishes]
        )
    facts = replace(
        facts,
        page_count=min(told["page_count"], MOST_PAGES_TOLD),
        is_damaged=any(_is_trouble(answer) for answer in answers),
    )
    pictures = [answer for answer in answers if not answer.get("is_broken")]
    return outcome_of(pictures, facts, wishes, out_dir)


def _is_trouble(answer: dict[str, Any]) -> bool:
    return bool(answer.get("is_broken")) or answer.get("reason") == TOOL_FAILED
