"""One file: hear or see it, its facts, its place in the CRM, its story, and what may be done about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from acervo import journey
from acervo.base import filetypes, ids
from acervo.models import (
    Ability,
    AuditEntry,
    CrmUpload,
    Delivery,
    Direction,
    MediaFile,
    Member,
    RecordLink,
    RenditionKind,
    by_member,
)
from acervo.web import words
from acervo.web.answers import about_file, may_answer
from acervo.web.associations import Tie, missing, ties_of
from acervo.web.authors import names_of
from acervo.web.cards import Card, card, delivery_state, with_facts
from acervo.web.custody import custody
from acervo.web.file_tags import shown as shown_tags
from acervo.web.guards import MemberRequest, for_members, needs
from acervo.web.sources import Page, pages
from acervo.web.tags import playing_time
from acervo.web.transcripts import shown as shown_transcript

MOST_ENTRIES: Final = 60
MOST_COPIES: Final = 20
PLAYABLE: Final = (RenditionKind.MP3, RenditionKind.MP4)
UPLOAD_REASONS: Final = frozenset(
    {"upload.refused", "upload.stopped", "file.upload_left", "file.upload_removed"}
)
"""Deeds whose reason says what became of the file itself in a CRM."""
CRM_REASONS: Final = ("delivery.refused", "delivery.stopped", "delivery.doubled", "file.left_in_crm")
"""Deeds whose reason is a code of the CRM's side."""
NOT_SENT: Final = ("answer.failed", "answer.unknown")
HEARD: Final = ("file.heard", "file.watched")
BY_DECISION: Final = (
    "file.limit_lifted",
    "file.quarantined",
    "file.released",
    "file.left_in_quarantine",
    "file.scan_waived",
)
"""Deeds whose reason is somebody's own words, or the scanner's."""


@dataclass(frozen=True, slots=True)
class Promise:
    """A delivery as its row on the page says it."""

    delivery: Delivery
    state: str
    status: words.Status
    reason: words.Words
    record: RecordLink | None
    ties: Sequence[Tie] = ()
    can_tie: bool = False
    """It stands there, and so does its contact."""
    upload: CrmUpload | None = None
    """The file itself, where it goes into this CRM too."""

    @property
    def upload_status(self) -> words.Status | None:
        return words.UPLOAD_STATES[self.upload.state] if self.upload else None

    @property
    def upload_trouble(self) -> words.Words:
        if self.upload is None or self.upload.state in ("there", "queued", "leaving"):
            return ""
        return words.upload_refusal(self.upload.refusal)

    @property
    def slug(self) -> str:
        return ids.text(self.delivery.pk)

    @property
    def can_retry(self) -> bool:
        return self.state in ("stopped", "trying")


@dataclass(frozen=True, slots=True)
class Moment:
    """A line of the history."""

    at: datetime
    what: words.Happening
    who: words.Words
    why: words.Words = ""


@require_GET
@for_members
def file_page(request: MemberRequest, file: UUID) -> HttpResponse:
    media = _visible(request.user, file)
    deliveries = list(media.deliveries.select_related("connection").order_by("promised_at"))
    links = list(media.record_links.select_related("connection").order_by("-linked_at"))
    contacts = list(media.person.record_links.select_related("connection"))
    uploads = {row.connection_id: row for row in media.uploads.all()}
    shown, drawn = card(media), pages(media)
    spoken = shown_transcript(request.user, media, editing=request.GET.get("correct", ""))
    return render(
        request,
        "file.html",
        {
            "media": media,
            "card": shown,
            "tagged": shown_tags(request.user, media),
            "custody": custody(request.user, media),
            "viewer": _viewer(shown, drawn),
            "pages": drawn,
            "page_total": len(drawn),
            "has_captions": bool(spoken and spoken.lines),
            "transcript": spoken,
            "can_retry": request.user.can(Ability.RETRY) and not media.erase_asked_at,
            "answers": about_file(request.user, media),
            "may_answer": may_answer(request.user, media),
            "promises": [_promise(delivery, links, contacts, uploads) for delivery in deliveries],
            "missing": missing(request.user, media, deliveries),
            "contact_links": contacts,
            "history": _history(request.user, media, deliveries),
            "copies": _copies(request.user, media),
            "renditions": [
                (words.RENDITIONS[made.kind], made)
                for made in media.renditions.all()
                if made.kind in PLAYABLE
            ],
            "identifiers": list(
                media.person.identifiers.filter(kind="phone").values_list("value", flat=True)
            ),
        },
    )


@require_POST
@for_members
@needs(Ability.RETRY)
def retry_capture(request: MemberRequest, file: UUID) -> HttpResponse:
    media = _visible(request.user, file)
    journey.retry_capture(media, by=by_member(request.user))
    messages.success(request, _("We are trying to get this file again now."))
    return redirect("file", file)


@require_POST
@for_members
@needs(Ability.RETRY)
def retry_delivery(request: MemberRequest, file: UUID, delivery: UUID) -> HttpResponse:
    journey.retry_delivery(_visible_delivery(request.user, file, delivery), by=by_member(request.user))
    messages.success(request, _("The file is on its way to the CRM again."))
    return redirect("file", file)


def _visible(member: Member, file: UUID) -> MediaFile:
    return get_object_or_404(
        with_facts(MediaFile.objects.visible_to(member)).select_related("message"), pk=file
    )


