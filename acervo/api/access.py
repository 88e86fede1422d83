"""Who is asking: a token, its member's rights as far as the token reaches, and how often it may ask."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Final

from django.http import HttpRequest
from django.utils import translation
from django.utils.translation import gettext as _
from ninja.security import HttpBearer

from acervo.api.problems import Problem
from acervo.base import clock
from acervo.models import Ability, ApiToken, Member, Scope, by_token
from acervo.models.api_token import WINDOW, Counted

REQUESTS_A_WINDOW: Final = 600
TOKEN: Final = re.compile(r"acv_[A-Za-z0-9_-]{43}")
POLICY: Final = f'"token";q={REQUESTS_A_WINDOW};w={int(WINDOW.total_seconds())}'


@dataclass(frozen=True, slots=True)
class Caller:
    """A token that was let in."""

    token: ApiToken
    member: Member
    """With the rights of the token; never to be saved."""

    @property
    def by(self) -> str:
        """As the audit names the author of what it does."""
        return by_token(self.token)


class ApiRequest(HttpRequest):
    """A request past the entrance."""

    auth: Caller
    counted: Counted


class TokenInvalid(Problem):
    """This token is unknown, taken back or over."""

    code, status = "token_invalid", 401
    headers = {"WWW-Authenticate": 'Bearer realm="acervo"'}

    def words(self) -> str:
        return _(
            "Send `Authorization: Bearer acv_…` with a token that was neither taken back nor has ended. Settings → API tokens has them."
        )


class ScopeMissing(Problem):
    """The token was not made for this."""

    code, status = "scope_missing", 403

    def __init__(self, scope: str) -> None:
        super().__init__(scope=scope)
        self.scope = scope
        self.headers = {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'}

    def words(self) -> str:
        return _("The token has not the scope %(scope)s. Make one that has it.") % {"scope": self.scope}


class RoleTooNarrow(Problem):
    """The role behind the token may not do this."""

    code, status = "role_too_narrow", 403

    def words(self) -> str:
        return _("The role of this token may not do that, whatever its scopes.")


class TooManyRequests(Problem):
    """The token asked too often in this minute."""

    code, status = "too_many_requests", 429

    def __init__(self, wait_s: int) -> None:
        super().__init__(wait_s=wait_s)
        self.wait_s = wait_s
        self.headers = {"Retry-After": str(wait_s)}

    def words(self) -> str:
        return _("A token may ask %(count)s times a minute. Ask again in %(wait)s seconds.") % {
            "count": REQUESTS_A_WINDOW,
            "wait": self.wait_s,
        }


class Bearer(HttpBearer):
    """An API token of a member of this workspace (`acv_…`), from Settings → API tokens. Each operation names the scope it
    needs; what a token sees is what its member sees."""

    openapi_bearerFormat = "acv_…"  # noqa: N815  (ninja reads what begins with `openapi_`)
    openapi_description = " ".join((__doc__ or "").split())

    def __init__(self, scope: str | None, ability: Ability | None) -> None:
        super().__init__()
        self.scope = scope
        self.ability = ability

    def __call__(self, request: HttpRequest) -> Caller:
        return self.authenticate(request, _given(request))

    def authenticate(self, request: HttpRequest, token: str) -> Caller:
        caller = _let_in(request, token)
        if self.scope and self.scope not in caller.token.scopes:
            raise ScopeMissing(self.scope)
        if self.ability and not caller.member.can(self.ability):
            raise RoleTooNarrow()
        return caller


def needs(scope: Scope | None, ability: Ability | None = None) -> Any:
    """What an operation asks of the token: `@router.get("", auth=needs(Scope.MEDIA_READ))`."""
    return Bearer(scope.value if scope else None, ability)


def limit_headers(counted: Counted) -> dict[str, str]:
    """draft-ietf-httpapi-ratelimit-headers-10, which replaced the three headers of earlier drafts."""
    left = max(REQUESTS_A_WINDOW - counted.requests, 0)
    return {"RateLimit-Policy": POLICY, "RateLimit": f'"token";r={left};t={_seconds_left(counted)}'}


def _given(request: HttpRequest) -> str:
    scheme, _space, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _let_in(request: HttpRequest, given: str) -> Caller:
    """Raises TokenInvalid, the same for every reason, and TooManyRequests."""
    if not TOKEN.fullmatch(given):
        raise TokenInvalid()
    at = clock.now()
    token = ApiToken.objects.of_token(given).live(at).select_related("member", "workspace").first()
    if token is None:
        raise TokenInvalid()
    counted = token.count_request(at)
    request.counted = counted  # type: ignore[attr-defined]
    if "Accept-Language" not in request.headers:
        translation.activate(token.member.language)  # until the answer is made: `main.answered`
    if counted.requests > REQUESTS_A_WINDOW:
        raise TooManyRequests(_seconds_left(counted))
    return Caller(token, token.acting())


def _seconds_left(counted: Counted) -> int:
    return max(math.ceil((counted.ends_at - clock.now()).total_seconds()), 1)
