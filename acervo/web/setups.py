"""Connecting a number in five short steps: saved as one goes, and picked up where it was left."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from acervo.base import clock
from acervo.base.errors import Refused
from acervo.govern import setup_links, setups
from acervo.models import Ability, Connection, LegalBasis, Member, OnRevoke, Setup, SetupLink, Step, by_member
from acervo.models.setup import SENDABLE
from acervo.web import guidance, setup_checks
from acervo.web.authors import names_of
from acervo.web.guards import MemberRequest, for_members, needs
from acervo.web.setup_forms import AccessForm, Stop
from acervo.web.setup_steps import of_webhook, privacy_choices, submit, told
from acervo.web.words import Words

PAGES: Final = {
    Step.PROVIDER: "setup_provider",
    Step.ACCESS: "setup_access",
    Step.WEBHOOK: "setup_webhook",
    Step.TEST: "setup_test",
    Step.PRIVACY: "setup_privacy",
}
ORDER: Final = tuple(PAGES)


@dataclass(frozen=True, slots=True)
class SentLink:
    """A link somebody made, as the page lists it: the link itself is not here any more."""

    link: SetupLink
    step: Words
    who: Words


@require_http_methods(["GET", "POST"])
@for_members
@needs(Ability.CONNECT)
def begin(request: MemberRequest) -> HttpResponse:
    """The first step: which provider. What is begun already is listed, too."""
    kind = request.POST.get("kind", "")
    if request.method == "POST" and kind in guidance.GUIDES:
        setup = setups.begin(request.user.workspace, kind, by_member(request.user))
        return redirect("setup_access", setup.pk)
    return _providers(request, None)


@require_http_methods(["GET", "POST"])
@for_members
@needs(Ability.CONNECT)
def provider(request: MemberRequest, setup: UUID) -> HttpResponse:
    """Another provider for what is begun, as long as nothing is connected."""
    row = _visible(request.user, setup)
    if row.is_over or row.connection is not None:
        return _onward(request, row)
    kind = request.POST.get("kind", "")
    if request.method == "POST" and kind in guidance.GUIDES:
        setups.choose(row, kind, by_member(request.user))
        return redirect("setup_access", row.pk)
    return _providers(request, row)


@require_GET
@for_members
@needs(Ability.CONNECT)
def resume(request: MemberRequest, setup: UUID) -> HttpResponse:
    return _onward(request, _visible(request.user, setup))


@require_http_methods(["GET", "POST"])
@for_members
@needs(Ability.CONNECT)
def access(request: MemberRequest, setup: UUID) -> HttpResponse:
    row = _visible(request.user, setup)
    if row.is_over:
        return _onward(request, row)
    form = AccessForm(row, setups.kept_secrets(row), request.POST if request.method == "POST" else None)
    if request.method == "GET":
        return _page(request, row, Step.ACCESS, {"form": form})
    if "later" in request.POST:
        return _keep_for_later(request, form)
    trouble = submit(form, by_member(request.user))
    if trouble is None:
        return redirect("setup_webhook", row.pk)
    return _page(request, row, Step.ACCESS, {"form": form, "trouble": trouble}, status=422)


@require_http_methods(["GET", "POST"])
@for_members
@needs(Ability.CONNECT)
def webhook(request: MemberRequest, setup: UUID) -> HttpResponse:
    row, connection = _connected(request.user, setup)
    if connection is None:
        return _onward(request, row)
    if request.method == "POST":
        setups.settle(row, by_member(request.user))
        return redirect("setup_test", row.pk)
    return _page(request, row, Step.WEBHOOK, of_webhook(row, connection))


@require_http_methods(["GET", "POST"])
@for_members
@needs(Ability.CONNECT)
def tell(request: MemberRequest, setup: UUID) -> HttpResponse:
    """Our address to the provider, by its API."""
    row, connection = _connected(request.user, setup)
    if connection is None or request.method == "GET":
        return _onward(request, row)
    outcome = told(row, by_member(request.user), replaces="replace" in request.POST)
    if not outcome:
        return redirect("setup_webhook", row.pk)
    return _page(request, row, Step.WEBHOOK, {**of_webhook(row, connection), **outcome}, status=422)


@require_http_methods(["GET", "POST"])
@for_members
@needs(Ability.CONNECT)
def test(request: MemberRequest, setup: UUID) -> HttpResponse:
    row, connection = _connected(request.user, setup)
    if connection is None or row.settled_at is None:
        return _onward(request, row)
    if request.method == "POST":
        return _try(request, row, connection, lambda by: setups.pass_test(row, by))
    return _page(request, row, Step.TEST, _test_facts(request.user, connection))


@require_POST
@for_members
@needs(Ability.CONNECT)
def skip_test(request: MemberRequest, setup: UUID) -> HttpResponse:
    row, connection = _connected(request.user, setup)
    if connection is None or row.settled_at is None:
        return _onward(request, row)
    reason = request.POST.get("reason", "")
    return _try(request, row, connection, lambda by: setups.skip_test(row, reason, by))


@require_http_methods(["GET", "POST"])
@for_members
@needs(Ability.CONNECT)
def privacy(request: MemberRequest, setup: UUID) -> HttpResponse:
    row, connection = _connected(request.user, setup)
    if connection is None or row.step != Step.PRIVACY:
        return _onward(request, row)
    basis = request.POST.get("legal_basis", connection.legal_basis or "")
    on_revoke = request.POST.get("on_revoke", connection.on_revoke)
    facts = privacy_choices(basis, on_revoke)
    if request.method == "GET":
        return _page(request, row, Step.PRIVACY, facts)
    if basis not in LegalBasis.values or on_revoke not in OnRevoke.values:
        return _page(request, row, Step.PRIVACY, {**facts, "is_missing": True}, status=422)
    setups.finish(row, basis, on_revoke, by_member(request.user))
    messages.success(
        request,
        _("%(name)s is connected. What customers send from now on is kept.") % {"name": connection.name},
    )
    return redirect("connections")


@require_POST
@for_members
@needs(Ability.CONNECT)
def discard(request: MemberRequest, setup: UUID) -> HttpResponse:
    """What was typed is forgotten; a number that is connected has a page that says what becomes of its files."""
    row = _visible(request.user, setup)
    if row.connection is not None and not row.is_over:
        return redirect("remove", row.connection.pk)
    if not row.is_over:
        setups.drop(row, by_member(request.user))
        messages.success(request, _("Discarded. What was typed is forgotten."))
    return redirect("connections")


@require_http_methods(["GET", "POST"])
@for_members
@needs(Ability.CONNECT)
def send(request: MemberRequest, setup: UUID) -> HttpResponse:
    """A link for somebody else, shown this once."""
    row = _visible(request.user, setup)
    step = row.step
    if request.method == "GET":
        return _onward(request, row)
    try:
        token = setup_links.make(row, step, by_member(request.user))
    except Refused:
        return _onward(request, row)
    address = f"{settings.ACERVO_BASE_URL}{reverse('setup_step', kwargs={'token': token})}"
    facts = (
        of_webhook(row, row.connection)
        if row.connection
        else {"form": AccessForm(row, setups.kept_secrets(row))}
    )
    return _page(request, row, step, {**facts, "new_link": address})


@require_POST
@for_members
@needs(Ability.CONNECT)
def revoke(request: MemberRequest, setup: UUID, link: UUID) -> HttpResponse:
    row = _visible(request.user, setup)
    found = get_object_or_404(SetupLink.objects.visible_to(request.user).filter(setup=row), pk=link)
    setup_links.revoke(found, by_member(request.user))
    messages.success(request, _("The link is taken back. Whoever opens it is told so."))
    return redirect("setup", row.pk)


def begun(member: Member) -> list[tuple[Setup, str, Words]]:
    """Setups that wait to be finished: with the provider's name and the step where they go on."""
    found = Setup.objects.visible_to(member).unfinished().select_related("connection").order_by("begun_at")
    return [
        (row, guidance.GUIDES[row.kind].name, guidance.STEPS[row.step])
        for row in found
        if row.kind in guidance.GUIDES
    ]


