"""People whom a CRM could not tell apart: who waits, the contacts side by side, the answer, and taking it back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from asgiref.sync import async_to_sync
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from acervo import journey
from acervo.base import ids
from acervo.base.errors import Refused
from acervo.crms.contract import CrmError
from acervo.deliver import undecided
from acervo.deliver.candidates import Candidate
from acervo.deliver.review import Choice
from acervo.deliver.undecided import DecidedMeanwhile, Waiting
from acervo.models import (
    Ability,
    Connection,
    ContactDecision,
    Delivery,
    MediaFile,
    Member,
    Person,
    Verdict,
    by_member,
)
from acervo.web import words
from acervo.web.authors import names_of
from acervo.web.cards import Card, card, with_facts
from acervo.web.guards import MemberRequest, for_members, needs
from acervo.web.tags import number

SHOWN: Final = 100
FILES_SHOWN: Final = 3
ANSWERS: Final = {"new": Verdict.NEW, "left_out": Verdict.LEFT_OUT}
OTHER: Final = "record:"
"""How an answer begins that names a contact."""


@dataclass(frozen=True, slots=True)
class Row:
    """Somebody who waits, as the list shows them."""

    waiting: Waiting
    name: str
    crm: str
    kind: str

    @property
    def address(self) -> str:
        return f"/review/{ids.text(self.waiting.connection_id)}/{ids.text(self.waiting.person_id)}"


@dataclass(frozen=True, slots=True)
class Typed:
    """What somebody has filled in so far."""

    answer: str = ""
    reason: str = ""
    besides: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """The candidates, or why there are none to see."""

    candidates: Sequence[Candidate] = ()
    gone: int = 0
    trouble: words.Words = ""


@dataclass(frozen=True, slots=True)
class Past:
    """A decision that was made."""

    decision: ContactDecision
    verdict: words.Words
    who: words.Words
    undone_by: words.Words

    @property
    def is_standing(self) -> bool:
        return self.decision.undone_at is None


@require_GET
@for_members
@needs(Ability.RETRY)
def review(request: MemberRequest) -> HttpResponse:
    """Whoever waits longest, and the list of all."""
    rows = _rows(request.user)
    if not rows:
        return render(request, "review_empty.html", {"past": _past(request.user)[:1]})
    return _page(request, rows, rows[0], Typed())


@require_GET
@for_members
@needs(Ability.RETRY)
def person(request: MemberRequest, connection: UUID, person: UUID) -> HttpResponse:
    _visible(request.user, connection, person)
    rows = _rows(request.user)
    chosen = _row_of(rows, connection, person)
    if chosen is None:
        _tell_who_decided(request, connection, person)
        return redirect("review")
    typed = Typed(besides=request.GET.get("besides", "")[:500])
    return _page(request, rows, chosen, typed, is_looking="look" in request.GET)


@require_GET
@for_members
@needs(Ability.RETRY)
def candidates(request: MemberRequest, connection: UUID, person: UUID) -> HttpResponse:
    """What the CRM says at this moment; the page asks for it once it is shown."""
    _visible(request.user, connection, person)
    shown = _look(connection, person, Typed())
    return render(request, "_candidates.html", {"shown": shown, "typed": Typed()})


@require_POST
@for_members
@needs(Ability.RETRY)
def decide(request: MemberRequest, connection: UUID, person: UUID) -> HttpResponse:
    account = _visible(request.user, connection, person)
    typed = Typed(request.POST.get("answer", ""), request.POST.get("reason", ""))
    verdict = Verdict.CHOSEN if typed.answer.startswith(OTHER) else ANSWERS.get(typed.answer)
    if verdict is None:
        return _again(request, connection, person, typed, _("Choose one of the answers first."))
    choice = Choice(connection, person, verdict, typed.answer.removeprefix(OTHER), typed.reason)
    try:
        decision = async_to_sync(journey.decide_contact)(choice, by_member(request.user))
    except DecidedMeanwhile:
        _tell_who_decided(request, connection, person)
        return redirect("review")
    except Refused as refused:
        return _again(request, connection, person, typed, words.refusal(refused.code))
    except CrmError as error:
        return _again(request, connection, person, typed, words.crm_refusal(str(error.kind)))
    messages.success(request, words.VERDICT_DONE[decision.verdict] % {"name": account.name})
    return redirect("review")


@require_GET
@for_members
@needs(Ability.RETRY)
def decided(request: MemberRequest) -> HttpResponse:
    """What was decided, the newest first, with a way back."""
    return render(
        request, "review_decided.html", {"past": _past(request.user), "waiting": len(_rows(request.user))}
    )


@require_POST
@for_members
@needs(Ability.RETRY)
def undo(request: MemberRequest, decision: UUID) -> HttpResponse:
    row = get_object_or_404(ContactDecision.objects.visible_to(request.user), pk=decision)
    try:
        journey.undo_decision(row, by_member(request.user))
    except Refused as refused:
        messages.error(request, str(words.refusal(refused.code)))
        return redirect("review_decided")
    messages.success(request, _("Taken back. This contact waits for an answer again."))
    return redirect("review")


def _page(
    request: MemberRequest,
    rows: Sequence[Row],
    chosen: Row,
    typed: Typed,
    *,
    error: words.Words = "",
    is_looking: bool = False,
) -> HttpResponse:
    place = rows.index(chosen)
    waiting = chosen.waiting
    somebody = Person.objects.visible_to(request.user).get(pk=waiting.person_id)
    is_looking = is_looking or bool(error) or bool(typed.besides)
    files = MediaFile.objects.visible_to(request.user).filter(
        deliveries__connection=waiting.connection_id, person=somebody
    )
    return render(
        request,
        "review.html",
        {
            "rows": rows[:SHOWN],
            "total": len(rows),
            "position": place + 1,
            "chosen": chosen,
            "person": somebody,
            "phones": list(somebody.identifiers.filter(kind="phone").values_list("value", flat=True)),
            "files": _cards(files),
            "is_detached": _is_detached(request.user, waiting),
            "next": rows[(place + 1) % len(rows)] if len(rows) > 1 else None,
            "previous": rows[place - 1] if len(rows) > 1 else None,
            "shown": _look(waiting.connection_id, waiting.person_id, typed) if is_looking else None,
            "typed": typed,
            "error": error,
            "said_files": ngettext("%(count)s file waits", "%(count)s files wait", waiting.files)
            % {"count": number(waiting.files)},
        },
        status=422 if error else 200,
    )


def _again(
    request: MemberRequest, connection: UUID, person: UUID, typed: Typed, error: words.Words
) -> HttpResponse:
    rows = _rows(request.user)
    chosen = _row_of(rows, connection, person)
    if chosen is None:
        _tell_who_decided(request, connection, person)
        return redirect("review")
    return _page(request, rows, chosen, typed, error=error)


def _look(connection: UUID, person: UUID, typed: Typed) -> Shown:
    """A CRM that does not answer is said; whom to choose can still be pasted."""
    try:
        found = async_to_sync(journey.look_at_candidates)(connection, person, typed.besides)
    except CrmError as error:
        return Shown(trouble=words.crm_refusal(str(error.kind)))
    except Refused as refused:
        return Shown(trouble=words.refusal(refused.code))
    return Shown(found.candidates, found.gone)


def _cards(files: Any) -> list[Card]:
    return [card(media) for media in with_facts(files).order_by("-received_at")[:FILES_SHOWN]]


def _rows(member: Member) -> list[Row]:
    found = undecided.waiting(Delivery.objects.visible_to(member))
    people = Person.objects.visible_to(member).in_bulk([one.person_id for one in found])
    crms = Connection.objects.visible_to(member).in_bulk({one.connection_id for one in found})
    return [
        Row(
            one,
            people[one.person_id].name or _("Unnamed contact"),
            crms[one.connection_id].name,
            crms[one.connection_id].kind,
        )
        for one in found
        if one.person_id in people and one.connection_id in crms
    ]


def _row_of(rows: Sequence[Row], connection: UUID, person: UUID) -> Row | None:
    asked = (connection, person)
    return next((row for row in rows if (row.waiting.connection_id, row.waiting.person_id) == asked), None)


def _visible(member: Member, connection: UUID, person: UUID) -> Connection:
    if not Person.objects.visible_to(member).filter(pk=person).exists():
        raise Http404
    return get_object_or_404(Connection.objects.visible_to(member).crms(), pk=connection)


def _is_detached(member: Member, waiting: Waiting) -> bool:
    theirs = Delivery.objects.visible_to(member).filter(
        connection=waiting.connection_id, media__person=waiting.person_id, refusal="detached"
    )
    return theirs.exists()


def _tell_who_decided(request: MemberRequest, connection: UUID, person: UUID) -> None:
    """The second of two who decide at once learns who was first."""
    made = ContactDecision.objects.visible_to(request.user).standing().filter(connection=connection)
    decision = made.filter(person=person).first()
    if decision is None:
        messages.info(request, _("Nobody has to be told apart here any more."))
        return
    said = {"who": names_of(request.user, [decision.decided_by])[decision.decided_by]}
    said["what"] = words.VERDICTS[decision.verdict]
    messages.info(request, _("%(who)s decided this a moment ago: %(what)s.") % said)


def _past(member: Member) -> list[Past]:
    made = ContactDecision.objects.visible_to(member).select_related("person", "connection")
    rows = list(made.order_by("-decided_at")[:SHOWN])
    names = names_of(member, [who for row in rows for who in (row.decided_by, row.undone_by) if who])
    return [
        Past(
            row,
            words.VERDICTS[row.verdict],
            names[row.decided_by],
            names.get(row.undone_by or "", ""),
        )
        for row in rows
    ]
