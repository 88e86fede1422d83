"""The one sentence on top of the health page: what is worst, and the one button that helps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from acervo.govern import concerns
from acervo.govern.concerns import Concern, Weight
from acervo.models import Ability, Connection, MediaFile, Member
from acervo.web import words
from acervo.web.concern_words import Said, said
from acervo.web.connections import Row, status_of
from acervo.web.custody import ScannerState


@dataclass(frozen=True, slots=True)
class Verdict:
    """The sentence on top, and the one button that helps."""

    title: str
    text: str
    tone: str
    action: str = ""
    action_label: str = ""


@dataclass(frozen=True, slots=True)
class Worry:
    """A concern, whose it is, and how it is said."""

    concern: Concern
    about: Connection
    told: Said


def worries_of(member: Member, connected: Sequence[Connection]) -> list[Worry]:
    """Of all connections, the worst first. What is paused has its own sentence, and is not asked about."""
    found = concerns.of([row for row in connected if not row.paused_at], member.workspace.time_zone)
    can_connect = member.can(Ability.CONNECT)
    told = [
        Worry(one, row, said(one, row, can_connect=can_connect))
        for row in connected
        for one in found.get(row.pk, ())
    ]
    return sorted(told, key=lambda worry: worry.concern.weight)


def pill_of(row: Row, worries: Sequence[Worry]) -> words.Status:
    """As its own page shows it."""
    return status_of(row, [worry.concern for worry in worries if worry.about.pk == row.connection.pk])


def verdict(
    member: Member,
    accounts: Sequence[Row],
    worries: Sequence[Worry],
    *,
    stopped: int,
    lost: int,
    unread: int,
    others: Sequence[Said] = (),
) -> Verdict:
    """The worst first: a paused account, what lets files be lost from now on, what stopped for a person, what was lost
    today, what is a warning, what is not understood, other systems that are not told, what is worth a sentence."""
    can_connect = member.can(Ability.CONNECT)
    for row in accounts:
        if row.connection.paused_at and not row.goes_on_at:
            return _paused(row, can_connect=can_connect)
    if worry := _first(worries, Weight.BAD):
        return worry
    if stopped:
        title = ngettext(
            "%(count)s file did not reach the CRM", "%(count)s files did not reach the CRM", stopped
        )
        text = _("They are kept here. Open them to see why; most need one choice or one permission.")
        return Verdict(title % {"count": stopped}, text, "warn", "/library?crm=stopped", _("See them"))
    if lost:
        title = ngettext(
            "%(count)s file was lost in the last 24 hours",
            "%(count)s files were lost in the last 24 hours",
            lost,
        )
        text = _("WhatsApp did not give them out in time. Each says why, and can be tried once more.")
        return Verdict(title % {"count": lost}, text, "bad", "/library?capture=lost", _("See them"))
    if worry := _first(worries, Weight.WARNING):
        return worry
    if unread:
        title = ngettext(
            "%(count)s receipt was not understood", "%(count)s receipts were not understood", unread
        )
        text = _("Nothing is lost: each is kept whole and can be read again after an update.")
        return Verdict(title % {"count": unread}, text, "warn", "#receipts", _("See them"))
    if not accounts:
        title, text = (
            _("No number is connected yet"),
            _("Connect a WhatsApp number, and its files appear here by themselves."),
        )
        return Verdict(title, text, "info", "/integrations", _("Integrations"))
    for told in others[:1]:
        return Verdict(told.title, told.text, told.tone, told.action, told.action_label)
    if worry := _first(worries, Weight.NOTE):
        return worry
    return Verdict(_("Everything works"), _("Files arrive, are kept and reach the CRM by themselves."), "")


def _first(worries: Sequence[Worry], weight: Weight) -> Verdict | None:
    for worry in worries:
        if worry.concern.weight == weight:
            told = worry.told
            return Verdict(told.title, told.text, told.tone, told.action, told.action_label)
    return None


def scanner_verdict(scanner: ScannerState, held: QuerySet[MediaFile]) -> Verdict | None:
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