def _keep_for_later(request: MemberRequest, form: AccessForm) -> HttpResponse:
    """As typed, whether or not it is whole."""
    try:
        setups.note(form.setup, form.access)
    except Refused as error:
        form.errors["api_base"] = guidance.trouble(error.code, guidance.GUIDES[form.setup.kind].vendor)
        return _page(request, form.setup, Step.ACCESS, {"form": form, "trouble": ""}, status=422)
    messages.success(request, _("Kept. You find it under Integrations, and go on whenever you like."))
    return redirect("connections")


def _try(
    request: MemberRequest, row: Setup, connection: Connection, act: Callable[[str], None]
) -> HttpResponse:
    try:
        act(by_member(request.user))
    except Refused as error:
        trouble = guidance.trouble(error.code, guidance.GUIDES[row.kind].vendor)
        facts = {**_test_facts(request.user, connection), "trouble": trouble}
        return _page(request, row, Step.TEST, facts, status=422)
    return redirect("setup_privacy", row.pk)


def _test_facts(member: Member, connection: Connection) -> dict[str, Any]:
    checks, file = setup_checks.of_test(member, connection)
    return {"checks": checks, "file": file, "is_kept": bool(file and file.stored_at)}


def _providers(request: MemberRequest, row: Setup | None) -> HttpResponse:
    context = {
        "setup": row,
        "stops": _stops(row, Step.PROVIDER),
        "guides": [
            (kind, guide, row is not None and row.kind == kind) for kind, guide in guidance.GUIDES.items()
        ],
        "begun": begun(request.user) if row is None else [],
    }
    return render(request, "setup_provider.html", context)


