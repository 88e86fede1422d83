"""Copies made anew over many files: asked for, watched, paused, ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from acervo import journey
from acervo.base.errors import Refused
from acervo.models import Ability, Member, Remake, RenditionKind, by_member
from acervo.organise import address
from acervo.organise.address import UnknownWord
from acervo.organise.search import COUNT_CEILING
from acervo.prepare import remake as remaking
from acervo.prepare.remake import Pace, RemakeOver
from acervo.web import words
from acervo.web.authors import names_of
from acervo.web.guards import MemberRequest, for_members, needs
from acervo.web.tags import number

SHOWN: Final = 20
GROUPS: Final = (
    ("mp3", gettext_lazy("MP3"), (RenditionKind.MP3,)),
    ("mp4", gettext_lazy("MP4"), (RenditionKind.MP4,)),
    ("pages", gettext_lazy("Pages of documents"), (RenditionKind.PAGE,)),
    (
        "previews",
        gettext_lazy("Previews: still pictures, thumbnails, moving pictures"),
        (
            RenditionKind.POSTER,
            RenditionKind.THUMB_96,
            RenditionKind.THUMB_320,
            RenditionKind.THUMB_640,
            RenditionKind.ANIMATED,
        ),
    ),
)  # fmt: skip
"""As people choose them; none chosen means whatever the settings want."""


@dataclass(frozen=True, slots=True)
class Row:
    """A run as the page shows it."""

    run: Remake
    status: words.Status
    who: words.Words
    kinds: Sequence[words.Words]
    ended_by: words.Words
    """Who paused or cancelled it."""
    trouble: words.Words
    """Why it paused by itself."""
    pace: Pace | None

    @property
    def percent(self) -> int:
        if self.run.state == "finished":
            return 100
        return min(100 * self.run.done // max(self.run.total, 1), 100)

    @property
    def spared_bytes(self) -> int:
        return max(self.run.bytes_before - self.run.bytes_after, 0)

    @property
    def grown_bytes(self) -> int:
        return max(self.run.bytes_after - self.run.bytes_before, 0)


@require_http_methods(["GET", "POST"])
@for_members
@needs(Ability.OPERATE)
def remakes(request: MemberRequest) -> HttpResponseBase:
    """The runs, and a form for another one."""
    if request.method == "POST":
        return _start(request)
    return _page(request, {"query": request.GET.get("query", ""), "reason": "", "groups": []})


@require_GET
@for_members
@needs(Ability.OPERATE)
def count(request: MemberRequest) -> HttpResponse:
    """How many files a query means, while somebody types it."""
    return render(request, "_remake_count.html", _counted(request.user, _query(request.GET)))


@require_POST
@for_members
@needs(Ability.CONFIGURE)
def pause(request: MemberRequest, run: UUID) -> HttpResponse:
    return _turn(request, run, remaking.pause, _("It pauses after the file in hand."))


@require_POST
@for_members
@needs(Ability.CONFIGURE)
def resume(request: MemberRequest, run: UUID) -> HttpResponse:
    return _turn(request, run, journey.resume_remake, _("It goes on where it stood."))


@require_POST
@for_members
@needs(Ability.CONFIGURE)
def cancel(request: MemberRequest, run: UUID) -> HttpResponse:
    return _turn(
        request, run, remaking.cancel, _("It ends after the file in hand. What was made anew stays.")
    )


@needs(Ability.CONFIGURE)
def _start(request: MemberRequest) -> HttpResponse:
    query, reason = _query(request.POST), request.POST.get("reason", "")
    groups = [name for name, _words, _kinds in GROUPS if name in request.POST.getlist("copies")]
    kinds = [kind.value for name, _words, kinds in GROUPS for kind in kinds if name in groups]
    try:
        run = journey.remake_files(
            request.user.workspace_id, query=query, kinds=kinds, reason=reason, by=by_member(request.user)
        )
    except Refused as refused:
        typed = {"query": query, "reason": reason, "groups": groups, "error": refusal_of(refused)}
        return _page(request, typed, status=422)
    said = ngettext(
        "The copies of %(count)s file are being made anew.",
        "The copies of %(count)s files are being made anew.",
        run.total,
    )
    messages.success(request, said % {"count": number(run.total)})
    return redirect("settings_remakes")


def _page(request: MemberRequest, typed: dict[str, Any], status: int = 200) -> HttpResponse:
    found = rows(request.user)
    return render(
        request,
        "settings_remakes.html",
        {
            "typed": typed,
            "groups": [(name, label) for name, label, _kinds in GROUPS],
            "counted": _counted(request.user, typed["query"]),
            "now": [row for row in found if not row.run.is_over],
            "before": [row for row in found if row.run.is_over],
            "can_change": request.user.can(Ability.CONFIGURE),
        },
        status=status,
    )


def rows(member: Member) -> list[Row]:
    """The newest runs, in three queries."""
    runs = list(Remake.objects.visible_to(member).order_by("-asked_at")[:SHOWN])
    turns = remaking.turns(runs)
    names = names_of(member, [run.asked_by for run in runs] + [turn.by for turn in turns.values()])
    found = []
    for run in runs:
        turn = turns.get(run.pk)
        is_halted = turn is not None and turn.action in ("remake.paused", "remake.cancelled")
        found.append(
            Row(
                run=run,
                status=words.REMAKE_STATES[run.state],
                who=names[run.asked_by],
                kinds=_kinds(run.kinds),
                ended_by=names[turn.by] if turn and is_halted else "",
                trouble=words.refusal(turn.reason) if turn and run.state == "paused" and turn.reason else "",
                pace=remaking.pace(run, turn),
            )
        )
    return found


def _kinds(kinds: Sequence[str]) -> list[words.Words]:
    """In the words of the form; a kind that only the command line chooses alone, in its own."""
    left = set(kinds)
    said: list[words.Words] = []
    for _name, label, its in GROUPS:
        if left.issuperset(its):
            said.append(label)
            left -= set(its)
    return said + [words.RENDITIONS.get(kind, kind) for kind in sorted(left)]


def _counted(member: Member, query: str) -> dict[str, Any]:
    try:
        files = remaking.files_of(member.workspace_id, query, address.found_in)
        return {"count": files.order_by().values("pk")[: COUNT_CEILING + 1].count()}
    except UnknownWord as refused:
        return {"error": refusal_of(refused)}


def _query(asked: Any) -> str:
    return str(asked.get("query", "")).strip()


def refusal_of(refused: Refused) -> words.Words:
    if isinstance(refused, UnknownWord):
        said = _(
            "The library's address has no word “%(word)s”. Filter the library, then copy its address as it is."
        )
        return said % {"word": refused.word}
    return words.refusal(refused.code)


def _turn(request: MemberRequest, run: UUID, turn: Callable[[Remake, str], None], said: str) -> HttpResponse:
    chosen = get_object_or_404(Remake.objects.visible_to(request.user), pk=run)
    try:
        turn(chosen, by_member(request.user))
    except RemakeOver as refused:
        messages.error(request, str(words.refusal(refused.code)))
    else:
        messages.success(request, said)
    return redirect("settings_remakes")
