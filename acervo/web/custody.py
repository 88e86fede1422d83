"""Why a file may not be had, and what may be decided: over its limit, held for the scanner, or in quarantine."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from asgiref.sync import async_to_sync
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from acervo import journey
from acervo.base import clock, filetypes
from acervo.base.errors import Refused
from acervo.fetch import limits
from acervo.models import Ability, AuditEntry, MediaFile, Member, by_member
from acervo.prepare import quarantine, scan
from acervo.prepare.clamd import Engine, Scanner, ScannerAway
from acervo.providers.contract import Outcome
from acervo.web import words
from acervo.web.guards import MemberRequest, for_members, needs

ASKED_AGAIN_AFTER_S: Final = 10.0
"""A page that renews itself must not knock at the scanner each time."""
UNFINISHED: Final = "Heuristics.Limits.Exceeded"
"""How clamd calls what it could not look through: too deep, too large when unpacked."""


@dataclass(frozen=True, slots=True)
class TooLarge:
    """A file that was refused for its size."""

    size_bytes: int | None
    """None when it was broken off before anybody knew."""
    limit_bytes: int
    is_at_provider: bool
    is_beyond_all: bool
    may_lift: bool

    @property
    def can_be_fetched(self) -> bool:
        return self.is_at_provider and not self.is_beyond_all


@dataclass(frozen=True, slots=True)
class Quarantined:
    """What was found, by whom, and whether somebody has looked at it since."""

    infection: str
    found_at: datetime | None
    engine: str
    signatures: int | None
    signatures_at: datetime | None
    was_left: bool

    @property
    def is_unfinished(self) -> bool:
        return self.infection.startswith(UNFINISHED)


@dataclass(frozen=True, slots=True)
class ScannerState:
    """As the health page says it."""

    is_set: bool
    engine: Engine | None = None
    """None while it is away."""


@dataclass(frozen=True, slots=True)
class Custody:
    """All of it for one file; empty parts for a file that is simply there, or simply not."""

    too_large: TooLarge | None
    quarantined: Quarantined | None
    is_held: bool
    may_decide: bool
    types: tuple[tuple[words.Words, str], ...]
    mismatch: str


def custody(member: Member, media: MediaFile) -> Custody:
    return Custody(
        too_large=_too_large(member, media) if _is_too_large(media) else None,
        quarantined=_quarantined(media) if media.is_quarantined else None,
        is_held=media.is_awaiting_scan,
        may_decide=member.can(Ability.DECIDE),
        types=_types(media),
        mismatch=_mismatch(media),
    )


def scanner_state() -> ScannerState:
    """Asked now and then; a scanner that is away costs a page its five seconds once in ten."""
    scanner = scan.scanner()
    if scanner is None:
        return ScannerState(is_set=False)
    asked_at, engine = _known.get(scanner.address, (-ASKED_AGAIN_AFTER_S, None))
    if time.monotonic() - asked_at >= ASKED_AGAIN_AFTER_S:
        engine = _engine(scanner)
        _known[scanner.address] = (time.monotonic(), engine)
    return ScannerState(is_set=True, engine=engine)


_known: dict[str, tuple[float, Engine | None]] = {}


def _engine(scanner: Scanner) -> Engine | None:
    try:
        return async_to_sync(scanner.engine)()
    except ScannerAway:
        return None


# ── what may be decided ──


@require_POST
@for_members
@needs(Ability.CONFIGURE)
def lift_limit(request: MemberRequest, file: UUID) -> HttpResponse:
    return _decide(
        request, file, journey.fetch_by_hand, _("This file is being fetched now, whatever its size.")
    )


@require_POST
@for_members
@needs(Ability.DECIDE)
def release(request: MemberRequest, file: UUID) -> HttpResponse:
    return _decide(request, file, journey.release, _("Released. Whoever may see the file can open it now."))


@require_POST
@for_members
@needs(Ability.DECIDE)
def leave_in_quarantine(request: MemberRequest, file: UUID) -> HttpResponse:
    return _decide(
        request, file, journey.leave_in_quarantine, _("Written down. The file stays in quarantine.")
    )


@require_POST
@for_members
@needs(Ability.DECIDE)
def waive_scan(request: MemberRequest, file: UUID) -> HttpResponse:
    def waive(media: MediaFile, by: str, reason: str) -> None:
        journey.waive_scans([media.pk], by, reason)

    return _decide(
        request, file, waive, _("Let through unchecked. Whoever may see the file can open it now.")
    )


@require_POST
@for_members
@needs(Ability.DECIDE)
def scan_again(request: MemberRequest, file: UUID) -> HttpResponse:
    media = _visible(request.user, file)
    try:
        journey.scan_again(media, by_member(request.user))
    except Refused as error:
        messages.error(request, str(words.refusal(error.code)))
    else:
        messages.success(request, _("The file is being checked again now."))
    return redirect("file", file)


def _decide(
    request: MemberRequest, file: UUID, act: Callable[[MediaFile, str, str], Any], done: str
) -> HttpResponse:
    """A decision with its reason, and what the member reads afterwards."""
    media = _visible(request.user, file)
    try:
        reason = request.POST.get("reason", "").strip()
        if not reason:
            raise quarantine.ReasonMissing()
        act(media, by_member(request.user), reason[: quarantine.REASON_LENGTH])
    except Refused as error:
        messages.error(request, str(words.refusal(error.code)))
    else:
        messages.success(request, done)
    return redirect("file", file)


def _visible(member: Member, file: UUID) -> MediaFile:
    return get_object_or_404(MediaFile.objects.visible_to(member), pk=file)


# ── what is told ──


def _is_too_large(media: MediaFile) -> bool:
    return media.gone_at is not None and media.refusal == Outcome.TOO_LARGE


def _too_large(member: Member, media: MediaFile) -> TooLarge:
    told = _last(media, "file.lost").get("size_bytes") or media.announced_bytes
    return TooLarge(
        size_bytes=told,
        limit_bytes=limits.limit_of(media.workspace_id, media.kind),
        is_at_provider=media.fetch_before > clock.now(),
        is_beyond_all=bool(told and told > limits.CEILING_BYTES),
        may_lift=member.can(Ability.CONFIGURE),
    )


def _quarantined(media: MediaFile) -> Quarantined:
    engine = _last(media, "file.quarantined")
    dated = engine.get("signatures_at")
    return Quarantined(
        infection=media.infection or "",
        found_at=media.scanned_at,
        engine=engine.get("engine", ""),
        signatures=engine.get("signatures"),
        signatures_at=datetime.fromisoformat(dated) if dated else None,
        was_left=bool(_last(media, "file.left_in_quarantine")),
    )


def _last(media: MediaFile, action: str) -> dict[str, Any]:
    """What the audit remembers of the last time this was done to a file that is visible."""
    entries = AuditEntry.objects.of("file", media.pk).filter(workspace_id=media.workspace_id, action=action)
    last = entries.order_by("-number").first()
    return dict(last.details) if last else {}


def _types(media: MediaFile) -> tuple[tuple[words.Words, str], ...]:
    """What each voice called the bytes, where they do not say the same."""
    voices = (
        (_("Announced as"), media.announced_mime),
        (_("Looked up as"), media.resolved_mime),
        (_("Served as"), media.served_mime),
        (_("Found to be"), media.mime),
    )
    said = tuple((voice, mime) for voice, mime in voices if mime)
    return said if len({_canonical(mime) for _voice, mime in said}) > 1 else ()


def _canonical(mime: str) -> str:
    """Without parameters; by the allow-list's own name where it knows this one."""
    bare = mime.split(";")[0].strip().lower()
    return next((known.mime for known in filetypes.FILE_TYPES if bare in known.sniffed), bare)


def _mismatch(media: MediaFile) -> str:
    """In words, and only where the families differ: a JPEG called a PNG is nobody's trouble."""
    if not media.is_mistyped or media.mime is None:
        return ""
    return _("Announced as %(announced)s, it is %(found)s. It is served as what it is.") % {
        "announced": words.ANNOUNCED_AS[media.kind],
        "found": words.FOUND_TO_BE[filetypes.by_mime(media.mime).kind],
    }
