"""Copies of the files themselves in a CRM: how many there are, what stopped, and taking all of them out again."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from acervo import journey
from acervo.deliver import mapping, uploads
from acervo.models import Ability, by_member
from acervo.web import crm_guidance, words
from acervo.web.guards import MemberRequest, for_members, needs, visible_crm
from acervo.web.tags import number


@require_GET
@for_members
@needs(Ability.CONNECT)
def page(request: MemberRequest, connection: UUID) -> HttpResponse:
    account = visible_crm(request.user, connection)
    terms, standing = uploads.terms(account), uploads.standing(account)
    return render(
        request,
        "crm_uploads.html",
        {
            "connection": account,
            "vendor": crm_guidance.vendor(account.kind),
            "terms": terms,
            "needs_tie": terms
            and "media" not in terms.hangs_on
            and account.options.get("model") != "activity",
            "kinds": [words.KINDS[kind] for kind in mapping.current(account.pk)[1].kinds_with_bytes],
            "standing": standing,
            "is_moving": bool(standing.waiting or standing.leaving) and not account.paused_at,
            "stopped": [(words.upload_refusal(code), count) for code, count in standing.stopped.items()],
            "stopped_total": sum(standing.stopped.values()),
            "earlier": uploads.earlier(account).count(),
        },
    )


@require_POST
@for_members
@needs(Ability.CONNECT)
def copy_earlier(request: MemberRequest, connection: UUID) -> HttpResponse:
    """The bytes of what lies there as a link already follow."""
    account = visible_crm(request.user, connection)
    count = uploads.ask_earlier(account, by=by_member(request.user))
    said = ngettext("%(count)s file is being copied.", "%(count)s files are being copied.", count)
    return _done(request, account.pk, said % {"count": number(count)})


@require_POST
@for_members
@needs(Ability.CONNECT)
def retry(request: MemberRequest, connection: UUID) -> HttpResponse:
    account = visible_crm(request.user, connection)
    count = uploads.retry(account, by=by_member(request.user))
    said = ngettext("%(count)s file is tried again now.", "%(count)s files are tried again now.", count)
    return _done(request, account.pk, said % {"count": number(count)})


@require_POST
@for_members
@needs(Ability.CONNECT)
def remove(request: MemberRequest, connection: UUID) -> HttpResponse:
    """All of them; the links stay. New files are still copied until the mapping says otherwise."""
    account = visible_crm(request.user, connection)
    if "sure" not in request.POST:
        messages.error(request, _("Tick that you mean it."))
        return redirect("crm_uploads", account.pk)
    count = uploads.ask_removal(account, by=by_member(request.user))
    said = ngettext("%(count)s copy is being taken out.", "%(count)s copies are being taken out.", count)
    return _done(request, account.pk, said % {"count": number(count)})


def _done(request: MemberRequest, connection: UUID, said: str) -> HttpResponse:
    journey.start_deliveries()
    messages.success(request, said)
    return redirect("crm_uploads", connection)
