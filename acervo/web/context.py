"""What the frame around every page needs: where one can go, in which language and theme."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from acervo.models import Ability, Member
from acervo.web.middleware import theme_of
from acervo.web.words import Words


@dataclass(frozen=True, slots=True)
class Place:
    """An entry of the rail."""

    label: Words
    address: str
    icon: str
    is_here: bool = False


def shell(request: HttpRequest) -> dict[str, Any]:
    """Costs no query: the member is already there."""
    user = getattr(request, "user", None)
    member = user if isinstance(user, Member) or (user is not None and user.is_authenticated) else None
    return {
        "member": member,
        "theme": theme_of(request),
        "language": get_language() or settings.LANGUAGE_CODE,
        "languages": settings.LANGUAGES,
        "themes": Member._meta.get_field("theme").choices,
        "places": _places(member, request.path, "main") if member else [],
        "end_places": _places(member, request.path, "end") if member else [],
        "settings_places": _places(member, request.path, "settings") if member else [],
        "can": {ability.value: member.can(ability) for ability in Ability} if member else {},
        "version": settings.VERSION,
    }


def _places(member: Member, here: str, where: str) -> list[Place]:
    known = {
        "main": (
            (_("Library"), "/library", "library-big", ("/library", "/m/"), True),
            (_("Contacts"), "/contacts", "users", ("/contacts",), True),
            (_("Health"), "/health", "activity", ("/health",), member.can(Ability.OPERATE)),
        ),
        "end": (
            (_("Integrations"), "/integrations", "plug", ("/integrations",), member.can(Ability.OPERATE)),
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
        Place(label, address, icon, is_here=here.startswith(begins))
        for label, address, icon, begins, is_allowed in known[where]
        if is_allowed
    ]
