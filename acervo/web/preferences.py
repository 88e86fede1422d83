"""The reader's own choices: language, theme and time zone; the first two also before signing in."""

from __future__ import annotations

from typing import Final
from zoneinfo import available_timezones

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import translation
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from acervo.web.guards import MemberRequest, for_members
from acervo.web.middleware import LANGUAGE_COOKIE, THEME_COOKIE, THEMES

A_YEAR_S: Final = 365 * 24 * 3600


@require_POST
def appearance(request: HttpRequest) -> HttpResponseBase:
    """Language and theme, from the switches on any page; back to that page."""
    language, theme = request.POST.get("language", ""), request.POST.get("theme", "")
    response = redirect(_back(request))
    if language in dict(settings.LANGUAGES):
        _keep(request, response, "language", language)
    if theme in THEMES:
        _keep(request, response, "theme", theme)
    return response


@require_http_methods(["GET", "POST"])
@for_members
def me(request: MemberRequest) -> HttpResponse:
    zones = sorted(zone for zone in available_timezones() if "/" in zone and not zone.startswith("Etc/"))
    if request.method == "GET":
        return render(request, "me.html", {"zones": zones})
    member, asked = request.user, request.POST
    if asked.get("language") in dict(settings.LANGUAGES):
        member.language = asked["language"]
    if asked.get("theme") in THEMES:
        member.theme = asked["theme"]
    if asked.get("time_zone") in zones or asked.get("time_zone") == "UTC":
        member.time_zone = asked["time_zone"]
    member.name = asked.get("name", member.name).strip()[:120]
    member.save(update_fields=["language", "theme", "time_zone", "name"])
    with translation.override(member.language):
        messages.success(request, _("Saved."))
    return redirect("me")


def _keep(request: HttpRequest, response: HttpResponse, what: str, value: str) -> None:
    """On the member, and in the browser for when nobody is signed in."""
    if request.user.is_authenticated:
        setattr(request.user, what, value)
        request.user.save(update_fields=[what])
    cookie = LANGUAGE_COOKIE if what == "language" else THEME_COOKIE
    response.set_cookie(
        cookie, value, max_age=A_YEAR_S, secure=settings.SESSION_COOKIE_SECURE, httponly=True, samesite="Lax"
    )


def _back(request: HttpRequest) -> str:
    wanted = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if is_ours else "/"
