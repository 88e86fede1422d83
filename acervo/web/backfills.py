"""Earlier files for one CRM: chosen, counted before anything starts, then watched, paused, ended; what became of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from urllib.parse import unquote_plus
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from acervo import journey
from acervo.base.errors import Refused
from acervo.deliver import backfill as backfilling
from acervo.deliver.backfill import BackfillOver, Pace, Report
from acervo.deliver.estimates import Estimate
from acervo.models import Ability, Backfill, Connection, Kind, Member, by_member
from acervo.organise import address
from acervo.organise.address import Asked
from acervo.web import words
from acervo.web.authors import names_of
from acervo.web.connections import row_of
from acervo.web.guards import MemberRequest, for_members, needs
from acervo.web.remakes import refusal_of
from acervo.web.tags import number, written_day

SHOWN: Final = 20
SINCE: Final = (
    ("30", gettext_lazy("The last 30 days")),
    ("90", gettext_lazy("The last 90 days")),
    ("365", gettext_lazy("The last year")),
    ("all", gettext_lazy("Everything that is kept")),
    ("day", gettext_lazy("Since a day")),
)
DAY: Final = "day"
USUAL: Final = "30"


class DayMissing(Refused):
    """Somebody said "since a day", and named none."""

    code = "day_missing"


@dataclass(frozen=True, slots=True)
class Reason:
    """Files of a run that share a reason, and where they are listed."""

    count: int
    text: words.Words
    address: str


@dataclass(frozen=True, slots=True)
class Row:
    """A run as the page shows it."""

    run: Backfill
    chosen: Sequence[words.Words]
    """Which files, in words; empty for all."""
    status: words.Status
    who: words.Words
    ended_by: words.Words
    """Who paused or ended it."""
    report: Report
    pace: Pace | None
    written_at: str
    """The address of what was written."""
    waiting: Sequence[Reason]
    trying: Sequence[Reason]

    @property
    def percent(self) -> int:
        if self.run.state == "finished":
            return 100
        return min(100 * self.report.done // max(self.run.total, 1), 100)


@require_http_methods(["GET", "POST"])
@for_members
@needs(Ability.OPERATE)
def backfill(request: MemberRequest, crm: UUID) -> HttpResponseBase:
    """The runs of one CRM, and a form for another one."""
    account = _crm(request.user, crm)
    if request.method == "POST":
        return _start(request, account)
    typed = _typed(request.GET) if request.GET else {"since": USUAL, "from": "", "kinds": [], "query": ""}
    return _page(request, account, typed)


@require_GET
@for_members
@needs(Ability.OPERATE)
def count(request: MemberRequest, crm: UUID) -> HttpResponse:
    """What it would be, while somebody chooses."""
    account = _crm(request.user, crm)
    looked = {"connection": account, **_looked_at(account, _typed(request.GET))}
    return render(request, "_backfill_estimate.html", looked)


@require_POST
@for_members
@needs(Ability.CONNECT)
def pause(request: MemberRequest, crm: UUID, run: UUID) -> HttpResponse:
    said = _("It pauses. What is in hand is still written; new files go on as always.")
    return _turn(request, crm, run, backfilling.pause, said)


@require_POST
@for_members
@needs(Ability.CONNECT)
def resume(request: MemberRequest, crm: UUID, run: UUID) -> HttpResponse:
    return _turn(request, crm, run, journey.resume_backfill, _("It goes on where it stood."))


@require_POST
@for_members
@needs(Ability.CONNECT)
def cancel(request: MemberRequest, crm: UUID, run: UUID) -> HttpResponse:
    said = _("It ends here. What was written stays in the CRM.")
    return _turn(request, crm, run, backfilling.cancel, said)


@needs(Ability.CONNECT)
def _start(request: MemberRequest, account: Connection) -> HttpResponse:
    typed = _typed(request.POST)
    try:
        run = journey.backfill(account, query=_query(typed), by=by_member(request.user))
    except Refused as refused:
        return _page(request, account, {**typed, "error": refusal_of(refused)}, status=422)
    said = ngettext(
        "%(count)s file is on its way to %(name)s.",
        "%(count)s files are on their way to %(name)s.",
        run.total,
    )
    messages.success(request, said % {"count": number(run.total), "name": account.name})
    return redirect("backfill", account.pk)


def _page(
    request: MemberRequest, account: Connection, typed: Mapping[str, Any], status: int = 200
) -> HttpResponse:
    found = rows(request.user, account)
    now = next((row for row in found if not row.run.is_over), None)
    can_change = request.user.can(Ability.CONNECT)
    return render(
        request,
        "backfill.html",
        {
            "connection": account,
            "row": now,
            "before": [row for row in found if row.run.is_over],
            "typed": typed,
            "since": SINCE,
            "kinds": [(kind, words.KINDS[kind]) for kind in Kind.values],
            "can_change": can_change,
            **({} if now or not can_change else _looked_at(account, typed)),
        },
        status=status,
    )


def rows(member: Member, account: Connection) -> list[Row]:
    """The newest runs."""
    runs = list(Backfill.objects.visible_to(member).filter(connection=account).order_by("-asked_at")[:SHOWN])
    turns = backfilling.turns(runs)
    names = names_of(member, [run.asked_by for run in runs] + [turn.by for turn in turns.values()])
    found = []
    for run in runs:
        turn, report = turns.get(run.pk), backfilling.report(run)
        is_halted = turn is not None and turn.action in ("backfill.paused", "backfill.cancelled")
        found.append(
            Row(
                run=run,
                chosen=_in_words(run.query),
                status=words.REMAKE_STATES[run.state],
                who=names[run.asked_by],
                ended_by=names[turn.by] if turn and is_halted else "",
                report=report,
                pace=backfilling.pace(run, turn),
                written_at=_listed(run, "delivered"),
                waiting=_reasons(run, report.waiting, "stopped"),
                trying=_reasons(run, report.trying, "waiting"),
            )
        )
    return found


def _in_words(query: str) -> list[words.Words]:
    """What the form can say; of an address that says more, the rest as it is."""
    asked = Asked.strictly(query)
    said = [words.KINDS[kind] for kind in asked.kinds]
    if asked.first:
        said.append(_("since %(day)s") % {"day": written_day(asked.first)})
    rest = address.within(query, **dict.fromkeys(("kind", "received", "from"), ()))
    return [*said, *([unquote_plus(rest)] if rest else [])]


def _reasons(run: Backfill, counts: Mapping[str, int], state: str) -> list[Reason]:
    by_count = sorted(counts.items(), key=lambda one: -one[1])
    return [Reason(count, words.crm_refusal(code), _listed(run, state)) for code, count in by_count]


def _listed(run: Backfill, state: str) -> str:
    """The library, showing the files of a run that are in this state."""
    return f"/library?{address.within(run.query, crm=state)}"


def _looked_at(account: Connection, typed: Mapping[str, Any]) -> dict[str, Any]:
    try:
        expected: Estimate = journey.look_at_backfill(account, _query(typed))
    except Refused as refused:
        return {"refused": refusal_of(refused)}
    return {"expected": expected}


def _typed(asked: Any) -> dict[str, Any]:
    since = asked.get("since", USUAL)
    return {
        "since": since if since in dict(SINCE) else USUAL,
        "from": str(asked.get("from", ""))[:10],
        "kinds": [kind for kind in Kind.values if kind in asked.getlist("kind")],
        "query": str(asked.get("query", "")).strip(),
    }


def _query(typed: Mapping[str, Any]) -> str:
    """What was chosen, in the words of the library's address. Raises DayMissing and UnknownWord."""
    narrower: dict[str, Sequence[str]] = {"kind": typed["kinds"]} if typed["kinds"] else {}
    if typed["since"] == DAY:
        if not typed["from"]:
            raise DayMissing()
        narrower |= {"received": [address.PERIOD], "from": [typed["from"]], "to": []}
    elif typed["since"].isdigit():
        first = timezone.localdate() - timedelta(days=int(typed["since"]))
        narrower |= {"received": [address.PERIOD], "from": [first.isoformat()], "to": []}
    return address.within(typed["query"], **narrower)


def _crm(member: Member, crm: UUID) -> Connection:
    row = row_of(member, crm)
    if not row.is_crm:
        raise Http404
    return row.connection


def _turn(
    request: MemberRequest,
    crm: UUID,
    run: UUID,
    turn: Callable[[Backfill, str], None],
    said: str,
) -> HttpResponse:
    account = _crm(request.user, crm)
    chosen = get_object_or_404(Backfill.objects.visible_to(request.user).filter(connection=account), pk=run)
    try:
        turn(chosen, by_member(request.user))
    except BackfillOver as refused:
        messages.error(request, str(words.refusal(refused.code)))
    else:
        messages.success(request, said)
    return redirect("backfill", account.pk)
