"""Connecting a CRM: what to prepare, whose account it is, what would be made there, and the first file on its way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods

from acervo import journey
from acervo.base.errors import Refused
from acervo.crms.asked import Asked
from acervo.crms.contract import CrmError
from acervo.deliver import outbox
from acervo.govern import crm_access, crm_setups
from acervo.govern.connections import BEING_SET_UP, AlreadyConnected, PrivateHost
from acervo.govern.crm_access import Unfit
from acervo.models import Ability, Connection, CrmSetup, Delivery, Member, by_member
from acervo.organise import address
from acervo.web import crm_guidance, guidance, words
from acervo.web.guards import MemberRequest, for_members, needs, visible_crm
from acervo.web.setup_forms import LONGEST_ADDRESS, LONGEST_NAME, Line, Stop, is_address
from acervo.web.words import Words

DAYS: Final = (0, 7, 30, 90)
USUAL_DAYS: Final = 30
LANGUAGES: Final = (("pt-br", "Português"), ("es", "Español"), ("en", "English"))
LONGEST_KEY: Final = 16_000
LONGEST: Final = 601
STEPS: Final = (
    ("access", gettext_lazy("Account"), gettext_lazy("Prepare and paste")),
    ("fields", gettext_lazy("Fields"), gettext_lazy("See what is made there")),
    ("start", gettext_lazy("Start"), gettext_lazy("The first file")),
)


class CrmForm:
    """What was typed to connect a CRM. Secrets are never shown again."""

    def __init__(self, kind: str, language: str, sent: Mapping[str, Any] | None = None) -> None:
        self.kind, self.sent = kind, sent
        self.guide = crm_guidance.GUIDES[kind]
        self.asks = crm_access.asks(kind)
        self.errors: dict[str, Words] = {}
        said = sent or {}
        self.values = {
            one.name: one.cleaned(str(said.get(one.name, "")))[: LONGEST_KEY if one.is_long else LONGEST]
            for one in self.asks
        }
        self.name = str(said.get("name", self.guide.name)).strip()[:LONGEST_NAME]
        for one in self.asks:
            if one.offer and sent is None:
                self.values[one.name] = one.offer()
        self.address = next((one.name for one in self.asks if one.is_address), "api_base")
        self.api_base = str(said.get("api_base", "")).strip()[:LONGEST_ADDRESS] if self.has_api_base else ""
        chosen = str(said.get("language", language))
        self.language = chosen if chosen in dict(LANGUAGES) else language

    def is_valid(self) -> bool:
        for one in self.asks:
            if error := self._error(one):
                self.errors[one.name] = error
        if not self.name:
            self.errors["name"] = guidance.NAME.wrong
        if self.api_base and not is_address(self.api_base):
            self.errors["api_base"] = guidance.API_BASE.wrong
        return not self.errors

    @property
    def has_api_base(self) -> bool:
        """Where the address of their system itself is asked for, there is no other."""
        return self.address == "api_base"

    @property
    def has_pasted_secrets(self) -> bool:
        """Some are gone when the page is shown again."""
        return any(one.is_secret and not one.offer for one in self.asks)

    @property
    def given(self) -> dict[str, str]:
        return {name: value for name, value in self.values.items() if value}

    @property
    def lines(self) -> list[Line]:
        """Without those of another way in."""
        return [self._line(one) for one in self.asks if one.name not in self._others]

    @property
    def other_lines(self) -> list[Line]:
        return [self._line(one) for one in self.asks if one.name in self._others]

    @property
    def is_other(self) -> bool:
        """Something was typed there, or is wrong there."""
        return any(self.values[name] or name in self.errors for name in self._others)

    @property
    def name_line(self) -> Line:
        hint = _("As your team knows it.")
        return Line("name", _("Name"), hint, self.name, self.errors.get("name", ""))

    @property
    def api_base_line(self) -> Line:
        line = guidance.API_BASE
        error = self.errors.get("api_base", "")
        return Line("api_base", line.label, line.hint, self.api_base, error, is_required=False)

    @property
    def _others(self) -> set[str]:
        return {one.name for one in self.asks if one.instead_of or one.goes_with}

    def _line(self, one: Asked) -> Line:
        field = self.guide.fields[one.name]
        return Line(
            one.name,
            field.label,
            field.hint,
            "" if one.is_secret and not one.offer else self.values[one.name],
            self.errors.get(one.name, ""),
            is_secret=one.is_secret,
            is_offered=one.offer is not None,
            is_required=one.is_required and not one.instead_of,
            choices=[(choice, str(self.guide.choices.get(choice, choice))) for choice in one.choices],
            is_long=one.is_long,
        )

    def _error(self, one: Asked) -> Words:
        value = self.values[one.name]
        if value:
            is_right = one.fits(value) and (not one.is_address or is_address(value))
            return "" if is_right else self.guide.fields[one.name].wrong
        if one.goes_with:
            needed = bool(self.values[one.goes_with])
            said = _("This goes with %(other)s.") % {"other": self.guide.fields[one.goes_with].label}
            return said if needed else ""
        if one.instead_of:
            return ""
        stand_in = next((other.name for other in self.asks if other.instead_of == one.name), None)
        if stand_in and self.values[stand_in]:
            return ""
        return _("This is needed.") if one.is_required else ""


@require_GET
@for_members
@needs(Ability.CONNECT)
def choose(request: MemberRequest) -> HttpResponse:
    return render(request, "crm_choose.html", {"guides": list(crm_guidance.GUIDES.items())})


@require_http_methods(["GET", "POST"])
@for_members
@needs(Ability.CONNECT)
def access(request: MemberRequest, kind: str) -> HttpResponse:
    """The account: what was pasted is asked at the CRM before anything is kept."""
    if kind not in crm_guidance.GUIDES:
        raise Http404
    workspace = request.user.workspace
    form = CrmForm(kind, workspace.language, request.POST if request.method == "POST" else None)
    if request.method == "GET":
        return _access_page(request, form)
    if not form.is_valid():
        return _access_page(request, form, status=422)
    try:
        known = crm_access.tried(kind, form.given, form.api_base or None)
        connection = crm_setups.begin(
            workspace, known, name=form.name, language=form.language, by=by_member(request.user)
        )
    except Unfit as error:
        form.errors[error.name] = crm_guidance.unfit(kind, error.name, error.code)
        return _access_page(request, form, status=422)
    except AlreadyConnected:
        return _already_there(request, form, known.account.account_id)
    except PrivateHost:
        form.errors[form.address] = guidance.TROUBLES["forbidden_host"]
        return _access_page(request, form, status=422)
    except Refused as error:
        form.errors[form.address] = guidance.trouble(error.code, form.guide.name)
        return _access_page(request, form, status=422)
    except CrmError as error:
        said = crm_guidance.refused(kind, error.kind, error.vendor_code)
        is_said = error.vendor_code in form.guide.refusals
        code = None if is_said else error.vendor_code
        return _access_page(request, form, trouble=said, code=code, status=422)
    if ends_on := known.account.facts.get("access_ends_on"):
        said = _("This access ends on %(day)s. Give it a new one before that day.")
        messages.info(request, said % {"day": ends_on})
    crm_setups.look(connection, by_member(request.user))
    return redirect("crm_fields", connection.pk)


@require_http_methods(["GET", "POST"])
@for_members
@needs(Ability.CONNECT)
def fields(request: MemberRequest, connection: UUID) -> HttpResponse:
    """What is there and what would be made; made once somebody says so."""
    account = visible_crm(request.user, connection)
    row = crm_setups.of(account, by_member(request.user))
    if request.method == "POST":
        if "make" in request.POST:
            journey.make_fields_there(account, by_member(request.user))
        else:
            crm_setups.look(account, by_member(request.user))
        return redirect("crm_fields", account.pk)
    return render(request, "crm_fields.html", {**_frame(account, "fields", row), **_report(account, row)})


@require_http_methods(["GET", "POST"])
@for_members
@needs(Ability.CONNECT)
def start(request: MemberRequest, connection: UUID) -> HttpResponse:
    """The last step: files begin to go there, the newest one first."""
    account = visible_crm(request.user, connection)
    row = crm_setups.of(account, by_member(request.user))
    if "schema_at" not in account.options:
        return redirect("crm_fields", account.pk)
    if request.method == "POST":
        days = request.POST.get("days", "")
        chosen = int(days) if days in map(str, DAYS) else USUAL_DAYS
        crm_setups.start(account, days=chosen, by=by_member(request.user))
        journey.start_deliveries()
        said = _("%(name)s is connected. New files go there by themselves from now on.")
        messages.success(request, said % {"name": account.name})
        return redirect("crm_start", account.pk)
    first = _first(request.user, account)
    context = {
        **_frame(account, "start", row),
        "days": DAYS,
        "usual_days": USUAL_DAYS,
        "is_held": account.pause_reason == BEING_SET_UP,
        "file": outbox.newest_file(account, address.found_in),
        "first": first,
        "first_trouble": words.crm_refusal(first.refusal) if first else "",
    }
    return render(request, "crm_start.html", context)


def address_of(account: Connection) -> str:
    """Where setting up goes on."""
    is_made = "schema_at" in account.options
    return reverse("crm_start" if is_made else "crm_fields", kwargs={"connection": account.pk})


def _already_there(request: MemberRequest, form: CrmForm, account_id: str) -> HttpResponse:
    found = Connection.objects.visible_to(request.user).filter(
        kind=form.kind, account_id=account_id, removed_at=None
    )
    return _access_page(request, form, there=found.first(), status=409)


def _access_page(
    request: MemberRequest,
    form: CrmForm,
    *,
    trouble: Words = "",
    code: str | None = None,
    there: Connection | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {
        "form": form,
        "guide": form.guide,
        "vendor": form.guide.name,
        "stops": _stops(None, "access", None),
        "trouble": trouble,
        "vendor_code": code,
        "there": there,
        "label_languages": LANGUAGES,
        "our_address": settings.ACERVO_BASE_URL,
        "is_fieldless": crm_setups.is_fieldless(form.kind),
    }
    return render(request, "crm_access.html", context, status=status)


def _frame(account: Connection, here: str, row: CrmSetup) -> dict[str, Any]:
    return {
        "connection": account,
        "setup": row,
        "vendor": crm_guidance.vendor(account.kind),
        "guide": crm_guidance.GUIDES.get(account.kind),
        "stops": _stops(account, here, row),
        "is_fieldless": crm_setups.is_fieldless(account.kind),
        "is_held": account.pause_reason == BEING_SET_UP,
    }


def _stops(account: Connection | None, here: str, row: CrmSetup | None) -> list[Stop]:
    done = {
        "access": account is not None,
        "fields": account is not None and "schema_at" in account.options,
        "start": row is not None and row.finished_at is not None,
    }
    addresses = {}
    if account is not None:
        addresses["fields"] = reverse("crm_fields", kwargs={"connection": account.pk})
        if done["fields"]:
            addresses["start"] = reverse("crm_start", kwargs={"connection": account.pk})
    return [
        Stop(number, label, note, done[name], name == here, addresses.get(name, ""))
        for number, (name, label, note) in enumerate(STEPS, start=1)
    ]


def _report(account: Connection, row: CrmSetup) -> dict[str, Any]:
    created = list(row.report.get("created", ()))
    conflicts = [str(one).partition(": ") for one in row.report.get("conflicts", ())]
    differing = {name for name, _colon, _said in conflicts}
    done = row.made if row.asked_at else []
    return {
        "missing": [name for name in created if name not in done] if not row.made_at else [],
        "made": done or (created if row.made_at else []),
        "existing": [
            name for name in row.report.get("existing", ()) if name not in differing and name not in done
        ],
        "conflicts": [(name, said) for name, _colon, said in conflicts],
        "is_notes": row.report.get("model") == "activity",
        "total": max(len(created), len(done)),
        "is_ready": "schema_at" in account.options,
        "trouble": crm_guidance.refused(account.kind, row.refusal, row.refusal_code) if row.refusal else "",
    }


def _first(member: Member, account: Connection) -> Delivery | None:
    found = Delivery.objects.visible_to(member).filter(connection=account).select_related("media__person")
    return found.order_by("-media__received_at", "-media__id").first()
