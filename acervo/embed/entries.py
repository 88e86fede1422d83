"""The ways in: what a CRM signs, or code of ours inside it asks with a key, opens the panel of one record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from acervo.base import clock
from acervo.base.errors import Refused
from acervo.crms import embedding
from acervo.crms.embedding import Embedding, Knock, Opening, Unproven
from acervo.embed import panel, sessions, words
from acervo.embed.frame import framed, reading
from acervo.govern import embeds
from acervo.models import Connection, Embed, EmbedSession
from acervo.models.embed import CODE_LIVES

MOST_BODY_BYTES: Final = 16 * 1024
REFUSED: Final = 403


class SwitchedOff(Refused):
    """Nobody turned the panel of this connection on."""

    code = "embed_off"


class NotSetUp(Refused):
    """The panel is on, but nobody said what the CRM signs with."""

    code = "embed_not_set_up"


@csrf_exempt  # a signature of the CRM is asked for instead, and no cookie is looked at
@require_http_methods(["GET", "POST"])
def signed_page(request: HttpRequest, connection: UUID) -> HttpResponse:
    """Where what the CRM signs opens the panel itself. Opened by hand, by GET, it says where it belongs."""
    account, known = _account(connection, opens="page")
    try:
        opening = _proven(request, account, known)
        session, token = sessions.open_page(account, opening)
    except Refused as error:
        return _refused_page(request, account, error)
    return _panel(request, session, token)


@csrf_exempt
@require_http_methods(["GET", "POST"])
def signed_fetch(request: HttpRequest, connection: UUID) -> HttpResponse:
    """Where a card of the CRM's own parts fetches what it shows; with `open=1` also a link that opens the panel."""
    account, known = _account(connection, opens="fetch")
    with reading(request, account.workspace):
        try:
            opening = _proven(request, account, known)
            session, code = sessions.make_code(account, opening)
        except Refused as error:
            return _refused_json(error)
        wants_link = request.GET.get("open") == "1"
        return JsonResponse(_link(code) if wants_link else panel.summary(session))


@csrf_exempt
@require_POST
def link(request: HttpRequest, connection: UUID) -> HttpResponse:
    """Code of ours inside the CRM shows a key and says who looks at which record; the answer opens the panel once."""
    account, _known = _account(connection, opens="key")
    with reading(request, account.workspace):
        try:
            _refuse_off(account)
            if sessions.key_of_request(request, account) is None:
                raise Unproven()
            _session, code = sessions.make_code(account, _told(request))
        except Refused as error:
            return _refused_json(error)
    return JsonResponse(_link(code))


@require_GET
def open_link(request: HttpRequest, code: str) -> HttpResponse:
    """A link of the two above: it opens one panel, once, within a minute."""
    opened = sessions.open_code(code)
    if opened is None:
        raise Http404
    return _panel(request, *opened)


def _account(connection: UUID, *, opens: str) -> tuple[Connection, Embedding]:
    """Http404 also for a CRM whose panel opens in another way."""
    found = Connection.objects.crms().filter(removed_at=None).select_related("workspace")
    account = get_object_or_404(found, pk=connection)
    known = embedding.find(account.kind)
    if known is None or known.opens != opens:
        raise Http404
    return account, known


def _proven(request: HttpRequest, account: Connection, known: Embedding) -> Opening:
    embed = _refuse_off(account)
    trust = embeds.trust_of(account, embed)
    if known.verify is None or not all(getattr(trust, name) for name in known.needs):
        raise NotSetUp()
    return known.verify(trust, _knock(request), clock.now().timestamp())


def _refuse_off(account: Connection) -> Embed:
    embed = embeds.of(account)
    if embed.turned_on_at is None:
        raise SwitchedOff()
    return embed


def _knock(request: HttpRequest) -> Knock:
    """The address as the CRM called it: behind a proxy, the host of the request may be another one."""
    query = request.META.get("QUERY_STRING", "")
    return Knock(
        method=request.method or "",
        uri=settings.ACERVO_BASE_URL + request.path + (f"?{query}" if query else ""),
        headers={name.lower(): value for name, value in request.headers.items()},
        body=_body(request),
        form={name: str(value) for name, value in request.POST.items()},
    )


def _body(request: HttpRequest) -> bytes:
    try:
        body = request.body
    except RequestDataTooBig as error:
        raise sessions.Unreadable() from error
    if len(body) > MOST_BODY_BYTES:
        raise sessions.Unreadable()
    return body


def _told(request: HttpRequest) -> Opening:
    try:
        told = json.loads(_body(request))
    except (ValueError, RecursionError) as error:
        raise sessions.Unreadable() from error
    user = told.get("user") if isinstance(told, dict) else None
    if not isinstance(user, dict):
        raise sessions.Unreadable()
    return Opening(
        agent_id=_text(user, "id"),
        email=_text(user, "email"),
        name=_text(user, "name"),
        object_name=_text(told, "object"),
        record_id=_text(told, "record"),
    )


def _text(told: Mapping[str, Any], name: str) -> str:
    value = told.get(name, "")
    is_told = isinstance(value, str | int) and not isinstance(value, bool)
    return str(value).strip()[:300] if is_told else ""


def _link(code: str) -> dict[str, Any]:
    address = f"{settings.ACERVO_BASE_URL}/embed/open/{code}"
    return {"url": address, "expires_in": int(CODE_LIVES.total_seconds())}


def _panel(request: HttpRequest, session: EmbedSession, token: str) -> HttpResponse:
    """The page of a session that has just begun; the token is nowhere but in it."""
    account = session.connection
    known = embedding.find(account.kind)
    with reading(request, session.workspace):
        shown = panel.page(session, panel.Asked.of(session))
        sdk = known.sdk_origin if known and not session.record_id else ""
        context = {**shown, "token": token, "session": session, "sdk_origin": sdk}
        response = render(request, "embed/panel.html", context)
    return framed(response, embeds.origins(account, account.embed), sdk_origin=sdk)


def _refused_page(request: HttpRequest, account: Connection, error: Refused) -> HttpResponse:
    with reading(request, account.workspace):
        context = {"refusal": words.refusal(error.code), "code": error.code}
        response = render(request, "embed/refused.html", context, status=REFUSED)
    return framed(response, embeds.origins(account, embeds.of(account)))


def _refused_json(error: Refused) -> JsonResponse:
    said = words.refusal(error.code)
    told = {"error": error.code, "title": str(said.title), "message": str(said.text)}
    return JsonResponse(told, status=REFUSED)
