"""A connection changed: its name and why its files are kept, new secrets without a gap, and its removal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from asgiref.sync import async_to_sync
from django.contrib import messages
from django.db import transaction
from django.db.models import Min
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from acervo import crms, providers
from acervo.base.errors import AcervoError
from acervo.crms.contract import CrmError
from acervo.fetch import forgotten
from acervo.govern import connections as govern
from acervo.govern import crm_access, registration
from acervo.keep import credentials
from acervo.models import Ability, Connection, LegalBasis, MediaFile, Member, OnRevoke, Purpose, by_member
from acervo.providers.recovery import Forgets
from acervo.web import crm_guidance, guidance, words
from acervo.web.guards import MemberRequest, for_members, needs
from acervo.web.setup_steps import privacy_choices

LONGEST_NAME = 80


@require_http_methods(["GET", "POST"])
@for_members
@needs(Ability.CONNECT)
def edit(request: MemberRequest, connection: UUID) -> HttpResponse:
    """Its name; of a number also why its files are kept, what taking a message back does, and what becomes of the
    provider's own copies."""
    account = _visible(request.user, connection)
    is_number = account.purpose == Purpose.PROVIDER
    can_forget = is_number and issubclass(providers.get(account.kind), Forgets)
    typed = {
        "name": request.POST.get("name", account.name).strip()[:LONGEST_NAME],
        "legal_basis": request.POST.get("legal_basis", account.legal_basis or ""),
        "on_revoke": request.POST.get("on_revoke", account.on_revoke),
        "forgets": request.POST.get("forgets", _forgets(account)),
    }
    is_missing = is_number and typed["legal_basis"] not in LegalBasis.values
    is_known = typed["on_revoke"] in OnRevoke.values and typed["forgets"] in govern.FORGETS
    is_sent = request.method == "POST"
    if is_sent and typed["name"] and not is_missing and is_known:
        by = by_member(request.user)
        with transaction.atomic():
            govern.rename(account, typed["name"], by)
            if is_number:
                govern.set_legal_basis(account, typed["legal_basis"], by)
                govern.change_on_revoke(account, typed["on_revoke"], by)
            if can_forget:
                govern.change_forgets(account, typed["forgets"], by)
        messages.success(request, _("Saved."))
        return redirect("connections")
    context = {
        "connection": account,
        "vendor": _vendor(account),
        "is_number": is_number,
        "can_forget": can_forget,
        "typed": typed,
        "is_nameless": not typed["name"],
        "is_missing": is_sent and is_missing,
        **privacy_choices(typed["legal_basis"], typed["on_revoke"]),
    }
    return render(request, "connection_edit.html", context, status=422 if is_sent else 200)


def _forgets(account: Connection) -> str:
    value = account.options.get(forgotten.OPTION, False)
    return next((name for name, known in govern.FORGETS.items() if known == value), "nothing")


@require_http_methods(["GET", "POST"])
@for_members
@needs(Ability.CONNECT)
def reconnect(request: MemberRequest, connection: UUID) -> HttpResponse:
    """New secrets for a connection; an empty field keeps the one that is there."""
    account = _visible(request.user, connection)
    names = _asked_secrets(account)
    given = {name: request.POST.get(name, "").strip() for name in names}
    trouble = _trouble(account, given) if request.method == "POST" and any(given.values()) else ""
    if request.method == "POST" and any(given.values()) and not trouble:
        govern.reconnect(account, given, by_member(request.user))
        messages.success(
            request, _("%(name)s is connected again. What waited is on its way.") % {"name": account.name}
        )
        return redirect("connections")
    is_crm = account.purpose == Purpose.CRM
    return render(
        request,
        "reconnect.html",
        {
            "connection": account,
            "reason": words.pause_reason(account.pause_reason, is_crm=is_crm) if account.paused_at else "",
            "fields": [
                (name, crm_guidance.label(account.kind, name) if is_crm else _number_label(account, name))
                for name in names
            ],
            "offers": crm_access.offers(account.kind) if is_crm else {},
            "vendor": _vendor(account),
            "can_renew": not is_crm and registration.can_renew(account.kind),
            "has_previous": govern.has_previous(account),
            "is_empty": request.method == "POST" and not trouble,
            "trouble": trouble,
        },
        status=422 if request.method == "POST" else 200,
    )


@require_POST
@for_members
@needs(Ability.CONNECT)
def end_previous(request: MemberRequest, connection: UUID) -> HttpResponse:
    """The secrets of before the last change count no more."""
    account = _visible(request.user, connection)
    govern.end_previous(account, by_member(request.user))
    messages.success(request, _("The old secrets of %(name)s no longer count.") % {"name": account.name})
    return redirect("reconnect", account.pk)


