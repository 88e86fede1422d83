"""Is everything arriving? One sentence first, then where each file stands and why the others wait."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.db.models import Count, Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext_lazy
from django.views.decorators.http import require_GET, require_POST

from acervo import journey
from acervo.base import clock, ids
from acervo.models import Ability, Delivery, MediaFile, Member, Receipt, by_member
from acervo.models.media import TAKEN_BACK
from acervo.prepare import isolation
from acervo.web import words
from acervo.web.cards import cards, with_facts
from acervo.web.connections import Row, rows
from acervo.web.custody import ScannerState, scanner_state
from acervo.web.guards import MemberRequest, for_members, needs

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
class Verdict:
    """The sentence on top, and the one button that helps."""

    title: str
    text: str
    tone: str
    action: str = ""
    action_label: str = ""


@require_GET
@for_members
@needs(Ability.OPERATE)
def health(request: MemberRequest) -> HttpResponse:
    member = request.user
    accounts = rows(member)
    stages = _stages(member)
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
            "verdict": _scanner_verdict(scanner, held) or _verdict(member, accounts, stages),
            "stages": stages,
            "reasons": _reasons(member),
            "accounts": accounts,
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


def _verdict(member: Member, accounts: Sequence[Row], stages: Sequence[Stage]) -> Verdict:
    """The worst first: a paused account, what stopped for a person, what was lost today, what is not understood."""
    received, captured, _prepared, in_crm = stages
    can_connect = member.can(Ability.CONNECT)
    for row in accounts:
        if row.connection.paused_at:
            return _paused(row, can_connect=can_connect)
    if in_crm.failed:
        title = ngettext(
            "%(count)s file did not reach the CRM", "%(count)s files did not reach the CRM", in_crm.failed
        )
        text = _("They are kept here. Open them to see why; most need one choice or one permission.")
        return Verdict(title % {"count": in_crm.failed}, text, "warn", "/library?crm=stopped", _("See them"))
    if captured.failed:
        title = ngettext(
            "%(count)s file was lost in the last 24 hours",
            "%(count)s files were lost in the last 24 hours",
            captured.failed,
        )
        text = _("WhatsApp did not give them out in time. Each says why, and can be tried once more.")
        return Verdict(
            title % {"count": captured.failed}, text, "bad", "/library?capture=lost", _("See them")
        )
    if received.failed:
        title = ngettext(
            "%(count)s receipt was not understood", "%(count)s receipts were not understood", received.failed
        )
        text = _("Nothing is lost: each is kept whole and can be read again after an update.")
        return Verdict(title % {"count": received.failed}, text, "warn", "#receipts", _("See them"))
    if not accounts:
        title, text = (
            _("No number is connected yet"),
            _("Connect a WhatsApp number, and its files appear here by themselves."),
        )
        return Verdict(title, text, "info", "/integrations", _("Integrations"))
    return Verdict(_("Everything works"), _("Files arrive, are kept and reach the CRM by themselves."), "")


def _scanner_verdict(scanner: ScannerState, held: QuerySet[MediaFile]) -> Verdict | None:
    """While nothing can be checked, nobody has what arrives: that comes first."""
    if scanner.engine is not None or not (waiting := held.count()):
        return None
    title = (
        _("The malware scanner does not answer")
        if scanner.is_set
        else _("The malware scanner is switched off")
    )
    text = ngettext(
        "%(count)s file is kept and held for it; nobody can open it until then.",
        "%(count)s files are kept and held for it; nobody can open them until then.",
        waiting,
    )
    return Verdict(title, text % {"count": waiting}, "bad", "#scanner", _("See them"))


def _paused(row: Row, *, can_connect: bool) -> Verdict:
    title = _("%(name)s is paused") % {"name": row.connection.name}
    waiting = ngettext(
        "%(count)s file waits and goes on by itself once it is reconnected.",
        "%(count)s files wait and go on by themselves once it is reconnected.",
        row.waiting,
    ) % {"count": row.waiting}
    text = f"{row.reason} {waiting}" if row.waiting else str(row.reason)
    is_by_hand = row.connection.pause_reason == "by_hand"
    address = "/integrations" if is_by_hand else f"/integrations/{row.slug}/reconnect"
    label = _("Integrations") if is_by_hand else _("Reconnect %(name)s") % {"name": row.connection.name}
    return Verdict(title, text, "bad", address, label) if can_connect else Verdict(title, text, "bad")


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
