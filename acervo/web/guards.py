"""Who may enter a page: signed-in members, and for some pages those with an ability."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, cast
from urllib.parse import urlencode, urlsplit
from uuid import UUID

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, resolve_url

from acervo.models import Ability, Connection, Member

P = ParamSpec("P")


class MemberRequest(HttpRequest):
    """A request past the guard."""

    user: Member
    htmx: Any


View = Callable[Concatenate[MemberRequest, P], HttpResponseBase]
Door = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def visible_crm(member: Member, connection: UUID) -> Connection:
    """A connected CRM of theirs. Raises Http404."""
    found = Connection.objects.visible_to(member).crms().filter(removed_at=None)
    return get_object_or_404(found, pk=connection)


def for_members(view: View[P]) -> Door[P]:
    """Everybody else is sent to sign in, and comes back afterwards."""

    @functools.wraps(view)
    def guarded(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return _to_sign_in(request)
        return view(cast(MemberRequest, request), *args, **kwargs)

    return cast(Door[P], guarded)


def needs(ability: Ability) -> Callable[[View[P]], View[P]]:
    """For members with this ability; others read why not. Goes below `for_members`."""

    def guard(view: View[P]) -> View[P]:
        @functools.wraps(view)
        def guarded(request: MemberRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if not request.user.can(ability):
                raise PermissionDenied(ability)
            return view(request, *args, **kwargs)

        return cast(View[P], guarded)

    return guard


def _to_sign_in(request: HttpRequest) -> HttpResponseBase:
    htmx = getattr(request, "htmx", None)
    if htmx:
        # The page is open in a browser whose session ended: leave it as a whole, and come back to it.
        here = urlsplit(htmx.current_url or "/")
        back = f"{here.path}?{here.query}" if here.query else here.path
        return HttpResponse(status=204, headers={"HX-Redirect": _sign_in_address(back)})
    return redirect(_sign_in_address(request.get_full_path() if request.method == "GET" else "/library"))


def _sign_in_address(back_to: str) -> str:
    return f"{resolve_url(settings.LOGIN_URL)}?{urlencode({'next': back_to})}"
