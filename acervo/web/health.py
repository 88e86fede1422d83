"""Is everything arriving? One sentence first, then where each file stands and why the others wait."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.db.models import Count, Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import ngettext, pgettext_lazy
from django.views.decorators.http import require_GET, require_POST

from acervo import journey
from acervo.base import clock, ids
from acervo.models import Ability, Delivery, MediaFile, Member, Receipt, by_member
from acervo.models.media import TAKEN_BACK
from acervo.prepare import isolation
from acervo.web import hook_words, words
from acervo.web.cards import cards, with_facts
from acervo.web.connection_page import Ticks, ticks_of
from acervo.web.connections import Row, rows
from acervo.web.custody import scanner_state
from acervo.web.guards import MemberRequest, for_members, needs
from acervo.web.verdicts import pill_of, scanner_verdict, verdict, worries_of

SHOWN: Final = 20
NOT_QUARANTINED: Final = Q(infection=None) | Q(released_at__isnull=False)


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of the way of a file, over the last 24 hours; what waits and what failed, whenever it came."""

    label: words.Words
    icon: str
    done: int
    waiting: int
    failed: int
    address: str = ""


@dataclass(frozen=True, slots=True)
class Reason:
    sentence: words.Words
    count: int
    is_crm: bool


@dataclass(frozen=True, slots=True)
class Beat:
    """A connection and its last day."""

    row: Row
    ticks: Ticks
    status: words.Status


@require_GET
@for_members
@needs(Ability.OPERATE)
def health(request: MemberRequest) -> HttpResponse:
    member = request.user
    accounts = rows(member)
    connected = [row.connection for row in accounts]
    ticks = ticks_of(member, connected)
    worries = worries_of(member, connected)
    about_hooks = list(hook_words.worries(member))
    stages = _stages(member)
    received, captured, _, in_crm = stages
    receipts = list(_unread(member)[:SHOWN])
    visible = MediaFile.objects.visible_to(member)
    lost = visible.lost().order_by("-gone_at")
    scanner = scanner_state()
    held = visible.awaiting_scan()
    quarantined = visible.quarantined().order_by("-scanned_at")
    hidden = cards(with_facts(visible.hidden().order_by("-hidden_at"))[:SHOWN])
    return render(
        request,
        "health.html",
        {
            "verdict": scanner_verdict(scanner, held)
            or verdict(
                member,
                accounts,
                worries,
                stopped=in_crm.failed,
                lost=captured.failed,
                unread=received.failed,
                others=about_hooks,
            ),
            "stages": stages,
            "reasons": _reasons(member),
            "accounts": [Beat(row, ticks[row.connection.pk], pill_of(row, worries)) for row in accounts],
            "worries": [*(worry.told for worry in worries), *about_hooks],
            "receipts": receipts,
            "lost": cards(with_facts(lost)[:SHOWN]),
            "quarantined": cards(with_facts(quarantined)[:SHOWN]),
            "held": cards(with_facts(held.order_by("held_at"))[:SHOWN]),
            "hidden_total": len(hidden) if len(hidden) < SHOWN else visible.hidden().count(),
            "hidden": hidden,
            "scanner": scanner,
            "isolation": isolation.active(),
            "checked_at": clock.now(),
            "can_replay": member.can(Ability.RETRY),
        },
    )


@require_POST
@for_members
@needs(Ability.OPERATE)
@needs(Ability.RETRY)
def replay(request: MemberRequest) -> HttpResponse:
    """Read receipts again: those named, or every one that was not understood."""
    asked = _ids(request.POST.getlist("receipt"))
    found = Receipt.objects.visible_to(request.user).unread()
    chosen = list((found.filter(pk__in=asked) if asked else found).values_list("pk", flat=True))
    journey.replay_receipts(chosen, by=by_member(request.user))
    said = ngettext(
        "%(count)s receipt is being read again.", "%(count)s receipts are being read again.", len(chosen)
    )
    messages.success(request, said % {"count": len(chosen)})
    return redirect("health")


def _stages(member: Member) -> list[Stage]:
    """The whole way in three queries: files, deliveries, receipts."""
    day_ago = clock.now() - timedelta(days=1)
    files = MediaFile.objects.visible_to(member).aggregate(
        received=Count("pk", filter=Q(received_at__gte=day_ago)),
        kept=Count("pk", filter=Q(stored_at__gte=day_ago)),
        awaited=Count("pk", filter=Q(stored_at=None, gone_at=None)),
        lost=Count("pk", filter=Q(gone_at__gte=day_ago) & ~Q(refusal=TAKEN_BACK)),
        prepared=Count("pk", filter=Q(prepared_at__gte=day_ago)),
        unprepared=Count("pk", filter=Q(stored_at__isnull=False, prepared_at=None) & NOT_QUARANTINED),
    )
    promised = Delivery.objects.visible_to(member).aggregate(
        delivered=Count("pk", filter=Q(delivered_at__gte=day_ago)),
        waiting=Count("pk", filter=Q(delivered_at=None, stopped_at=None)),
        stopped=Count("pk", filter=Q(stopped_at__isnull=False)),
    )
    receipts = Receipt.objects.visible_to(member).aggregate(
        waiting=Count("pk", filter=Q(read_at=None)),
        unread=Count("pk", filter=Q(read_at__isnull=False) & ~Q(unread=[])),
    )
    return [
        Stage(
            pgettext_lazy("stage", "Received"),
            "webhook",
            files["received"],
            receipts["waiting"],
            receipts["unread"],
            "#receipts",
        ),
        Stage(
            pgettext_lazy("stage", "Captured"),
            "cloud-download",
            files["kept"],
            files["awaited"],
            files["lost"],
            "/library?capture=waiting",
        ),
        Stage(pgettext_lazy("stage", "Prepared"), "scan-search", files["prepared"], files["unprepared"], 0),
        Stage(
            pgettext_lazy("stage", "In the CRM"),
            "link-2",
            promised["delivered"],
            promised["waiting"],
            promised["stopped"],
            "/library?crm=stopped",
        ),
    ]


def _reasons(member: Member) -> list[Reason]:
    """Why files and deliveries wait, the most frequent first."""
    visible = MediaFile.objects.visible_to(member)
    waiting = (visible.awaited() | visible.awaiting_scan()).exclude(refusal=None)
    stopped = Delivery.objects.visible_to(member).filter(delivered_at=None).exclude(refusal=None)
    found = [Reason(words.refusal(code), n, is_crm=False) for code, n in _by_refusal(waiting)]
    found += [Reason(words.crm_refusal(code), n, is_crm=True) for code, n in _by_refusal(stopped)]
    return sorted(found, key=lambda reason: -reason.count)


def _by_refusal(found: QuerySet[Any]) -> Iterable[tuple[str, int]]:
    counted = found.order_by().values_list("refusal").annotate(n=Count("pk"))
    return list(counted)


def _unread(member: Member) -> QuerySet[Receipt]:
    found = Receipt.objects.visible_to(member).unread().select_related("connection")
    return found.defer("body", "headers").order_by("-id")


def _ids(values: Iterable[str]) -> list[UUID]:
    found: list[UUID] = []
    for value in values:
        try:
            found.append(ids.parse(value))
        except ValueError:
            continue
    return found