@require_POST
@for_members
@needs(Ability.CONNECT)
def renew(request: MemberRequest, connection: UUID) -> HttpResponse:
    """New values for what we made up ourselves, and the provider is told."""
    account = _visible(request.user, connection)
    if account.purpose != Purpose.PROVIDER or not registration.can_renew(account.kind):
        return redirect("reconnect", account.pk)
    try:
        async_to_sync(registration.renew)(account, by_member(request.user))
    except AcervoError as error:
        messages.error(request, guidance.trouble(error.code, _vendor(account)))
    else:
        messages.success(request, _("%(vendor)s has the new secrets.") % {"vendor": _vendor(account)})
    return redirect("reconnect", account.pk)


@require_http_methods(["GET", "POST"])
@for_members
@needs(Ability.CONNECT)
def remove(request: MemberRequest, connection: UUID) -> HttpResponse:
    """What becomes of its files is said first; then it goes, and the provider is told where it takes that."""
    account = _visible(request.user, connection)
    facts = _what_follows(request.user, account)
    if request.method == "POST" and (not facts["waiting"] or "loses" in request.POST):
        trouble = _unregister(account, by_member(request.user)) if facts["can_unregister"] else ""
        govern.remove(account, by_member(request.user))
        messages.success(
            request, _("%(name)s is removed. Files that are here stay.") % {"name": account.name}
        )
        if trouble:
            messages.error(request, trouble)
        return redirect("connections")
    is_sent = request.method == "POST"
    return render(
        request,
        "connection_remove.html",
        {"connection": account, "is_unconfirmed": is_sent, **facts},
        status=422 if is_sent else 200,
    )


def _number_label(account: Connection, name: str) -> words.Words:
    return words.SECRETS.get(name) or guidance.label(account.kind, name)


def _trouble(account: Connection, given: Mapping[str, str]) -> str:
    """Why new secrets of a CRM will not do: asked before they replace what works. A number is asked by its check."""
    if account.purpose != Purpose.CRM:
        return ""
    try:
        crm_access.refuse_others(account, given)
    except CrmError as error:
        return crm_guidance.refused(account.kind, error.kind, error.vendor_code)
    except crm_access.AnotherAccount:
        return _("These secrets belong to another account. Connect that one by itself.")
    return ""


def _what_follows(member: Member, account: Connection) -> dict[str, Any]:
    files = MediaFile.objects.visible_to(member).filter(connection=account)
    awaited = files.filter(stored_at=None, gone_at=None)
    is_number = account.purpose == Purpose.PROVIDER
    return {
        "is_number": is_number,
        "vendor": _vendor(account),
        "kept": files.filter(stored_at__isnull=False).count(),
        "waiting": awaited.count() if is_number else 0,
        "deadline": awaited.aggregate(at=Min("fetch_before"))["at"] if is_number else None,
        "promised": 0 if is_number else account.deliveries.filter(delivered_at=None, stopped_at=None).count(),
        "can_unregister": is_number and registration.can_unregister(account.kind),
    }


def _unregister(account: Connection, by: str) -> str:
    """Empty when the provider knocks here no more; else what is left to do there. It keeps nobody from removing."""
    try:
        async_to_sync(registration.unregister)(account, by)
    except AcervoError as error:
        vendor = _vendor(account)
        left = _("%(vendor)s was not told: take our address away on its pages.") % {"vendor": vendor}
        return f"{left} {guidance.trouble(error.code, vendor)}"
    return ""


def _vendor(account: Connection) -> str:
    guide = guidance.GUIDES.get(account.kind)
    return guide.vendor if guide else account.name


def _asked_secrets(account: Connection) -> list[str]:
    """Those that a person has: what we made up ourselves is nobody's to paste."""
    if account.purpose == Purpose.CRM:
        return list(crms.get(account.kind).secret_names)
    adapter = providers.get(account.kind)
    asked = [one.name for one in adapter.asks if one.is_secret]
    known = credentials.open_secrets(account)
    optional = [one.name for one in adapter.asks if one.is_secret and not one.is_required]
    usual = [name for name in adapter.secret_names if name not in adapter.capabilities.own_secrets]
    return [name for name in asked or usual if name not in optional or name in known]


def _visible(member: Member, connection: UUID) -> Connection:
    return get_object_or_404(Connection.objects.visible_to(member).filter(removed_at=None), pk=connection)
