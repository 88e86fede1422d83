"""Files that are not in a CRM because only a person can go on: why, what to do, and trying them again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.contrib import messages
from django.db.models import Count, QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import urlencode
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from acervo import journey
from acervo.base import ids
from acervo.deliver.refusals import LEFT_OUT
from acervo.models import Ability, Connection, Delivery, MediaFile, Member, by_member
from acervo.web import words
from acervo.web.cards import Card, card, delivery_state, with_facts
from acervo.web.guards import MemberRequest, for_members, needs, visible_crm
from acervo.web.tags import number

PAGE_SIZE: Final = 50
MOST_AT_ONCE: Final = 1000
"""Tried again by one press; the page says what is left."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why files stopped, and how many did for it."""

    code: str
    words: words.Words
    files: int
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Row:
    delivery: Delivery
    card: Card
    state: str
    why: words.Words
    what_to_do: words.Words
    vendor_code: str


@require_GET
@for_members
@needs(Ability.OPERATE)
def undelivered(request: MemberRequest, connection: UUID) -> HttpResponse:
    account = visible_crm(request.user, connection)
    stopped = _stopped(request.user, account)
    chosen = request.GET.get("why", "")
    reasons = _reasons(stopped, chosen)
    listed = stopped.filter(refusal=chosen) if chosen else stopped
    rows, after = _page(request.user, listed, request.GET.get("after", ""))
    return render(
        request,
        "undelivered.html",
        {
            "connection": account,
            "reasons": reasons,
            "chosen": chosen,
            "total": sum(reason.files for reason in reasons),
            "rows": rows,
            "can_retry": request.user.can(Ability.RETRY) and chosen != LEFT_OUT,
            "more": "?" + urlencode({"why": chosen, "after": after}) if after else "",
        },
    )


@require_POST
@for_members
@needs(Ability.OPERATE)
@needs(Ability.RETRY)
def retry(request: MemberRequest, connection: UUID) -> HttpResponse:
    """Those that were ticked, or all that stopped for one reason, or all."""
    account = visible_crm(request.user, connection)
    chosen, ticked = request.POST.get("why", ""), request.POST.getlist("delivery")
    stopped = _stopped(request.user, account)
    if ticked:
        stopped = stopped.filter(pk__in=list(_ids(ticked)))
    elif chosen:
        stopped = stopped.filter(refusal=chosen)
    pks = list(stopped.exclude(refusal=LEFT_OUT).order_by("pk").values_list("pk", flat=True)[:MOST_AT_ONCE])
    count = journey.retry_stopped(
        Delivery.objects.visible_to(request.user).filter(pk__in=pks), by_member(request.user)
    )
    said = ngettext("%(count)s file is tried again now.", "%(count)s files are tried again now.", count)
    messages.success(request, said % {"count": number(count)})
    page = redirect("undelivered", account.pk)
    if chosen:
        page["Location"] += "?" + urlencode({"why": chosen})
    return page


def _stopped(member: Member, account: Connection) -> QuerySet[Delivery]:
    return Delivery.objects.visible_to(member).stopped().filter(connection=account)


def _reasons(stopped: QuerySet[Delivery], chosen: str) -> list[Reason]:
    counted = stopped.order_by().values_list("refusal").annotate(files=Count("pk")).order_by("-files")
    return [
        Reason(code or "", words.crm_refusal(code), files, is_chosen=code == chosen)
        for code, files in counted
    ]


def _page(member: Member, listed: QuerySet[Delivery], after: str) -> tuple[Sequence[Row], str]:
    """By id, which sorts by the time of the promise: the newest first."""
    if last := _ids([after]):
        listed = listed.filter(pk__lt=last[0])
    found = list(listed.order_by("-pk")[: PAGE_SIZE + 1])
    shown = found[:PAGE_SIZE]
    files = {
        media.pk: card(media)
        for media in with_facts(MediaFile.objects.visible_to(member)).filter(
            pk__in=[row.media_id for row in shown]
        )
    }
    rows = [
        Row(
            row,
            files[row.media_id],
            delivery_state(row),
            words.crm_refusal(row.refusal),
            words.WHAT_TO_DO.get(row.refusal or "", words.WHAT_TO_DO["conflict"]),
            str(row.refusal_facts.get("vendor_code") or ""),
        )
        for row in shown
        if row.media_id in files
    ]
    return rows, ids.text(shown[-1].pk) if len(found) > PAGE_SIZE else ""


def _ids(values: Sequence[str]) -> Sequence[UUID]:
    found = []
    for value in values:
        try:
            found.append(ids.parse(value))
        except ValueError:
            continue
    return found
