"""What a number does about files that are taken back, and about the provider's own copies."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from acervo import providers
from acervo.base.errors import Refused
from acervo.fetch import forgotten
from acervo.govern import connections as govern
from acervo.models import Ability, Connection, by_member
from acervo.providers.recovery import Forgets
from acervo.web import words
from acervo.web.guards import MemberRequest, for_members, needs


@require_http_methods(["GET", "POST"])
@for_members
@needs(Ability.CONNECT)
def rules(request: MemberRequest, connection: UUID) -> HttpResponse:
    found = Connection.objects.visible_to(request.user).providers().filter(removed_at=None)
    account = get_object_or_404(found, pk=connection)
    can_forget = issubclass(providers.get(account.kind), Forgets)
    if request.method == "POST":
        return _save(request, account, can_forget=can_forget)
    return _page(request, account, can_forget=can_forget)


def _save(request: MemberRequest, account: Connection, *, can_forget: bool) -> HttpResponse:
    by = by_member(request.user)
    try:
        changed = govern.change_on_revoke(account, request.POST.get("on_revoke", ""), by)
        if can_forget:
            changed |= govern.change_forgets(account, request.POST.get("forgets", ""), by)
    except Refused as error:
        return _page(request, account, can_forget=can_forget, error=words.refusal(error.code), status=422)
    messages.success(request, _("Saved.") if changed else _("Nothing was changed."))
    return redirect("connections")


def _page(
    request: MemberRequest,
    account: Connection,
    *,
    can_forget: bool,
    error: words.Words = "",
    status: int = 200,
) -> HttpResponse:
    value = account.options.get(forgotten.OPTION, False)
    forgets = next((name for name, known in govern.FORGETS.items() if known == value), "nothing")
    return render(
        request,
        "connection_rules.html",
        {
            "connection": account,
            "vendor": providers.get(account.kind).name,
            "choices": [(code, *said) for code, said in words.ON_REVOKE.items()],
            "can_forget": can_forget,
            "forgets": forgets,
            "error": error,
        },
        status=status,
    )
