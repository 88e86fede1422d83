"""One step of connecting a number, for somebody without an account: what the link is for, and nothing else."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from acervo.base.errors import Refused
from acervo.govern import setup_links, setups
from acervo.models import SetupLink, Step
from acervo.web import guidance
from acervo.web.pace import Pace, paced
from acervo.web.setup_forms import AccessForm
from acervo.web.setup_steps import of_webhook, submit, told

READING: Final = Pace(times=90, within_s=60)
"""The page looks after its checks every few seconds."""
SENDING: Final = Pace(times=10, within_s=60)


@require_http_methods(["GET", "POST"])
@paced("setup_step", reading=READING, sending=SENDING)
@sensitive_post_parameters()
def step(request: HttpRequest, token: str) -> HttpResponse:
    link = setup_links.find(token)
    if link is None:
        return render(request, "setup_link_closed.html", status=404)
    if request.method == "GET":
        return _page(request, link, {})
    try:
        setup_links.note_try(link)
        return (_give_access if link.step == Step.ACCESS else _set_webhook)(request, link, token)
    except Refused:  # somebody finished it meanwhile
        return render(request, "setup_link_closed.html", status=404)


def _give_access(request: HttpRequest, link: SetupLink, token: str) -> HttpResponse:
    form = _form(request, link)
    trouble = submit(form, setup_links.by_link(link))
    if trouble is not None:
        return _page(request, link, {"form": form, "trouble": trouble}, status=422)
    return _done(request, link)


def _set_webhook(request: HttpRequest, link: SetupLink, token: str) -> HttpResponse:
    by = setup_links.by_link(link)
    if "tell" in request.POST:
        outcome = told(link.setup, by, replaces="replace" in request.POST)
        return _page(request, link, outcome, status=422) if outcome else redirect("setup_step", token)
    setups.settle(link.setup, by)
    return _done(request, link)


def _done(request: HttpRequest, link: SetupLink) -> HttpResponse:
    setup_links.use(link)
    return render(request, "setup_link_done.html")


def _form(request: HttpRequest, link: SetupLink) -> AccessForm:
    sent = request.POST if request.method == "POST" else None
    return AccessForm(link.setup, setups.kept_secrets(link.setup), sent, is_ours=False)


def _page(request: HttpRequest, link: SetupLink, facts: dict[str, Any], *, status: int = 200) -> HttpResponse:
    setup = link.setup
    guide = guidance.GUIDES[setup.kind]
    if link.step == Step.ACCESS:
        facts = {"form": _form(request, link), **facts}
    elif setup.connection is not None:
        facts = {**of_webhook(setup, setup.connection), **facts}
    context = {
        "link": link,
        "company": setup.workspace.name,
        "step": link.step,
        "step_label": guidance.STEPS[link.step],
        "guide": guide,
        "vendor": guide.vendor,
        **facts,
    }
    return render(request, "setup_step.html", context, status=status)
