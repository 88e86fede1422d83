"""What is wrong with a connection, in words: what happened, what is safe, and the one thing that helps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from acervo.base import ids
from acervo.govern.concerns import Concern, Weight
from acervo.models import Connection, Purpose
from acervo.web import words
from acervo.web.health_words import event, facts, way_in
from acervo.web.tags import left, span
from acervo.web.words import Words

TONES: Final[Mapping[Weight, str]] = {Weight.BAD: "bad", Weight.WARNING: "warn", Weight.NOTE: "info"}
ICONS: Final[Mapping[Weight, str]] = {
    Weight.BAD: "circle-alert",
    Weight.WARNING: "triangle-alert",
    Weight.NOTE: "info",
}


@dataclass(frozen=True, slots=True)
class Said:
    """A concern in words, with the one thing that helps."""

    title: str
    text: str
    tone: str
    icon: str
    action: str = ""
    action_label: str = ""


def said(concern: Concern, connection: Connection, *, can_connect: bool = False) -> Said:
    """One concern about one connection, as the health page says it."""
    title, text = TEXTS[concern.code](concern.facts, connection)
    page = f"/integrations/{ids.text(connection.pk)}"
    action, label = page, pgettext("concern", "Look at it")
    if concern.code in RECONNECTED and can_connect:
        action, label = f"{page}/reconnect", _("Reconnect %(name)s") % {"name": connection.name}
    return Said(title, text, TONES[concern.weight], ICONS[concern.weight], action, label)


Facts = Mapping[str, Any]


def _access_lost(told: Facts, connection: Connection) -> tuple[str, str]:
    title = _("%(name)s no longer accepts our access") % {"name": connection.name}
    return title, str(_refusal(told["code"], connection))


def _not_answering(told: Facts, connection: Connection) -> tuple[str, str]:
    title = _("%(name)s did not answer when asked whether it is well") % {"name": connection.name}
    return title, str(_refusal(told["code"], connection))


def _not_checked(told: Facts, connection: Connection) -> tuple[str, str]:
    title = _("%(name)s has not been checked for hours") % {"name": connection.name}
    return title, _(
        "It is asked every hour. Start a worker with the queues `tick` and `bulk`, or restart the archive."
    )


def _way_in_closed(told: Facts, connection: Connection) -> tuple[str, str]:
    title = _("Webhooks of %(name)s do not reach this archive") % {"name": connection.name}
    return title, str(way_in(told["code"]))


def _certificate_ends(told: Facts, connection: Connection) -> tuple[str, str]:
    title = _("The certificate of this archive's address ends in %(left)s") % {
        "left": left(told["at"]) or _("a moment")
    }
    return title, _("Without it providers stop calling, and files are lost. Renew it now.")


def _account_event(told: Facts, connection: Connection) -> tuple[str, str]:
    title = f"{connection.name}: {event(told['event'])}"
    if told["count"] == 1:
        return title, _("Read what it means, then mark it as seen.")
    text = ngettext(
        "%(count)s more report waits to be seen.",
        "%(count)s more reports wait to be seen.",
        told["count"] - 1,
    )
    return title, text % {"count": told["count"] - 1}


def _token_ends(told: Facts, connection: Connection) -> tuple[str, str]:
    remaining = left(told["at"])
    title = (
        _("The token of %(name)s ends in %(left)s") % {"name": connection.name, "left": remaining}
        if remaining
        else _("The token of %(name)s has ended") % {"name": connection.name}
    )
    return title, _("Make a new one at the provider and reconnect. What comes meanwhile waits.")


def _permissions_missing(told: Facts, connection: Connection) -> tuple[str, str]:
    title = _("The token of %(name)s lacks permissions") % {"name": connection.name}
    text = _("Missing: %(names)s. Make a token that has them, and reconnect.")
    return title, text % {"names": ", ".join(told["names"])}


def _webhook_elsewhere(told: Facts, connection: Connection) -> tuple[str, str]:
    title = _("The provider of %(name)s does not knock at our address") % {"name": connection.name}
    return title, _(
        "Register the webhook address of this connection at the provider; it stands under Integrations."
    )


def _account_unwell(told: Facts, connection: Connection) -> tuple[str, str]:
    title = _("The account of %(name)s needs a look") % {"name": connection.name}
    known = [
        f"{label}: {value}" for name, label, value in facts(connection.check_facts) if name in told["names"]
    ]
    return title, "; ".join(known) or _("The provider says that something about it is not well.")


def _allowance_spent(told: Facts, connection: Connection) -> tuple[str, str]:
    title = _("%(name)s has used most of its allowance") % {"name": connection.name}
    text = _("The provider counts %(percent)s percent of its calls as used. At 95 we wait by ourselves.")
    return title, text % {"percent": round(told["percent"])}


def _quiet(told: Facts, connection: Connection) -> tuple[str, str]:
    title = _("%(name)s is quiet for longer than usual") % {"name": connection.name}
    usual = told["usual"]
    if usual is None:
        return title, _("Nothing has come for weeks. If that is meant, pause or remove it.")
    text = _(
        "At this hour of this weekday the longest silence of the last four weeks was %(usual)s. It may be a holiday; if not, send a message to the number and see whether it arrives."
    )
    return title, text % {"usual": span(usual.total_seconds())}


def _refusal(code: str, connection: Connection) -> Words:
    return words.crm_refusal(code) if connection.purpose == Purpose.CRM else words.refusal(code)


TEXTS: Final[Mapping[str, Callable[[Facts, Connection], tuple[str, str]]]] = {
    "access_lost": _access_lost,
    "not_answering": _not_answering,
    "not_checked": _not_checked,
    "way_in_closed": _way_in_closed,
    "certificate_ends": _certificate_ends,
    "account_event": _account_event,
    "token_ends": _token_ends,
    "permissions_missing": _permissions_missing,
    "webhook_elsewhere": _webhook_elsewhere,
    "account_unwell": _account_unwell,
    "allowance_spent": _allowance_spent,
    "quiet": _quiet,
}
RECONNECTED: Final = frozenset({"access_lost", "token_ends", "permissions_missing"})
"""What a new token mends."""
