"""What the archive takes in the store, what copies add to it, and what they spare."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.core.cache import cache
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from acervo.base import ids
from acervo.models import Ability, Kind, Member
from acervo.organise import savings
from acervo.organise.savings import Figures, Line
from acervo.web import words
from acervo.web.cards import cards, with_facts
from acervo.web.guards import MemberRequest, for_members, needs

GOOD_FOR: Final = timedelta(minutes=5)
"""Counting reads every row; the page says when it was, and offers to count again."""
MOST_FAILED: Final = 20
BAR: Final = 1000
"""Units of width of the bar; a part that is there at all gets one of them."""
COLOURS: Final = ("audio", "video", "image", "doc", "sticker")


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of the bar, and its line in the legend."""

    label: words.Words
    size_bytes: int
    colour: str
    begin: int = 0
    width: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a table, in words."""

    label: words.Words
    line: Line
    reason: words.Words = ""


@require_GET
@for_members
@needs(Ability.OPERATE)
def storage(request: MemberRequest) -> HttpResponse:
    figures = _figures(request.user, is_fresh="again" in request.GET)
    return render(
        request,
        "settings_storage.html",
        {
            "figures": figures,
            "parts": _parts(figures),
            "originals": _entries(figures.originals, _kind),
            "compatible": _entries(figures.compatible, _copy),
            "smaller": _entries(figures.smaller, _copy),
            "previews": _entries(figures.previews, _copy),
            "thrown_away": _entries(figures.thrown_away, _copy),
            "failed": _entries(figures.failed, _copy),
            "failed_files": cards(with_facts(savings.without_a_copy(request.user))[:MOST_FAILED])
            if figures.failed
            else [],
            "can_change": request.user.can(Ability.CONFIGURE),
        },
    )


def _figures(member: Member, *, is_fresh: bool) -> Figures:
    key = f"acervo.storage.{ids.text(member.workspace_id)}.{ids.text(member.pk)}"
    known: Figures | None = None if is_fresh else cache.get(key)
    if known is None:
        known = savings.figures(member)
        cache.set(key, known, GOOD_FOR.total_seconds())
    return known


def _parts(figures: Figures) -> list[Part]:
    """The originals by family, then the copies: at most six stretches side by side."""
    families: dict[str, int] = {}
    for line in figures.originals:
        families[_family(line.kind)] = families.get(_family(line.kind), 0) + line.size_bytes
    labels = {
        "audio": _("Voice notes and audio"),
        "video": words.KINDS[Kind.VIDEO],
        "image": words.KINDS[Kind.IMAGE],
        "doc": words.KINDS[Kind.DOCUMENT],
        "sticker": words.KINDS[Kind.STICKER],
    }
    parts = [Part(labels[name], families[name], name) for name in COLOURS if families.get(name)]
    if figures.copy_bytes:
        parts.append(Part(_("Copies"), figures.copy_bytes, "copies"))
    return _laid_out(parts, figures.total_bytes)


def _laid_out(parts: Sequence[Part], total: int) -> list[Part]:
    found, begin = [], 0
    for part in parts:
        width = max(round(BAR * part.size_bytes / total), 1) if total else 0
        found.append(Part(part.label, part.size_bytes, part.colour, begin, width))
        begin += width
    return found


def _family(kind: str) -> str:
    if kind in (Kind.VOICE, Kind.AUDIO):
        return "audio"
    return {"document": "doc"}.get(kind, kind)


def _entries(lines: Sequence[Line], label: Callable[[str], words.Words]) -> list[Entry]:
    return [
        Entry(label(line.kind), line, words.UNMADE.get(line.reason, line.reason) if line.reason else "")
        for line in lines
    ]


def _kind(kind: str) -> words.Words:
    return words.KINDS.get(kind, kind)


def _copy(kind: str) -> words.Words:
    return words.RENDITIONS.get(kind, kind)
