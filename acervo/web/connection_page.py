"""One connection: is it well, what came and when, what its vendor says of it, and whether webhooks find their way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from acervo import journey, providers
from acervo.base import clock, ids
from acervo.fetch.breaker import recent_failures
from acervo.govern import concerns, probes
from acervo.models import Ability, AccountEvent, Connection, Delivery, Member, Probe, Receipt, by_member
from acervo.receive import reported, silence
from acervo.web import health_words, words
from acervo.web.authors import names_of
from acervo.web.concern_words import said
from acervo.web.connections import row_of, status_of
from acervo.web.embeds import has_panel
from acervo.web.guards import MemberRequest, for_members, needs

SHOWN: Final = 20
ASKED_LIVES: Final = timedelta(seconds=60)
"""How long the page waits for an answer it was told is coming."""
HEARD, SILENT = ("8", "14", ""), ("16", "6", "n")
"""Where a tick begins, how tall it is, and its class: told apart by height as well as by colour."""


@dataclass(frozen=True, slots=True)
class Tick:
    x: str
    y: str
    height: str
    tone: str


@dataclass(frozen=True, slots=True)
class Ticks:
    """The last day in half hours."""

    bars: Sequence[Tick]
    label: str
    """The same for whoever does not see it."""


@dataclass(frozen=True, slots=True)
class Quota:
    """How much of an allowance is spent."""

    label: words.Words
    used: int
    most: int
    note: words.Words = ""

    @property
    def width(self) -> str:
        return f"{min(100 * self.used / self.most, 100):.1f}%" if self.most else "0%"

    @property
    def tone(self) -> str:
        return "bad" if self.used >= self.most else ("warn" if self.used >= 0.8 * self.most else "ok")


@dataclass(frozen=True, slots=True)
class Report:
    """An account event in words."""

    event: AccountEvent
    sentence: words.Words
    status: words.Status
    facts: Sequence[tuple[str, words.Words, Any]]
    seen_by: words.Words


@require_GET
@for_members
@needs(Ability.OPERATE)
def connection(request: MemberRequest, connection: UUID) -> HttpResponse:
    member = request.user
    row = row_of(member, connection)
    account = row.connection
    probe = (
        Probe.objects.visible_to(member).finished().filter(connection=account).order_by("-asked_at").first()
    )
    found = concerns.of([account], member.workspace.time_zone)[account.pk]
    can_connect = member.can(Ability.CONNECT)
    return render(
        request,
        "connection.html",
        {
            "row": row,
            "status": status_of(row, found),
            "connection": account,
            "concerns": [said(one, account, can_connect=can_connect) for one in found],
            "ticks": ticks_of(member, [account])[account.pk],
            "facts": list(health_words.facts(account.check_facts)),
            "check_words": _check_words(account),
            "quotas": list(_quotas(account)),
            "reports": _reports(member, account),
            "pressing": AccountEvent.objects.visible_to(member).pressing().filter(connection=account).count(),
            "receipts": _unread(member, account),
            "probe": probe,
            "probe_words": health_words.way_in(probe.code) if probe else "",
            "certificate_ends_at": _moment(probe.facts.get("certificate_ends_at")) if probe else None,
            "can_probe": not row.is_crm and probes.can_probe(account),
            "made_by": names_of(member, [account.created_by])[account.created_by],
            "can_connect": can_connect,
            "has_panel": row.is_crm and has_panel(account),
            "can_ask": member.can(Ability.RETRY),
            "offers_backfill": can_connect and row.is_crm and not account.backfills.exists(),
            "is_asked": _is_asked(request.GET.get("since"), account, probe),
        },
    )


@require_POST
@for_members
@needs(Ability.OPERATE)
@needs(Ability.RETRY)
def check(request: MemberRequest, connection: UUID) -> HttpResponse:
    """Ask the vendor now. A worker asks, so that a vendor that hangs holds up no page."""
    account = row_of(request.user, connection).connection
    journey.start_check(account.pk, by_member(request.user))
    return _asked(request, account, _("%(name)s is being asked. The answer appears here by itself."))


@require_POST
@for_members
@needs(Ability.OPERATE)
@needs(Ability.RETRY)
def probe(request: MemberRequest, connection: UUID) -> HttpResponse:
    """Try the way in now."""
    account = row_of(request.user, connection).connection
    if not probes.can_probe(account):
        messages.info(request, _("Nothing knocks at the door of %(name)s.") % {"name": account.name})
        return redirect("connection", account.pk)
    journey.start_probe(account.pk, by_member(request.user))
    return _asked(
        request, account, _("A test webhook for %(name)s is on its way. The result appears here by itself.")
    )


@require_POST
@for_members
@needs(Ability.OPERATE)
@needs(Ability.RETRY)
def see(request: MemberRequest, connection: UUID) -> HttpResponse:
    """Reports of the provider looked at: those named, or all."""
    account = row_of(request.user, connection).connection
    asked = list(_ids(request.POST.getlist("report")))
    reports = AccountEvent.objects.visible_to(request.user).filter(connection=account)
    count = reported.see(reports.filter(pk__in=asked) if asked else reports, by_member(request.user))
    told = ngettext("%(count)s report is marked as seen.", "%(count)s reports are marked as seen.", count)
    messages.success(request, told % {"count": count})
    return redirect("connection", account.pk)


def ticks_of(member: Member, accounts: Iterable[Connection]) -> Mapping[UUID, Ticks]:
    """For numbers what they heard, for CRMs what they were given."""
    known = list(accounts)
    numbers = [row.pk for row in known if row.purpose == "provider"]
    heard = {
        **silence.heard(numbers),
        **_delivered(member, [row.pk for row in known if row.pk not in numbers]),
    }
    return {row.pk: _ticks(heard[row.pk], is_crm=row.pk not in numbers) for row in known}


def _delivered(member: Member, crms: Sequence[UUID]) -> dict[UUID, list[bool]]:
    starts = silence.half_hours(clock.now())
    found: dict[UUID, set[int]] = {pk: set() for pk in crms}
    if crms:
        given = Delivery.objects.visible_to(member).filter(connection__in=crms, delivered_at__gte=starts[0])
        for pk, at in given.order_by().values_list("connection", "delivered_at"):
            if at is not None:
                found[pk].add(int((at - starts[0]) / silence.HALF_HOUR))
    return {pk: [place in places for place in range(silence.TICKS)] for pk, places in found.items()}


def _ticks(heard: Sequence[bool], *, is_crm: bool) -> Ticks:
    bars = [
        Tick(f"{100 * place / len(heard):.3f}%", *(HEARD if is_heard else SILENT))
        for place, is_heard in enumerate(heard)
    ]
    told = (
        _("Deliveries in %(count)s of the last 48 half hours")
        if is_crm
        else _("Events in %(count)s of the last 48 half hours")
    )
    return Ticks(bars, told % {"count": sum(heard)})


def _check_words(account: Connection) -> words.Words:
    if account.check_code in (None, "ok"):
        return ""
    return (
        words.crm_refusal(account.check_code)
        if account.purpose == "crm"
        else words.refusal(account.check_code)
    )


def _quotas(account: Connection) -> Iterator[Quota]:
    """What the vendor counts, and what it may count at most."""
    if account.purpose == "provider":
        budget = providers.get(account.kind).capabilities.download_failures_per_hour
        if budget is not None:
            used = len(recent_failures(account, clock.now()))
            note = _(
                "One below what makes the provider block all downloads of this number we stop by ourselves."
            )
            yield Quota(_("Failed downloads in the last hour"), used, budget, note)
    if (percent := account.usage.get("percent")) is not None:
        yield Quota(_("Calls counted by the provider, in percent"), round(percent), 100)
    usage = account.check_facts.get("usage") or {}
    for name, label in (
        ("burst", _("Calls in a few seconds")),
        ("daily", _("Calls today, all apps together")),
    ):
        most, remaining = usage.get(f"{name}_max"), usage.get(f"{name}_left")
        if most and remaining is not None:
            yield Quota(label, max(most - remaining, 0), most)


def _reports(member: Member, account: Connection) -> list[Report]:
    found = list(AccountEvent.objects.visible_to(member).filter(connection=account).order_by("-at")[:SHOWN])
    names = names_of(member, [event.seen_by for event in found if event.seen_by])
    return [
        Report(
            event,
            health_words.event(event),
            health_words.SEVERITIES[event.severity],
            list(health_words.facts(event.facts)),
            names.get(event.seen_by or "", ""),
        )
        for event in found
    ]


def _unread(member: Member, account: Connection) -> list[Receipt]:
    found = Receipt.objects.visible_to(member).unread().filter(connection=account)
    return list(found.defer("body", "headers").order_by("-id")[:SHOWN])


def _asked(request: MemberRequest, account: Connection, text: str) -> HttpResponse:
    messages.success(request, text % {"name": account.name})
    page = redirect("connection", account.pk)
    page["Location"] += f"?since={int(clock.now().timestamp())}"
    return page


def _is_asked(since: str | None, account: Connection, probe: Probe | None) -> bool:
    """Whether an answer is still to come: then the page looks often."""
    if since is None or not since.isdigit() or len(since) > 11:
        return False
    at = clock.from_unix(int(since))
    answers = [account.checked_at, probe.finished_at if probe else None]
    is_answered = any(answer is not None and answer >= at for answer in answers)
    return not is_answered and at > clock.now() - ASKED_LIVES


def _moment(value: object) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) else None


def _ids(values: Iterable[str]) -> Iterator[UUID]:
    for value in values:
        try:
            yield ids.parse(value)
        except ValueError:
            continue
