"""What every page gets: a strict content-security policy, and the reader's language, time zone and theme."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone, translation
from django.utils.cache import patch_vary_headers
from django.utils.decorators import sync_and_async_middleware

POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "font-src 'self'",
        "media-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'self'",
    )
)
LANGUAGE_COOKIE: Final = "acervo_language"
THEME_COOKIE: Final = "acervo_theme"
THEMES: Final = ("auto", "light", "dark")

Respond = Callable[[HttpRequest], HttpResponseBase]
RespondSoon = Callable[[HttpRequest], Awaitable[HttpResponseBase]]


@sync_and_async_middleware
def content_security_policy(get_response: Any) -> Respond | RespondSoon:
    """Nothing inline, nothing from elsewhere. A response that brings its own policy keeps it."""

    def protect(response: HttpResponseBase) -> HttpResponseBase:
        response.headers.setdefault("Content-Security-Policy", POLICY)
        return response

    if iscoroutinefunction(get_response):

        async def soon(request: HttpRequest) -> HttpResponseBase:
            return protect(await get_response(request))

        return soon

    def now(request: HttpRequest) -> HttpResponseBase:
        return protect(get_response(request))

    return now


@sync_and_async_middleware
def member_preferences(get_response: Any) -> Respond | RespondSoon:
    """The member's own choices; before signing in, those of the browser's cookies, else those of the installation."""

    def finish(response: HttpResponseBase) -> HttpResponseBase:
        response.headers.setdefault("Content-Language", translation.get_language())
        # Pages tell of customers: no browser keeps them for whoever sits down next.
        response.headers.setdefault("Cache-Control", "private, no-store")
        # A fragment and its page share an address: nothing in between may take one for the other.
        patch_vary_headers(response, ("Cookie", "HX-Request"))
        return response

    if iscoroutinefunction(get_response):

        async def soon(request: HttpRequest) -> HttpResponseBase:
            language, zone = await sync_to_async(_preferences)(request)
            with translation.override(language), timezone.override(zone):
                return finish(await get_response(request))

        return soon

    def now(request: HttpRequest) -> HttpResponseBase:
        language, zone = _preferences(request)
        with translation.override(language), timezone.override(zone):
            return finish(get_response(request))

    return now


def theme_of(request: HttpRequest) -> str:
    """auto, light or dark."""
    member = request.user if hasattr(request, "user") else None
    chosen = member.theme if member and member.is_authenticated else request.COOKIES.get(THEME_COOKIE, "auto")
    return chosen if chosen in THEMES else "auto"


def _preferences(request: HttpRequest) -> tuple[str, ZoneInfo]:
    member = request.user
    if member.is_authenticated:
        return _known_language(member.language), _zone(member.time_zone)
    return _known_language(request.COOKIES.get(LANGUAGE_COOKIE, "")), _zone(settings.TIME_ZONE)


def _known_language(code: str) -> str:
    return code if code in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo(settings.TIME_ZONE)
