"""What a CRM holds against what we wrote: the running pass, what it found, field by field, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.contrib import messages
from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from acervo import crms, journey
from acervo.base import ids
from acervo.base.errors import Refused
from acervo.crms.fields import CHOICE_LABELS, MEDIA_FIELDS, choice_label, written
from acervo.crms.mapping import FieldMap
from acervo.deliver import associations, fields, mapping, repairs
from acervo.models import (
    Ability,
    AuditEntry,
    Connection,
    Delivery,
    Discrepancy,
    Fault,
    MediaFile,
    Member,
    Reconciliation,
    by_member,
)
from acervo.models.connection import RELATED_TYPES
from acervo.web import words
from acervo.web.authors import names_of
from acervo.web.cards import Card, card, with_facts
from acervo.web.guards import MemberRequest, for_members, needs, visible_crm
from acervo.web.tags import number

SHOWN: Final = 50
PASSES_SHOWN: Final = 20
OPENED: Final = ("file.opened", "file.played", "file.heard", "file.watched", "file.downloaded")


@dataclass(frozen=True, slots=True)
class Difference:
    """One field: what we write, and what stands there."""

    label: str
    ours: str
    theirs: str


@dataclass(frozen=True, slots=True)
class Opened:
    """Who opened a link last."""

    at: datetime
    who: words.Words


@dataclass(frozen=True, slots=True)
class Row:
    """One file that the CRM does not hold as we wrote it."""

    found: Discrepancy
    card: Card
    status: words.Status
    differences: Sequence[Difference]
    opened: Opened | None
    settled: words.Words = ""


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass, in numbers."""

    run: Reconciliation
    who: words.Words
    halted: words.Words
    address: words.Words

    @property
    def percent(self) -> int:
        return 100 if self.run.finished_at else min(100 * self.run.looked_at // max(self.run.total, 1), 100)

    @property
    def wrong(self) -> int:
        return self.run.drifted + self.run.cleared + self.run.deleted + self.run.doubled + self.run.closed


@require_GET
@for_members
@needs(Ability.OPERATE)
def reconciliation(request: MemberRequest, connection: UUID) -> HttpResponse:
    return _page(request, visible_crm(request.user, connection))


@require_POST
@for_members
@needs(Ability.OPERATE)
@needs(Ability.RETRY)
def run(request: MemberRequest, connection: UUID) -> HttpResponse:
    """Look now. A worker does, so that a CRM that hangs holds up no page."""
    account = visible_crm(request.user, connection)
    if account.paused_at:
        messages.error(request, _("%(name)s is paused. Resume it first.") % {"name": account.name})
    else:
        journey.start_reconciliation(account.pk, by_member(request.user))
        messages.success(request, _("It is being looked at now. The page follows by itself."))
    return redirect("reconciliation", account.pk)


@require_POST
@for_members
@needs(Ability.OPERATE)
@needs(Ability.RETRY)
def repair(request: MemberRequest, connection: UUID) -> HttpResponse:
    """Those that were ticked, or all that are open, written again or left as they are."""
    account = visible_crm(request.user, connection)
    found = Discrepancy.objects.visible_to(request.user).open().filter(connection=account)
    ticked = list(_ids(request.POST.getlist("found")))
    if ticked:
        found = found.filter(pk__in=ticked)
    elif "all" not in request.POST:
        messages.error(request, _("Tick what you mean first."))
        return redirect("reconciliation", account.pk)
    found = found.select_related("connection")
    if request.POST.get("do") == "leave":
        count = repairs.leave(found, by=by_member(request.user))
        said = ngettext("%(count)s file stays as it is.", "%(count)s files stay as they are.", count)
    else:
        count = journey.rewrite_in_crm(found, by_member(request.user))
        said = ngettext("%(count)s file is written again.", "%(count)s files are written again.", count)
    messages.success(request, said % {"count": number(count)})
    return redirect("reconciliation", account.pk)


@require_POST
@for_members
@needs(Ability.CONNECT)
def rules(request: MemberRequest, connection: UUID) -> HttpResponse:
    """What happens by itself: to changed fields, and to files that come."""
    account = visible_crm(request.user, connection)
    by = by_member(request.user)
    try:
        changed = repairs.change_repairs(account, request.POST.get("repairs", ""), by=by)
        changed |= associations.change_ties(account, request.POST.getlist("ties_to"), by=by)
    except Refused as refused:
        messages.error(request, str(words.refusal(refused.code)))
    else:
        messages.success(request, _("Saved.") if changed else _("Nothing was changed."))
    return redirect("reconciliation", account.pk)


def _page(request: MemberRequest, account: Connection) -> HttpResponse:
    member = request.user
    passes = _passes(member, account)
    found = Discrepancy.objects.visible_to(member).filter(connection=account)
    open_ = found.open()
    counts = dict(open_.order_by().values_list("fault").annotate(n=Count("pk")))
    held = Delivery.objects.visible_to(member).filter(connection=account, delivered_at__isnull=False)
    return render(
        request,
        "reconciliation.html",
        {
            "connection": account,
            "vendor": crms.get(account.kind).name,
            "running": next((one for one in passes if not one.run.finished_at), None),
            "last": next((one for one in passes if one.run.finished_at), None),
            "passes": passes,
            "rows": _rows(member, open_.order_by("-found_at", "pk")[:SHOWN]),
            "open_total": sum(counts.values()),
            "counts": [(words.FAULTS[fault], counts[fault]) for fault in Fault.values if fault in counts],
            "settled": _rows(
                member, found.filter(settled_at__isnull=False).order_by("-settled_at")[:PASSES_SHOWN]
            ),
            "held": held.count(),
            "opened": _last_opened(member, account),
            "repairs": [(code, *said) for code, said in words.REPAIRS.items()],
            "ties": [(kind, words.RECORD_TYPES[kind], kind in account.ties_to) for kind in RELATED_TYPES],
            "can_connect": member.can(Ability.CONNECT),
            "can_retry": member.can(Ability.RETRY),
        },
    )


def _passes(member: Member, account: Connection) -> list[Pass]:
    runs = list(
        Reconciliation.objects.visible_to(member)
        .filter(connection=account)
        .order_by("-began_at")[:PASSES_SHOWN]
    )
    names = names_of(member, [one.asked_by for one in runs])
    return [
        Pass(
            one,
            names[one.asked_by],
            words.blind(one.halted_by),
            words.REACH.get(one.address_code or "", ""),
        )
        for one in runs
    ]


def _rows(member: Member, found: Iterable[Discrepancy]) -> list[Row]:
    rows = list(found)
    files = {
        media.pk: media
        for media in with_facts(MediaFile.objects.visible_to(member)).filter(
            pk__in=[one.media_id for one in rows]
        )
    }
    opened = _opened(member, list(files))
    maps = {pk: mapping.maps(pk).current for pk in {one.connection_id for one in rows}}
    return [
        Row(
            one,
            card(files[one.media_id]),
            words.FAULTS[one.fault],
            _differences(files[one.media_id], one, maps[one.connection_id]),
            opened.get(one.media_id),
            words.SETTLEMENTS.get(one.settlement or "", ""),
        )
        for one in rows
        if one.media_id in files
    ]


def _differences(media: MediaFile, found: Discrepancy, field_map: FieldMap) -> list[Difference]:
    """Today's values of ours: a file, or its mapping, may have changed since it was looked at."""
    if not found.stood or media.size_bytes is None:
        return []
    ours = written(fields.media_link(media, field_map=field_map))
    language = get_language() or "en"
    return [
        Difference(
            field.label(language),
            _shown(ours.get(field.name, ""), language),
            _shown(found.stood[field.name], language),
        )
        for field in MEDIA_FIELDS
        if field.name in found.stood
    ]


def _shown(value: str, language: str) -> str:
    return choice_label(value, language) if value in CHOICE_LABELS else value


def _opened(member: Member, files: Sequence[UUID]) -> Mapping[UUID, Opened]:
    """The last time each was opened, and by whom."""
    entries = (
        AuditEntry.objects.filter(
            workspace_id=member.workspace_id, subject_type="file", subject_id__in=files, action__in=OPENED
        )
        .order_by("subject_id", "-number")
        .distinct("subject_id")
    )
    last = [entry for entry in entries if entry.subject_id]
    names = names_of(member, [entry.by for entry in last])
    return {entry.subject_id: Opened(entry.at, names[entry.by]) for entry in last if entry.subject_id}


def _last_opened(member: Member, account: Connection) -> list[tuple[Card, Opened]]:
    """Of the files the CRM was given last, those that somebody opened, the newest opening first."""
    given = (
        Delivery.objects.visible_to(member)
        .filter(connection=account, delivered_at__isnull=False)
        .order_by("-delivered_at")
        .values_list("media_id", flat=True)[:200]
    )
    opened = _opened(member, list(given))
    newest = sorted(opened.items(), key=lambda one: one[1].at, reverse=True)[:5]
    files = with_facts(MediaFile.objects.visible_to(member)).in_bulk([pk for pk, _how in newest])
    return [(card(files[pk]), how) for pk, how in newest if pk in files]


def _ids(values: Iterable[str]) -> Iterable[UUID]:
    for value in values:
        try:
            yield ids.parse(value)
        except ValueError:
            continue
