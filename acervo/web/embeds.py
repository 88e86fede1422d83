"""The panel inside a CRM, as administrators set it up: turned on, whom it trusts, which pages frame it, who opened it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from acervo import crms
from acervo.base import ids
from acervo.base.errors import Refused
from acervo.crms import embedding
from acervo.govern import embeds as govern
from acervo.models import Ability, Connection, Embed, EmbedKey, EmbedSession, Member, ShownTo, by_member
from acervo.web import words
from acervo.web.guards import MemberRequest, for_members, needs, visible_crm

SHOWN: Final = 10
SHOWN_TO: Final[Mapping[str, tuple[words.Words, words.Words]]] = {
    ShownTo.AGENTS: (
        gettext_lazy("Everybody who opens the record"),
        gettext_lazy(
            "Who may see a record is decided in the CRM. Whoever is an agent here too still sees only what their teams show."
        ),
    ),
    ShownTo.MEMBERS: (
        gettext_lazy("Only people who have an account here"),
        gettext_lazy("They are known by the e-mail address that the CRM tells."),
    ),
}
TROUBLES: Final[Mapping[str, words.Words]] = {
    govern.NotAnOrigin.code: gettext_lazy(
        "Write each page as https:// and its host, one a line, without a path and without a star."
    ),
    govern.NotAPublicKey.code: gettext_lazy(
        "This is no public key. Paste all of it, from the line BEGIN PUBLIC KEY to the line END PUBLIC KEY."
    ),
    govern.NotAnAppId.code: gettext_lazy("The number has letters and digits only."),
    govern.TooManyKeys.code: gettext_lazy(
        "Two keys are good already. Revoke the one that is no longer used, then make a new one."
    ),
}


@dataclass(frozen=True, slots=True)
class Step:
    """What to do in the CRM, and what to copy for it."""

    text: words.Words
    copied: str = ""


@require_http_methods(["GET", "POST"])
@for_members
@needs(Ability.CONNECT)
@sensitive_post_parameters("secret")
def panel(request: MemberRequest, connection: UUID) -> HttpResponse:
    account = _visible(request.user, connection)
    if request.method == "GET":
        return _page(request, account)
    wanted = govern.Wanted(
        shown_to=request.POST.get("shown_to", ""),
        more_origins=request.POST.get("more_origins", "").split(),
        app_id=request.POST.get("app_id", ""),
        public_key=request.POST.get("public_key", ""),
        secret=request.POST.get("secret", "").strip(),
    )
    try:
        changed = govern.change(account, wanted, by_member(request.user))
    except Refused as error:
        return _page(request, account, wanted=wanted, trouble=error.code)
    messages.success(request, _("Saved.") if changed else _("Nothing was changed."))
    return redirect("embed_settings", account.pk)


@require_POST
@for_members
@needs(Ability.CONNECT)
def turn_on(request: MemberRequest, connection: UUID) -> HttpResponse:
    account = _visible(request.user, connection)
    govern.turn_on(account, by_member(request.user))
    messages.success(request, _("The panel is on."))
    return redirect("embed_settings", account.pk)


@require_POST
@for_members
@needs(Ability.CONNECT)
def turn_off(request: MemberRequest, connection: UUID) -> HttpResponse:
    account = _visible(request.user, connection)
    govern.turn_off(account, by_member(request.user))
    messages.success(request, _("The panel is off. Those that were open have ended."))
    return redirect("embed_settings", account.pk)


@require_POST
@for_members
@needs(Ability.CONNECT)
@never_cache
def make_key(request: MemberRequest, connection: UUID) -> HttpResponse:
    """The answer is the page with the key: there is no second one that shows it."""
    account = _visible(request.user, connection)
    try:
        key = govern.make_key(account, by_member(request.user))
    except Refused as error:
        return _page(request, account, trouble=error.code)
    return _page(request, account, key=key)


@require_POST
@for_members
@needs(Ability.CONNECT)
def revoke_key(request: MemberRequest, connection: UUID, key: UUID) -> HttpResponse:
    account = _visible(request.user, connection)
    govern.revoke_key(get_object_or_404(EmbedKey, connection=account, pk=key), by_member(request.user))
    messages.success(request, _("The key opens nothing any more."))
    return redirect("embed_settings", account.pk)


def has_panel(connection: Connection) -> bool:
    return embedding.find(connection.kind) is not None


def _visible(member: Member, connection: UUID) -> Connection:
    account = visible_crm(member, connection)
    if not has_panel(account):
        raise Http404
    return account


def _page(
    request: MemberRequest,
    account: Connection,
    *,
    wanted: govern.Wanted | None = None,
    trouble: str = "",
    key: str = "",
) -> HttpResponse:
    known = embedding.find(account.kind)
    embed = govern.of(account)
    keys = list(EmbedKey.objects.good().filter(connection=account).order_by("made_at"))
    context = {
        "connection": account,
        "vendor": crms.get(account.kind).name,
        "embed": embed,
        "typed": wanted or _typed(embed),
        "more_origins": "\n".join(wanted.more_origins if wanted else embed.more_origins),
        "trouble": TROUBLES.get(trouble, ""),
        "trouble_code": trouble,
        "shown_to": [(code, *said) for code, said in SHOWN_TO.items()],
        "origins": govern.origins(account, embed),
        "needs": known.needs if known else (),
        "opens": known.opens if known else "",
        "missing": _missing(embed, keys, known),
        "steps": _steps(account),
        "guide": f"docs/guides/panel-{account.kind}.md",
        "keys": keys,
        "new_key": key,
        "openings": _openings(account),
    }
    return render(request, "embed_settings.html", context, status=422 if trouble else 200)


def _typed(embed: Embed) -> dict[str, Any]:
    return {"shown_to": embed.shown_to, "app_id": embed.app_id, "public_key": embed.public_key}


def _missing(embed: Embed, keys: list[EmbedKey], known: embedding.Embedding | None) -> list[words.Words]:
    """What keeps the panel from opening, besides that it is off."""
    if known is None:
        return []
    there = {
        "app_id": bool(embed.app_id),
        "public_key": bool(embed.public_key),
        "secret": embed.sealed_secret is not None,
    }
    labels = {
        "app_id": _("the number of the installation"),
        "public_key": _("the public key of the app"),
        "secret": _("the client secret of the app"),
    }
    found: list[words.Words] = [labels[name] for name in known.needs if not there[name]]
    return [*found, _("a key")] if known.opens == "key" and not keys else found


def _openings(account: Connection) -> list[EmbedSession]:
    found = EmbedSession.objects.filter(connection=account, opened_at__isnull=False)
    return list(found.select_related("agent").order_by("-opened_at")[:SHOWN])


def _steps(account: Connection) -> list[Step]:
    """From the package in `integrations/` to the panel on a record. The guide says it at length."""
    base, slug = settings.ACERVO_BASE_URL, ids.text(account.pk)
    build = f"python3 integrations/{account.kind}/build.py --address {base} --connection {slug}"
    made = Step(_("Make the package for this account, in a copy of Acervo's source:"), build)
    steps = {
        "zendesk": [
            made,
            Step(_("Upload the zip in Admin Center › Apps › Zendesk Support apps, as a private app, and install it.")),
            Step(_("Paste the app's public key and the number of its installation below.")),
        ],
        "hubspot": [
            made,
            Step(_("Upload the project with HubSpot's command line, and install the app."), "hs project upload"),
            Step(_("Paste the client secret of the app below.")),
        ],
        "salesforce": [
            Step(_("Make a key below.")),
            made,
            Step(_("Deploy the folder with Salesforce's command line, and place the component on record pages."), "sf project deploy start"),
            Step(_("Enter the key in Setup › Named Credentials › External Credentials.")),
        ],
        "zoho": [
            Step(_("Make a key below.")),
            made,
            Step(_("Make the function in Setup › Developer Hub › Functions, with the key, and upload the zip under Widgets.")),
        ],
    }  # fmt: skip
    return steps[account.kind]
