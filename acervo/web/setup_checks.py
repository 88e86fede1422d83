"""What the wizard watches while somebody works at the provider: each line turns green by itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.utils import timezone
from django.utils.translation import gettext as _

from acervo import providers
from acervo.govern import reach
from acervo.models import AuditEntry, Connection, MediaFile, Member, Message, Receipt, Setup
from acervo.web import guidance, words
from acervo.web.tags import written_day
from acervo.web.words import Words

ICONS: Final = {"ok": "circle-check", "wait": "loader", "todo": "circle", "bad": "circle-alert"}


@dataclass(frozen=True, slots=True)
class Check:
    """A line of the list."""

    name: str
    state: str
    """ok, wait, todo or bad."""
    label: Words
    note: Words = ""
    at: datetime | None = None

    @property
    def icon(self) -> str:
        return ICONS[self.state]

    @property
    def is_ok(self) -> bool:
        return self.state == "ok"


def of_webhook(setup: Setup, connection: Connection) -> list[Check]:
    """Our address answers, the provider knows it, the first event came and is genuine."""
    first = Receipt.objects.filter(connection=connection).order_by("received_at").first()
    heard_at = first.received_at if first else None
    return [_reach(), _known(setup, connection, heard_at), _event(setup, connection, heard_at)]


def of_test(member: Member, connection: Connection) -> tuple[list[Check], MediaFile | None]:
    """A message came, its file is kept, and it can be played. The file is the first that is kept, else the first."""
    files = MediaFile.objects.visible_to(member).filter(connection=connection).select_related("person")
    kept = files.filter(stored_at__isnull=False).order_by("stored_at").first()
    file = kept or files.order_by("-received_at").first()
    message = Message.objects.filter(connection=connection, chat_import=None).order_by("sent_at").first()
    came_at = file.received_at if file else (message.sent_at if message else None)
    return [_message(came_at), _kept(file, connection), _playable(file)], file


def _reach() -> Check:
    found = reach.reach()
    if not found.is_well:
        return Check("reach", "bad", _("Our address does not answer"), guidance.REACH[found.code], found.at)
    until = found.certificate_until
    note = (
        _("Certificate valid until %(day)s") % {"day": written_day(timezone.localdate(until))}
        if until
        else ""
    )
    return Check("reach", "ok", _("Our address answers"), note, found.at)


def _known(setup: Setup, connection: Connection, heard_at: datetime | None) -> Check:
    vendor = guidance.GUIDES[setup.kind].vendor
    if providers.get(setup.kind).capabilities.has_handshake:
        confirmed = _last(connection, "webhook.confirmed")
        label = _("%(vendor)s confirmed the verify token") % {"vendor": vendor}
    else:
        confirmed = None
        label = _("%(vendor)s knows our address") % {"vendor": vendor}
    known_at = confirmed or setup.told_at or heard_at
    if known_at:
        return Check("known", "ok", label, at=known_at)
    return Check("known", "wait", label, _("Tell it our address above."))


def _event(setup: Setup, connection: Connection, heard_at: datetime | None) -> Check:
    label = _("First genuine event")
    if heard_at:
        return Check("event", "ok", label, _("Its signature fits."), heard_at)
    forged_at = _last(connection, "webhook.refused")
    if forged_at and forged_at > setup.begun_at:
        note = _(
            "Something knocked, but its signature did not fit. If that was the provider, a secret of the second step is wrong: correct it there."
        )
        return Check("event", "bad", label, note, forged_at)
    return Check(
        "event", "todo", label, _("It comes with the first message, at the latest in the next step.")
    )


def _message(came_at: datetime | None) -> Check:
    label = _("A message arrived")
    return Check("message", "ok", label, at=came_at) if came_at else Check("message", "wait", label)


def _kept(file: MediaFile | None, connection: Connection) -> Check:
    label = _("Its file is kept")
    if file is None:
        return Check("kept", "todo", label)
    if file.stored_at:
        return Check("kept", "ok", label, at=file.stored_at)
    if connection.paused_at:
        return Check("kept", "bad", label, words.pause_reason(connection.pause_reason, is_crm=False))
    if file.gone_at or file.refusal:
        return Check(
            "kept", "bad" if file.gone_at else "wait", label, words.refusal(file.refusal), file.refused_at
        )
    return Check("kept", "wait", label)


def _playable(file: MediaFile | None) -> Check:
    label = _("It is ready to be opened")
    if file is not None and file.prepared_at:
        return Check("ready", "ok", label, at=file.prepared_at)
    return Check("ready", "wait" if file is not None and file.stored_at else "todo", label)


def _last(connection: Connection, action: str) -> datetime | None:
    entries = AuditEntry.objects.of("connection", connection.pk).filter(
        workspace_id=connection.workspace_id, action=action
    )
    newest = entries.order_by("-number").first()
    return newest.at if newest else None