def _page(
    request: MemberRequest, row: Setup, step: Step, facts: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    guide = guidance.GUIDES[row.kind]
    context = {
        "setup": row,
        "connection": row.connection,
        "step": step,
        "number": ORDER.index(step) + 1,
        "stops": _stops(row, step),
        "guide": guide,
        "vendor": guide.vendor,
        "can_send": step in SENDABLE and step == row.step,
        "links": _links(request.user, row) if step in SENDABLE else [],
        **facts,
    }
    return render(request, f"{PAGES[step]}.html", context, status=status)


def _stops(row: Setup | None, here: Step) -> list[Stop]:
    reached = ORDER.index(row.step) if row else 0
    notes: dict[str, Words] = {}
    if row:
        notes = {Step.PROVIDER: guidance.GUIDES[row.kind].name, Step.ACCESS: row.account_id}
    stops = []
    for number, step in enumerate(ORDER):
        is_fixed = step == Step.PROVIDER and row is not None and row.connection is not None
        is_open = row is not None and number <= reached and not is_fixed
        address = reverse(PAGES[step], kwargs={"setup": row.pk}) if row and is_open else ""
        note = notes.get(step) or guidance.STEP_NOTES[step]
        stops.append(Stop(number + 1, guidance.STEPS[step], note, number < reached, step == here, address))
    return stops


def _links(member: Member, row: Setup) -> list[SentLink]:
    found = list(SetupLink.objects.visible_to(member).filter(setup=row).open(clock.now()).order_by("made_at"))
    names = names_of(member, [link.made_by for link in found])
    return [SentLink(link, guidance.STEPS[link.step], names[link.made_by]) for link in found]


def _onward(request: MemberRequest, row: Setup) -> HttpResponse:
    """To where it goes on; what is over is told."""
    if row.is_over:
        messages.info(request, str(guidance.TROUBLES["setup_over"]))
        return redirect("connections")
    return redirect(PAGES[row.step], row.pk)


def _connected(member: Member, setup: UUID) -> tuple[Setup, Connection | None]:
    """The setup, and its connection while both are alive."""
    row = _visible(member, setup)
    return row, None if row.is_over else row.connection


def _visible(member: Member, setup: UUID) -> Setup:
    found: Iterable[Setup] = Setup.objects.visible_to(member).select_related("connection", "workspace")
    return get_object_or_404(found, pk=setup)  # type: ignore[arg-type]
