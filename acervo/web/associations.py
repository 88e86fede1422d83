"""A file in its CRMs, by hand: onto a deal or a ticket, off it again, and into a CRM that was never told of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from asgiref.sync import async_to_sync
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from acervo import journey
from acervo.base.errors import Refused
from acervo.crms.contract import CrmError, RelatedRef
from acervo.deliver import associations
from acervo.models import (
    Ability,
    Connection,
    Delivery,
    MediaFile,
    Member,
    RecordLink,
    by_member,
)
from acervo.models.connection import RELATED_TYPES
from acervo.web import words
from acervo.web.guards import MemberRequest, for_members, needs


@dataclass(frozen=True, slots=True)
class Tie:
    """A deal, a ticket or a campaign a file is on, as a chip."""

    link: RecordLink
    label: words.Words
    trouble: words.Words = ""
    """Why the CRM does not let go of it."""

    @property
    def is_leaving(self) -> bool:
        return self.link.untie_asked_at is not None and not self.link.untie_refusal


@dataclass(frozen=True, slots=True)
class Missing:
    """A CRM this file was never promised to, and why."""

    connection: Connection
    why: words.Words
    can_write: bool


def ties_of(links: Sequence[RecordLink], delivery: Delivery) -> list[Tie]:
    """Those of one file in one CRM."""
    return [
        Tie(
            link,
            words.RECORD_TYPES.get(link.object_type, link.object_type),
            words.untie_refusal(link.untie_refusal) if link.untie_refusal else "",
        )
        for link in links
        if link.connection_id == delivery.connection_id and link.object_type in RELATED_TYPES
    ]


def missing(member: Member, media: MediaFile, promised: Sequence[Delivery]) -> list[Missing]:
    """CRMs that are connected and know nothing of this file."""
    known = {delivery.connection_id for delivery in promised}
    crms = Connection.objects.visible_to(member).crms().filter(removed_at=None).exclude(pk__in=known)
    why, can_write = _why_not(media)
    return [Missing(account, why, can_write) for account in crms.order_by("name")]


@require_GET
@for_members
@needs(Ability.RETRY)
def related(request: MemberRequest, file: UUID, delivery: UUID) -> HttpResponse:
    """What is open for this contact in the CRM, asked at this moment."""
    promised = _promised(request.user, file, delivery)
    found: Sequence[RelatedRef] = ()
    trouble: words.Words = ""
    try:
        found = async_to_sync(journey.look_at_related)(promised)
    except CrmError as error:
        trouble = words.crm_refusal(str(error.kind))
    except Refused as refused:
        trouble = words.refusal(refused.code)
    tied = {
        link.object_type
        for link in promised.media.record_links.all()
        if link.connection_id == promised.connection_id
    }
    return render(
        request,
        "_related.html",
        {
            "delivery": promised,
            "offered": [
                (f"{one.ref.object_type}:{one.ref.record_id}", one)
                for one in found
                if one.ref.object_type not in tied
            ],
            "trouble": trouble,
            "is_all_tied": bool(found),
        },
    )


@require_POST
@for_members
@needs(Ability.RETRY)
def tie(request: MemberRequest, file: UUID, delivery: UUID) -> HttpResponse:
    promised = _promised(request.user, file, delivery)
    try:
        async_to_sync(journey.tie_file)(promised, request.POST.getlist("record"), by_member(request.user))
    except Refused as refused:
        messages.error(request, str(words.refusal(refused.code)))
    except CrmError as error:
        messages.error(request, str(words.crm_refusal(str(error.kind))))
    else:
        messages.success(request, _("Linked. The CRM learns of it in a moment."))
    return redirect("file", file)


@require_POST
@for_members
@needs(Ability.RETRY)
def untie(request: MemberRequest, file: UUID, link: UUID) -> HttpResponse:
    journey.untie_file(_link(request.user, file, link), by_member(request.user))
    messages.success(request, _("The file is being taken off there."))
    return redirect("file", file)


@require_POST
@for_members
@needs(Ability.RETRY)
def keep(request: MemberRequest, file: UUID, link: UUID) -> HttpResponse:
    associations.keep_tied(_link(request.user, file, link), by=by_member(request.user))
    return redirect("file", file)


@require_POST
@for_members
@needs(Ability.RETRY)
def write(request: MemberRequest, file: UUID, connection: UUID) -> HttpResponse:
    media = get_object_or_404(MediaFile.objects.visible_to(request.user), pk=file)
    crms = Connection.objects.visible_to(request.user).crms().filter(removed_at=None)
    account = get_object_or_404(crms, pk=connection)
    try:
        journey.promise_by_hand(media, account, by_member(request.user))
    except Refused as refused:
        messages.error(request, str(words.refusal(refused.code)))
    else:
        messages.success(request, _("The file is on its way to %(name)s.") % {"name": account.name})
    return redirect("file", file)


def _promised(member: Member, file: UUID, delivery: UUID) -> Delivery:
    found = Delivery.objects.visible_to(member).select_related("connection", "media")
    return get_object_or_404(found, pk=delivery, media=file, connection__removed_at=None)


def _link(member: Member, file: UUID, link: UUID) -> RecordLink:
    media = get_object_or_404(MediaFile.objects.visible_to(member), pk=file)
    return get_object_or_404(
        media.record_links.select_related("connection"), pk=link, object_type__in=RELATED_TYPES
    )


def _why_not(media: MediaFile) -> tuple[words.Words, bool]:
    if media.hidden_at or media.erase_asked_at:
        return words.NOT_PROMISED["taken_back"], False
    if media.gone_at:
        return words.NOT_PROMISED["lost"], False
    if media.is_quarantined or media.is_awaiting_scan:
        return words.NOT_PROMISED["held"], False
    if not media.prepared_at:
        return words.NOT_PROMISED["waiting"], False
    run = media.message.chat_import
    if run is not None and not run.delivers:
        return words.NOT_PROMISED["imported"], False
    return words.NOT_PROMISED["earlier"], True
