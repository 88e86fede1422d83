"""Keys for programs: made with no more rights than their member has, shown once, taken back at any time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from secrets import token_urlsafe
from typing import Final

from django.db import transaction

from acervo.base import clock, ids
from acervo.base.errors import Refused
from acervo.base.tokens import digest
from acervo.govern import subscriptions
from acervo.models import Ability, ApiToken, AuditEntry, Deed, Member, Scope, by_member
from acervo.models.api_token import narrower_roles

BEGINNING: Final = "acv_"
TOKEN_BYTES: Final = 32
SHOWN: Final = 10
MOST_LIVE: Final = 50
"""Of one member."""
LONGEST_NAME: Final = 80
LASTS: Final[Mapping[str, timedelta | None]] = {
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
    "365d": timedelta(days=365),
    "endless": None,
}
"""What may be chosen. Without an end only by those who connect systems."""


class NameMissing(Refused):
    """A token says what it is for."""

    code = "token_name_missing"


class NothingAllowed(Refused):
    """A token is made for something, and for nothing that does not exist."""

    code = "token_scope_missing"


class RoleTooWide(Refused):
    """A token has no more rights than whoever makes it."""

    code = "token_role_too_wide"


class EndUnknown(Refused):
    """A token ends after one of the times that are offered."""

    code = "token_end_unknown"


class TooManyTokens(Refused):
    """Nobody looks after this many tokens."""

    code = "too_many_tokens"


@dataclass(frozen=True, slots=True)
class TokenWish:
    """What somebody wants a token for. An empty role: that of the member."""

    name: str
    scopes: Sequence[str]
    lasts: str
    """A key of LASTS."""
    role: str = ""


def make(member: Member, wish: TokenWish) -> tuple[ApiToken, str]:
    """The row, and the token, which nobody can tell again. Raises Refused, and then nothing is made."""
    name = " ".join(wish.name.split())[:LONGEST_NAME]
    _check(member, wish, name)
    token = BEGINNING + token_urlsafe(TOKEN_BYTES)
    at, lasts = clock.now(), LASTS[wish.lasts]
    with transaction.atomic():
        Member.objects.select_for_update().only("pk").get(
            pk=member.pk
        )  # two at once would both be the fiftieth
        if ApiToken.objects.live(at).filter(member=member).count() >= MOST_LIVE:
            raise TooManyTokens()
        row = ApiToken.objects.create(
            workspace_id=member.workspace_id,
            member=member,
            name=name,
            prefix=token[:SHOWN],
            token_sha256=digest(token),
            scopes=[scope for scope in Scope.values if scope in wish.scopes],
            role=wish.role or None,
            expires_at=at + lasts if lasts else None,
        )
        details: dict[str, object] = {
            "scopes": row.scopes,
            "role": row.role or member.role,
            "lasts": wish.lasts,
        }
        _record(row, "api_token.made", by_member(member), details)
    return row, token


def revoke(token: ApiToken, by: str) -> bool:
    """It opens nothing from now on, links it gave out included; hooks made with it end. Whether it was still open."""
    with transaction.atomic():
        found = ApiToken.objects.filter(pk=token.pk, revoked_at=None)
        if not found.update(revoked_at=clock.now(), revoked_by=by):
            return False
        subscriptions.end_of_token(token, by)
        _record(token, "api_token.revoked", by, {})
    return True


def lasts_for(member: Member) -> list[str]:
    """The keys of LASTS that this member may choose."""
    return [key for key, lasts in LASTS.items() if lasts or member.can(Ability.CONNECT)]


def _check(member: Member, wish: TokenWish, name: str) -> None:
    if not name or not name.isprintable():
        raise NameMissing()
    if not wish.scopes or not set(wish.scopes) <= set(Scope.values):
        raise NothingAllowed()
    if wish.role and wish.role not in narrower_roles(member):
        raise RoleTooWide()
    if wish.lasts not in lasts_for(member):
        raise EndUnknown()


def _record(token: ApiToken, action: str, by: str, details: dict[str, object]) -> None:
    deed = Deed(action, "api_token", token.pk, "", {"token": ids.text(token.pk), **details})
    AuditEntry.objects.record(token.workspace_id, by, [deed])
