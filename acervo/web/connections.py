"""WhatsApp numbers and CRMs: are they alive, what waits for them, and the few things one can do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import Count, IntegerField, Max, Min, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from acervo import crms, providers
from acervo.base import ids
from acervo.deliver import uploads
from acervo.govern import connections as govern
from acervo.govern.concerns import Concern, Weight
from acervo.models import Ability, Connection, Delivery, MediaFile, Member, Purpose, by_member
from acervo.web import crm_setups, guidance, setups, words
from acervo.web.guards import MemberRequest, for_members, needs


@dataclass(frozen=True, slots=True)
class Row:
    """A connection as the list shows it."""

    connection: Connection
    vendor: str
    initials: str
    status: words.Status
    reason: words.Words
    waiting: int
    """Files not captured yet, or deliveries not made yet."""
    stopped: int
    """Of deliveries: those that only a person can set going."""
    last_file_at: datetime | None
    deadline: datetime | None
    """When the most urgent waiting file can no longer be had."""
    webhook_url: str
    """Empty where the provider learns it by its API."""
    legal_basis: words.Words
    """Why its files are kept; empty while nobody has said it."""
    goes_on_at: str = ""
    """Where a CRM that is being set up goes on."""

    @property
    def slug(self) -> str:
        return ids.text(self.connection.pk)

    @property
    def is_crm(self) -> bool:
        return self.connection.purpose == Purpose.CRM

    @property
    def takes_copies(self) -> bool:
        """Files themselves may go there, not only their links."""
        return self.is_crm and uploads.terms(self.connection) is not None


@require_GET
@for_members
@needs(Ability.OPERATE)
def connections(request: MemberRequest) -> HttpResponse:
    found = rows(request.user)
    return render(
        request,
        "integrations.html",
        {
            "numbers": [row for row in found if not row.is_crm],
            "crms": [row for row in found if row.is_crm],
            "begun": setups.begun(request.user),
            "can_connect": request.user.can(Ability.CONNECT),
        },
    )


@require_POST
@for_members
@needs(Ability.CONNECT)
def pause(request: MemberRequest, connection: UUID) -> HttpResponse:
    account = _visible(request.user, connection)
    govern.pause(account, by_member(request.user), "by_hand")
    messages.success(
        request, _("%(name)s is paused. What arrives is kept for later.") % {"name": account.name}
    )
    return redirect("connections")


@require_POST
@for_members
@needs(Ability.CONNECT)
def resume(request: MemberRequest, connection: UUID) -> HttpResponse:
    account = _visible(request.user, connection)
    if account.pause_reason == govern.BEING_SET_UP:
        return redirect(crm_setups.address_of(account))
    govern.resume(account, by_member(request.user))
    messages.success(request, _("%(name)s goes on. What waited is on its way.") % {"name": account.name})
    return redirect("connections")


def rows(member: Member) -> list[Row]:
    """Every connection the member may see, in one query besides those of an agent's teams."""
    found = Connection.objects.visible_to(member).filter(removed_at=None)
    return [_row(account) for account in _with_facts(member, found).order_by("purpose", "name")]


def status_of(row: Row, found: Sequence[Concern]) -> words.Status:
    """Its state, unless something about it wants to be looked at."""
    weights = [concern.weight for concern in found if concern.weight != Weight.NOTE]
    return words.WORRYING[min(weights).name] if weights and not row.connection.paused_at else row.status


def row_of(member: Member, connection: UUID) -> Row:
    """One that the member may see; Http404 for every other."""
    found = Connection.objects.visible_to(member).filter(removed_at=None)
    return _row(get_object_or_404(_with_facts(member, found), pk=connection))


def _visible(member: Member, connection: UUID) -> Connection:
    return get_object_or_404(Connection.objects.visible_to(member).filter(removed_at=None), pk=connection)


def _with_facts(member: Member, found: QuerySet[Connection]) -> QuerySet[Connection]:
    files = (
        MediaFile.objects.visible_to(member).filter(connection=OuterRef("pk")).order_by().values("connection")
    )
    awaited = files.filter(stored_at=None, gone_at=None)
    promised = (
        Delivery.objects.filter(connection=OuterRef("pk"), delivered_at=None).order_by().values("connection")
    )
    number: IntegerField[int, int] = IntegerField()
    return found.annotate(
        awaited=Coalesce(Subquery(awaited.annotate(n=Count("pk")).values("n"), output_field=number), 0),
        promised=Coalesce(
            Subquery(
                promised.filter(stopped_at=None).annotate(n=Count("pk")).values("n"), output_field=number
            ),
            0,
        ),
        stopped=Coalesce(
            Subquery(
                promised.filter(stopped_at__isnull=False)
                .exclude(refusal="left_out")
                .annotate(n=Count("pk"))
                .values("n"),
                output_field=number,
            ),
            0,
        ),
        deadline=Subquery(awaited.annotate(at=Min("fetch_before")).values("at")),
        last_file_at=Subquery(
            files.annotate(at=Max("received_at", filter=Q(stored_at__isnull=False))).values("at")
        ),
    )


def _row(account: Any) -> Row:
    is_crm = account.purpose == Purpose.CRM
    reason = words.pause_reason(account.pause_reason, is_crm=is_crm) if account.paused_at else ""
    if account.state == "resting":
        reason = words.crm_refusal(account.last_refusal) if is_crm else words.refusal(account.last_refusal)
    vendor = str(_adapter(account).name)
    return Row(
        connection=account,
        vendor=vendor,
        initials="".join(letter for letter in vendor if letter.isupper())[:2] or vendor[:2].upper(),
        status=words.CONNECTION_STATES[account.state],
        reason=reason,
        waiting=account.promised if is_crm else account.awaited,
        stopped=account.stopped,
        last_file_at=account.last_success_at if is_crm else account.last_file_at,
        deadline=account.deadline,
        webhook_url=govern.webhook_url(account) if _is_pasted(account) else "",
        goes_on_at=crm_setups.address_of(account) if account.pause_reason == govern.BEING_SET_UP else "",
        legal_basis=guidance.LEGAL_BASES[account.legal_basis][0] if account.legal_basis else "",
    )


def _is_pasted(account: Connection) -> bool:
    """Elsewhere nobody has a use for the address, and it may be a secret."""
    guide = guidance.GUIDES.get(account.kind)
    return account.purpose == Purpose.PROVIDER and (guide is None or guide.can_paste)


def _adapter(account: Connection) -> Any:
    return crms.get(account.kind) if account.purpose == Purpose.CRM else providers.get(account.kind)
