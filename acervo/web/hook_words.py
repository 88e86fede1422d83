"""Hooks in words: what they can tell, how they are, and why something was not taken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Final

from django.utils.translation import gettext, pgettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from acervo.base import clock, ids
from acervo.models import Detail, EventKind, Member, Subscription
from acervo.models.subscription import STEADY
from acervo.web.concern_words import Said
from acervo.web.words import BY_HAND, Status, Words, refusal

WORTH_A_WORD: Final = timedelta(hours=1)
"""A restart over there takes less."""

EVENTS: Final[Mapping[str, tuple[Words, Words]]] = {
    EventKind.STORED: (_("A file is kept"), _("Its bytes are here, proven and sealed.")),
    EventKind.READY: (_("A file is ready"), _("It was looked at, and plays everywhere.")),
    EventKind.TRANSCRIBED: (_("A file was transcribed"), _("What is said in it can be read.")),
    EventKind.TAGGED: (_("Tags changed"), _("A tag was put on a file, or taken off.")),
    EventKind.DELIVERED: (_("A file is in the CRM"), _("It is on a record of a connected CRM.")),
    EventKind.FAILED: (
        _("A file needs somebody"),
        _("It could not be had, or a CRM does not take it as it is."),
    ),
    EventKind.CONSENT: (_("Consent changed"), _("A contact agreed, or did not agree.")),
    EventKind.ERASED: (_("A file was erased"), _("Whoever has a copy or a note of it should let go.")),
}
"""What happened, and what it means."""
DETAILS: Final[Mapping[str, tuple[Words, Words]]] = {
    Detail.FACTS: (
        _("Facts only"),
        _("Ids, links, kinds, sizes and moments. Nothing says who somebody is, or what they said."),
    ),
    Detail.FULL: (
        _("With contact and content"),
        _(
            "The contact's name and number, captions, file names, transcripts and tags, too. You share personal data with whoever receives it."
        ),
    ),
}
STATES: Final[Mapping[str, Status]] = {
    "live": Status(_("Normal"), "ok", "circle-check"),
    "silent": Status(_("Nothing told yet"), "", "clock"),
    "failing": Status(_("Does not take anything"), "warn", "triangle-alert"),
    "paused": Status(_("Paused"), "warn", "pause"),
    "disabled": Status(_("Switched off"), "bad", "circle-alert"),
    "ended": Status(_("Ended"), "", "ban"),
}
DELIVERY_STATES: Final[Mapping[str, Status]] = {
    "told": Status(pgettext_lazy("event", "Told"), "ok", "circle-check"),
    "waiting": Status(pgettext_lazy("event", "Waiting"), "", "clock"),
    "trying": Status(pgettext_lazy("event", "Trying again"), "warn", "refresh-cw"),
    "stopped": Status(pgettext_lazy("event", "Not told"), "bad", "circle-x"),
}
TROUBLES: Final[Mapping[str, Words]] = {
    "timed_out": _("It did not answer within ten seconds."),
    "unreachable": _("Nobody answers at this address."),
    "broken_off": _("The connection broke off."),
    "not_trusted": _("Its certificate is not to be trusted, so nothing was sent."),
    "private_address": _(
        "The address leads into a private network. Whoever runs this archive must name it in ACERVO_ALLOW_PRIVATE_HOSTS."
    ),
    "redirected": _("It sent us on to another address, which we do not follow. Enter the final address."),
    "not_taken": _("It answered, and did not take the event."),
    "rate_limited": _("It asked us to slow down."),
    "server_error": _("It answered with an error of its own."),
    "gone": _("It said that it no longer wants to be told anything."),
    "dropped": _("Somebody let it go when the hook was resumed."),
    "ended": _("The hook ended before it was told."),
    "sealed_elsewhere": _(
        "Its secret was sealed with another key. Make a new hook, or give back the old key."
    ),
}
FAILING: Final[Words] = _(
    "It took nothing for five days, so we stopped. Nothing is lost: mend it there, then resume, and what waited is told."
)
ENDS: Final[Mapping[str, Words]] = {
    "by_hand": _("It was removed by hand."),
    "unsubscribed": _("Whoever made it took it back."),
    "gone": _("The address answered that it no longer wants to be told anything (410)."),
}


def trouble(code: str | None) -> Words:
    """Why an event was not taken."""
    return (TROUBLES.get(code) or refusal(code)) if code else ""


def pause_reason(code: str | None) -> Words:
    return FAILING if code == "failing" else BY_HAND if code else ""


def worries(member: Member) -> Iterator[Said]:
    """Hooks that are told nothing any more, and those that take nothing, for the health page."""
    found = Subscription.objects.visible_to(member).filter(ended_at=None).order_by("name")
    for row in found.filter(pause_reason="failing"):
        title = gettext("The hook %(name)s was switched off") % {"name": row.name}
        yield _said(row, title, str(FAILING), "bad", "circle-alert")
    for row in found.filter(
        paused_at=None, failures__gte=STEADY, failing_since__lt=clock.now() - WORTH_A_WORD
    ):
        title = gettext("The hook %(name)s takes nothing") % {"name": row.name}
        text = gettext("We ask again by ourselves, and nothing is lost. After five days we stop.")
        yield _said(row, title, text, "warn", "triangle-alert")


def _said(row: Subscription, title: str, text: str, tone: str, icon: str) -> Said:
    address = f"/settings/hooks/{ids.text(row.pk)}"
    return Said(title, text, tone, icon, address, pgettext("concern", "Look at it"))
