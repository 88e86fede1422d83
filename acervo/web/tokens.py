"""Tokens for programs: made, looked over, taken back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST

from acervo.base import clock
from acervo.base.errors import Refused
from acervo.govern import api_tokens as govern
from acervo.govern.api_tokens import TokenWish
from acervo.models import Ability, ApiToken, Member, Scope, by_member
from acervo.models.api_token import narrower_roles
from acervo.web import words
from acervo.web.guards import MemberRequest, for_members

EARLIER: Final = 20
SCOPES: Final[dict[str, tuple[words.Words, words.Words]]] = {
    Scope.MEDIA_READ: (
        gettext_lazy("Read files"),
        gettext_lazy("Find files, read their facts and transcripts, open them."),
    ),
    Scope.MEDIA_WRITE: (gettext_lazy("Tag files"), gettext_lazy("Put tags on files and take them off.")),
    Scope.PEOPLE_READ: (
        gettext_lazy("Read people"),
        gettext_lazy("Names, phone numbers, chats and consent of those who write to you."),
    ),
    Scope.PEOPLE_WRITE: (
        gettext_lazy("Link people"),
        gettext_lazy("Say which CRM contact a person is."),
    ),
    Scope.CONNECTIONS_READ: (
        gettext_lazy("Read connections"),
        gettext_lazy("Whether numbers and CRMs are well. Never their secrets."),
    ),
    Scope.DELIVERIES_READ: (
        gettext_lazy("Read deliveries"),
        gettext_lazy("What went to the CRM, what did not and why."),
    ),
    Scope.DELIVERIES_WRITE: (
        gettext_lazy("Act on deliveries"),
        gettext_lazy("Try again, choose the right contact."),
    ),
    Scope.SUBSCRIPTIONS_WRITE: (
        gettext_lazy("Subscribe to events"),
        gettext_lazy("Be told when something happens, and stop being told."),
    ),
}
LASTS: Final[dict[str, words.Words]] = {
    "30d": gettext_lazy("30 days"),
    "90d": gettext_lazy("90 days"),
    "365d": gettext_lazy("A year"),
    "endless": gettext_lazy("Without an end"),
}
STATES: Final[dict[str, words.Status]] = {
    "live": words.Status(gettext_lazy("In use"), "ok", "circle-check"),
    "revoked": words.Status(gettext_lazy("Taken back"), "", "ban"),
    "expired": words.Status(gettext_lazy("Ended"), "", "clock"),
    "left": words.Status(gettext_lazy("Its member is locked out"), "", "ban"),
}
USUAL: Final = TokenWish(name="", scopes=(Scope.MEDIA_READ, Scope.PEOPLE_READ), lasts="90d")


@dataclass(frozen=True, slots=True)
class Row:
    """A token as the page shows it."""

    token: ApiToken
    status: words.Status
    may: Sequence[words.Words]
    role: words.Words
    is_own: bool

    @property
    def is_unused(self) -> bool:
        return self.token.last_used_at is None


@require_http_methods(["GET", "POST"])
@for_members
def tokens(request: MemberRequest) -> HttpResponseBase:
    """All of the workspace for those who connect systems, one's own for everybody else."""
    return _make(request) if request.method == "POST" else _page(request, USUAL)


@require_POST
@for_members
def revoke(request: MemberRequest, key: UUID) -> HttpResponse:
    found = get_object_or_404(ApiToken.objects.visible_to(request.user), pk=key)
    if govern.revoke(found, by_member(request.user)):
        messages.success(
            request, _("%(name)s is taken back. It opens nothing any more.") % {"name": found.name}
        )
    return redirect("settings_tokens")


@sensitive_variables("made")
def _make(request: MemberRequest) -> HttpResponse:
    sent = request.POST
    wish = TokenWish(
        name=sent.get("name", ""),
        scopes=sent.getlist("scopes"),
        lasts=sent.get("lasts", ""),
        role=sent.get("role", ""),
    )
    try:
        _row, made = govern.make(request.user, wish)
    except Refused as refused:
        trouble = {"code": refused.code, "words": words.refusal(refused.code)}
        return _page(request, wish, trouble=trouble, status=422)
    return _page(request, USUAL, made=made)


def _page(
    request: MemberRequest,
    typed: TokenWish,
    *,
    made: str = "",
    trouble: dict[str, Any] | None = None,
    status: int = 200,
) -> HttpResponse:
    found = _rows(request.user, ApiToken.objects.visible_to(request.user).select_related("member"))
    live = [row for row in found if row.status is STATES["live"]]
    return render(
        request,
        "settings_tokens.html",
        {
            "made": made,
            "trouble": trouble,
            "typed": typed,
            "live": live,
            "earlier": [row for row in found if row not in live][:EARLIER],
            "sees_all": request.user.can(Ability.CONNECT),
            "scopes": [(name, *said, name in typed.scopes) for name, said in SCOPES.items()],
            "roles": [(role, words.ROLES[role]) for role in narrower_roles(request.user)],
            "lasts": [(key, LASTS[key]) for key in govern.lasts_for(request.user)],
            "base_url": settings.ACERVO_BASE_URL,
        },
        status=status,
    )


def _rows(member: Member, found: Iterable[ApiToken]) -> list[Row]:
    at = clock.now()
    newest = sorted(found, key=lambda token: token.pk, reverse=True)
    return [
        Row(
            token=token,
            status=STATES[token.state(at)],
            may=[SCOPES[scope][0] for scope in token.scopes],
            role=words.ROLES[token.acting().role],
            is_own=token.member_id == member.pk,
        )
        for token in newest
    ]
