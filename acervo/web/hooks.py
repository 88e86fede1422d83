"""Hooks: which addresses are told what happens here, made and changed by those who connect systems."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from django.contrib import messages
from django.db.models import Count, Max, Q, QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from acervo import journey
from acervo.base import ids
from acervo.base.errors import Refused
from acervo.base.sealed import SealedElsewhere
from acervo.govern import subscriptions as govern
from acervo.govern.subscriptions import LONGEST_NAME, LONGEST_URL, Wish
from acervo.models import Ability, Detail, EventKind, Member, Subscription, by_member
from acervo.web import hook_words, words
from acervo.web.authors import names_of
from acervo.web.event_log import log_of
from acervo.web.guards import MemberRequest, for_members, needs
from acervo.web.tags import number

SHOWN_ENDED: Final = 10
FIELDS: Final = {
    "hook_address": "url",
    "hook_address_private": "url",
    "hook_events": "events",
    "unknown_choice": "detail",
}
"""Where what is wrong is said."""


@dataclass(frozen=True, slots=True)
class Row:
    """A hook as the list shows it."""

    hook: Subscription
    status: words.Status
    reason: words.Words
    events: list[words.Words]
    who: words.Words
    address: str
    """Whole for those who may change it: it may open a door on the other side."""

    @property
    def slug(self) -> str:
        return ids.text(self.hook.pk)


@require_GET
@for_members
@needs(Ability.OPERATE)
def hooks(request: MemberRequest) -> HttpResponse:
    found = _with_counts(Subscription.objects.visible_to(request.user))
    return render(
        request,
        "hooks.html",
        {
            "hooks": _rows(request.user, found.filter(ended_at=None).order_by("name", "pk")),
            "ended": _rows(
                request.user, found.filter(ended_at__isnull=False).order_by("-ended_at")[:SHOWN_ENDED]
            ),
            "can_change": request.user.can(Ability.CONNECT),
        },
    )


@never_cache
@require_http_methods(["GET", "POST"])
@for_members
@needs(Ability.CONNECT)
def new(request: MemberRequest) -> HttpResponse:
    """Its secret is shown in the answer, once."""
    if request.method == "GET":
        return _form(request, _typed(None))
    typed = _sent(request)
    try:
        made, secret = govern.subscribe(request.user.workspace_id, _wish(typed), by_member(request.user))
    except Refused as error:
        return _form(request, typed, error=error)
    return _page(request, made.pk, secret=secret, is_new=True)


@require_GET
@for_members
@needs(Ability.OPERATE)
def hook(request: MemberRequest, subscription: UUID) -> HttpResponse:
    return _page(request, subscription)


@require_http_methods(["GET", "POST"])
@for_members
@needs(Ability.CONNECT)
def edit(request: MemberRequest, subscription: UUID) -> HttpResponse:
    row = _open(request.user, subscription)
    if request.method == "GET":
        return _form(request, _typed(row), row)
    typed = _sent(request)
    try:
        changed = govern.change(row, _wish(typed), by_member(request.user))
    except Refused as error:
        return _form(request, typed, row, error=error)
    messages.success(request, _("Saved.") if changed else _("Nothing was changed."))
    return redirect("hook", row.pk)


@require_POST
@for_members
@needs(Ability.CONNECT)
def pause(request: MemberRequest, subscription: UUID) -> HttpResponse:
    row = _open(request.user, subscription)
    govern.pause(row, by_member(request.user))
    messages.success(request, _("%(name)s is paused. What happens is kept for later.") % {"name": row.name})
    return redirect("hook", row.pk)


@require_POST
@for_members
@needs(Ability.CONNECT)
def resume(request: MemberRequest, subscription: UUID) -> HttpResponse:
    row = _open(request.user, subscription)
    drops = request.POST.get("waiting") == "drop"
    count = journey.resume_subscription(row, by_member(request.user), drops_waiting=drops)
    said = (
        ngettext(
            "It goes on. %(count)s event was let go.", "It goes on. %(count)s events were let go.", count
        )
        if drops
        else ngettext(
            "It goes on. %(count)s event that waited is told now.",
            "It goes on. %(count)s events that waited are told now.",
            count,
        )
    )
    messages.success(request, said % {"count": number(count)})
    return redirect("hook", row.pk)


@never_cache
@require_POST
@for_members
@needs(Ability.CONNECT)
def renew_secret(request: MemberRequest, subscription: UUID) -> HttpResponse:
    """Shown in the answer, once."""
    row = _open(request.user, subscription)
    try:
        secret = govern.renew_secret(row, by_member(request.user))
    except SealedElsewhere as error:
        messages.error(request, str(hook_words.trouble(error.code)))
        return redirect("hook", row.pk)
    return _page(request, row.pk, secret=secret)


@require_http_methods(["GET", "POST"])
@for_members
@needs(Ability.CONNECT)
def remove(request: MemberRequest, subscription: UUID) -> HttpResponse:
    row = _open(request.user, subscription)
    if request.method == "POST":
        govern.end(row, by_member(request.user))
        messages.success(request, _("%(name)s is told nothing any more.") % {"name": row.name})
        return redirect("hooks")
    waiting = row.deliveries.open().count()
    return render(request, "hook_remove.html", {"hook": row, "waiting": waiting})


@require_POST
@for_members
@needs(Ability.CONNECT)
def send_sample(request: MemberRequest, subscription: UUID) -> HttpResponse:
    row = _open(request.user, subscription)
    kind = request.POST.get("event", "")
    if row.paused_at:
        messages.error(request, _("It is paused. Resume it first, then send a sample."))
    elif kind not in EventKind.values:
        messages.error(request, str(words.refusal("unknown_choice")))
    else:
        journey.send_sample(row, kind, by_member(request.user))
        messages.success(request, _("The sample is on its way. What comes of it appears below."))
    return redirect("hook", row.pk)


@require_POST
@for_members
@needs(Ability.CONNECT)
def replay(request: MemberRequest, subscription: UUID) -> HttpResponse:
    """One event, or all that were not taken."""
    row = _open(request.user, subscription)
    asked = request.POST.get("event")
    try:
        chosen = [ids.parse(asked)] if asked else None
    except ValueError as error:
        raise Http404 from error
    count = journey.replay_events(row, chosen, by_member(request.user))
    said = ngettext("%(count)s event is told again.", "%(count)s events are told again.", count)
    messages.success(request, said % {"count": number(count)})
    return redirect("hook", row.pk)


# ── the pages ──


def _page(
    request: MemberRequest, subscription: UUID, *, secret: str = "", is_new: bool = False
) -> HttpResponse:
    found = _with_counts(Subscription.objects.visible_to(request.user))
    account: Any = get_object_or_404(found, pk=subscription)
    (row,) = _rows(request.user, [account])
    return render(
        request,
        "hook.html",
        {
            "row": row,
            "hook": account,
            "log": log_of(request.user, account, request.GET),
            "detail": hook_words.DETAILS[account.detail][0],
            "samples": [(kind, hook_words.EVENTS[kind][0]) for kind in account.events],
            "secret": secret,
            "is_new": is_new,
            "can_change": request.user.can(Ability.CONNECT) and account.ended_at is None,
        },
    )


def _form(
    request: MemberRequest,
    typed: dict[str, Any],
    row: Subscription | None = None,
    *,
    error: Refused | None = None,
) -> HttpResponse:
    code = str(error.code) if error else ""
    return render(
        request,
        "hook_edit.html",
        {
            "hook": row,
            "typed": typed,
            "errors": {FIELDS.get(code, "form"): words.refusal(code)} if code else {},
            "events": [(kind, *said) for kind, said in hook_words.EVENTS.items()],
            "details": [(kind, *said) for kind, said in hook_words.DETAILS.items()],
            "longest_url": LONGEST_URL,
            "longest_name": LONGEST_NAME,
        },
        status=422 if code else 200,
    )


def _typed(row: Subscription | None) -> dict[str, Any]:
    if row is None:
        return {"name": "", "url": "", "events": [str(EventKind.READY)], "detail": str(Detail.FACTS)}
    return {"name": row.name, "url": row.url, "events": row.events, "detail": row.detail}


def _sent(request: MemberRequest) -> dict[str, Any]:
    """As it was typed, without what pasting brings along."""
    return {
        "name": request.POST.get("name", "").strip()[:LONGEST_NAME],
        "url": request.POST.get("url", "").strip(),
        "events": request.POST.getlist("events"),
        "detail": request.POST.get("detail", ""),
    }


def _wish(typed: dict[str, Any]) -> Wish:
    return Wish(url=typed["url"], events=typed["events"], name=typed["name"], detail=typed["detail"])


def _open(member: Member, subscription: UUID) -> Subscription:
    """One that has not ended; Http404 for every other."""
    return get_object_or_404(Subscription.objects.visible_to(member).filter(ended_at=None), pk=subscription)


def _with_counts(found: QuerySet[Subscription]) -> QuerySet[Subscription]:
    is_open = Q(deliveries__delivered_at=None, deliveries__stopped_at=None)
    return found.annotate(
        waiting=Count("deliveries", filter=is_open),
        not_taken=Count(
            "deliveries", filter=Q(deliveries__delivered_at=None, deliveries__refusal__isnull=False)
        ),
        told_at=Max("deliveries__delivered_at"),
    )


def _rows(member: Member, found: Any) -> list[Row]:
    rows = list(found)
    authors = names_of(member, [row.created_by for row in rows])
    return [
        Row(
            hook=row,
            status=hook_words.STATES[row.state],
            reason=_reason(row),
            events=[hook_words.EVENTS[kind][0] for kind in row.events],
            who=authors[row.created_by],
            address=row.url if member.can(Ability.CONNECT) else f"{urlsplit(row.url).hostname}/…",
        )
        for row in rows
    ]


def _reason(row: Subscription) -> words.Words:
    if row.ended_at:
        return hook_words.ENDS.get(row.end_reason or "", "")
    return hook_words.pause_reason(row.pause_reason)