def _visible_delivery(member: Member, file: UUID, delivery: UUID) -> Delivery:
    return get_object_or_404(Delivery.objects.visible_to(member), pk=delivery, media=file)


def _viewer(shown: Card, drawn: Sequence[Page]) -> str:
    """Which of the viewers fits the bytes: audio, video, image, pages, document; none while there are no bytes, and
    held while nobody may have them."""
    media = shown.media
    if media.stored_at is None:
        return "none"
    if not media.is_openable:
        return "held"
    filetype = filetypes.by_mime(media.mime or "")
    if filetype.kind in ("audio", "video"):
        return filetype.kind if shown.sources else "document"
    if filetype.kind == "image" and (filetype.inline or shown.thumb):
        return "image"
    return "pages" if drawn else "document"


def _promise(
    delivery: Delivery,
    links: Sequence[RecordLink],
    contacts: Iterable[RecordLink],
    uploads: Mapping[UUID, CrmUpload],
) -> Promise:
    state = delivery_state(delivery)
    reason = words.crm_refusal(delivery.refusal) if state != "delivered" else ""
    if delivery.connection.paused_at and state != "delivered":
        reason = words.pause_reason(delivery.connection.pause_reason, is_crm=True)
    here = [link for link in links if link.connection_id == delivery.connection_id]
    record = next((link for link in here if link.reason == "written"), None)
    has_contact = any(link.connection_id == delivery.connection_id for link in contacts)
    return Promise(
        delivery,
        state,
        words.DELIVERY_STATES[state],
        reason,
        record,
        ties_of(here, delivery),
        can_tie=record is not None and has_contact and not delivery.connection.removed_at,
        upload=uploads.get(delivery.connection_id),
    )


def _history(member: Member, media: MediaFile, deliveries: Iterable[Delivery]) -> list[Moment]:
    """What the audit says of the file, and the facts that need no entry, newest first."""
    entries = list(
        AuditEntry.objects.of("file", media.pk)
        .filter(workspace_id=member.workspace_id)
        .order_by("-number")[:MOST_ENTRIES]
    )
    names = names_of(member, (entry.by for entry in entries))
    crms = {ids.text(delivery.connection_id): delivery.connection.name for delivery in deliveries}
    story = [
        Moment(
            entry.at,
            words.happening(entry.action),
            _crm_of(entry, crms) or names[entry.by],
            _why(entry),
        )
        for entry in entries
    ]
    is_loss_told = any(entry.action == "file.lost" for entry in entries)
    facts = _facts(media, is_loss_told=is_loss_told)
    return sorted([*story, *facts], key=lambda moment: moment.at, reverse=True)


def _crm_of(entry: AuditEntry, crms: dict[str, str]) -> str:
    """The CRM of what happened by itself; what a member did is told with the member's name."""
    return crms.get(entry.details.get("connection", ""), "") if entry.by.startswith("system") else ""


def _why(entry: AuditEntry) -> words.Words:
    if entry.action in BY_DECISION:
        return entry.reason
    if entry.action == "file.lost":
        return words.refusal(entry.reason)
    if entry.action in NOT_SENT:
        return words.sending_trouble(entry.reason, "failed")
    if entry.action in HEARD:
        return _how_far(entry)
    if entry.action == "transcript.stopped":
        return words.transcript_trouble(entry.reason)
    if entry.action in UPLOAD_REASONS:
        return words.upload_refusal(entry.reason)
    return words.crm_refusal(entry.reason) if entry.action in CRM_REASONS else ""


def _how_far(entry: AuditEntry) -> str:
    """ "0:42 of 1:10", as the player told it."""
    heard_s, of_s = (playing_time(entry.details.get(name)) for name in ("heard_s", "of_s"))
    return _("%(heard)s of %(length)s") % {"heard": heard_s, "length": of_s}


def _facts(media: MediaFile, *, is_loss_told: bool) -> Iterable[Moment]:
    """A file that was already lost when it was announced has no deed, only its fact."""
    if media.message.revoked_at:
        yield Moment(media.message.revoked_at, words.happening("message.revoked"), "")
    is_out = media.direction == Direction.OUTBOUND
    announced = _("Sent through WhatsApp") if is_out else _("Received through WhatsApp")
    if media.message.chat_import_id:
        announced = _("Sent at this time, as a chat export claims")
    yield Moment(media.received_at, words.Happening(announced, "webhook"), media.connection.name)
    if media.scanned_at and not media.infection:
        checked = words.Happening(_("Checked for malware, nothing found"), "shield-check")
        yield Moment(media.scanned_at, checked, "")
    if media.prepared_at:
        yield Moment(media.prepared_at, words.Happening(_("Made ready for playing"), "scan-search"), "")
    if media.refused_at and not media.stored_at and not media.gone_at:
        failed = words.Happening(_("Capture failed, another try follows"), "triangle-alert", "warn")
        yield Moment(media.refused_at, failed, "", words.refusal(media.refusal))
    if media.gone_at and not is_loss_told:
        yield Moment(media.gone_at, words.happening("file.lost"), "", words.refusal(media.refusal))


def _copies(member: Member, media: MediaFile) -> list[Card]:
    """Other files of the same person with the very same bytes."""
    if not media.sha256:
        return []
    same = (
        MediaFile.objects.visible_to(member)
        .filter(person=media.person_id, sha256=media.sha256)
        .exclude(pk=media.pk)
    )
    return [card(copy) for copy in with_facts(same).order_by("-received_at")[:MOST_COPIES]]
