"""What the frame around every page needs: where one can go, in which language and theme."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from acervo.deliver import undecided
from acervo.models import Ability, Delivery, Member
from acervo.web.middleware import theme_of
from acervo.web.words import Words

OF_CONNECTIONS: Final = ("/settings/connections", "/settings/crms")
"""Settings that belong to one connection: their place is among the integrations."""


@dataclass(frozen=True, slots=True)
class Place:
    """An entry of the rail."""

    label: Words
    address: str
    icon: str
    is_here: bool = False
    count: int = 0
    """What waits there for somebody."""


def shell(request: HttpRequest) -> dict[str, Any]:
    """The member is already there. One query, for those who decide about people in the CRMs, once the rail is drawn."""
    user = getattr(request, "user", None)
    member = user if isinstance(user, Member) or (user is not None and user.is_authenticated) else None
    return {
        "member": member,
        "theme": theme_of(request),
        "language": get_language() or settings.LANGUAGE_CODE,
        "languages": settings.LANGUAGES,
        "themes": Member._meta.get_field("theme").choices,
        "places": SimpleLazyObject(lambda: _counted(member, _places(member, request.path, "main")))
        if member
        else [],
        "end_places": _places(member, request.path, "end") if member else [],
        "settings_places": _places(member, request.path, "settings") if member else [],
        "can": {ability.value: member.can(ability) for ability in Ability} if member else {},
        "version": settings.VERSION,
    }


def _is_there(here: str, address: str, begins: tuple[str, ...]) -> bool:
    return here.startswith(begins) and (address == "/integrations" or not here.startswith(OF_CONNECTIONS))


def _counted(member: Member, places: list[Place]) -> list[Place]:
    if not member.can(Ability.RETRY):
        return places
    waiting = undecided.count(Delivery.objects.visible_to(member))
    return [replace(place, count=waiting) if place.address == "/review" else place for place in places]


def _places(member: Member, here: str, where: str) -> list[Place]:
    known = {
        "main": (
            (_("Library"), "/library", "library-big", ("/library", "/m/"), True),
            (_("Review"), "/review", "user-check", ("/review",), member.can(Ability.RETRY)),
            (_("Contacts"), "/contacts", "users", ("/contacts",), True),
            (_("Health"), "/health", "activity", ("/health",), member.can(Ability.OPERATE)),
        ),
        "end": (
            (
                _("Integrations"),
                "/integrations",
                "plug",
                ("/integrations", *OF_CONNECTIONS),
                member.can(Ability.OPERATE),
            ),
            (_("Settings"), "/me", "settings", ("/me", "/settings"), True),
        ),
        "settings": (
            (_("Your preferences"), "/me", "user", ("/me",), True),
            (_("Media"), "/settings/media", "video", ("/settings/media",), member.can(Ability.OPERATE)),
            (
                _("Messages"),
                "/settings/answers",
                "send",
                ("/settings/answers",),
                member.can(Ability.OPERATE),
            ),
            (
                _("Transcripts"),
                "/settings/transcripts",
                "captions",
                ("/settings/transcripts",),
                member.can(Ability.CONFIGURE),
            ),
            (_("Hooks"), "/settings/hooks", "webhook", ("/settings/hooks",), member.can(Ability.OPERATE)),
            (
                _("Remake copies"),
                "/settings/remakes",
                "refresh-cw",
                ("/settings/remakes",),
                member.can(Ability.OPERATE),
            ),
            (
                _("Storage"),
                "/settings/storage",
                "hard-drive",
                ("/settings/storage",),
                member.can(Ability.OPERATE),
            ),
            (_("API tokens"), "/settings/tokens", "key-round", ("/settings/tokens",), True),
        ),
    }
    return [
        Place(label, address, icon, is_here=_is_there(here, address, begins))
        for label, address, icon, begins, is_allowed in known[where]
        if is_allowed
    ]
