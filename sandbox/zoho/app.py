"""The simulated organisation as an ASGI app: token, limits and faults at the gate, then the endpoints, then the page."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox import forms
from sandbox.hubspot.faults import Fault
from sandbox.silence import hang
from sandbox.zoho import auth, files_api, page, records_api, schema_api, search
from sandbox.zoho.account import Account
from sandbox.zoho.calls import Answer, Call
from sandbox.zoho.records import Refusal

CRM = "/crm/v8"
Endpoint = Callable[[Account, Call], Answer]

ENDPOINTS: tuple[tuple[str, str, Endpoint], ...] = (
    ("GET", "/org", schema_api.org),
    ("GET", "/settings/profiles", schema_api.profiles),
    ("GET", "/settings/modules", schema_api.list_modules),
    ("POST", "/settings/modules", schema_api.create_module),
    ("GET", "/settings/fields", schema_api.list_fields),
    ("POST", "/settings/fields", schema_api.create_fields),
    ("PATCH", "/settings/fields/{field_id}", schema_api.rename_field),
    ("DELETE", "/settings/recycle_bin/{record_id}", records_api.purge),
    ("POST", "/coql", search.coql),
    ("GET", "/{module}/search", search.search),
    ("POST", "/{module}/upsert", records_api.upsert),
    ("GET", "/{module}/{record_id}/Attachments", files_api.list_files),
    ("POST", "/{module}/{record_id}/Attachments", files_api.attach),
    ("DELETE", "/{module}/{record_id}/Attachments/{file_id}", files_api.detach),
    ("GET", "/{module}/{record_id}/{list}", records_api.related),
    ("GET", "/{module}", records_api.read),
    ("POST", "/{module}", records_api.create),
    ("PUT", "/{module}", records_api.update),
    ("DELETE", "/{module}", records_api.delete),
)


def app(account: Account, *, hang_s: float | None = 120.0) -> Starlette:
    """`hang_s`: how long a time-out fault keeps the line open; None raises `Silence` at once, for tests."""

    async def token(request: Request) -> Response:
        if account.is_away:
            return _refused(account, "INTERNAL_ERROR", "internal server error", 500)
        form = dict(parse_qsl((await request.body()).decode()))
        status, body = auth.token(account, form)
        return JSONResponse(body, status_code=status)

    routes = [
        Route(CRM + path, _served(account, endpoint, hang_s), methods=[method])
        for method, path, endpoint in ENDPOINTS
    ]
    return Starlette(
        routes=[Route("/oauth/v2/token", token, methods=["POST"]), *routes, *page.routes(account)]
    )


def _served(account: Account, endpoint: Endpoint, hang_s: float | None) -> Callable[[Request], Any]:
    async def serve(request: Request) -> Response:
        with account.traffic.call(endpoint.__name__) as is_admitted:
            await asyncio.sleep(0)  # so that calls made at once are under way at once
            if refusal := _refused_at_gate(account, request, is_admitted):
                return refusal
            fault = account.faults.take(request.method, request.url.path)
            if fault and fault.kind == "timeout":
                await hang(hang_s)
            if fault and fault.kind == "status":
                return _refused(account, fault.category, fault.message, fault.status)
            response = await _answer(account, endpoint, request, fault)
            if fault and fault.kind == "timeout_after_commit":
                await hang(hang_s)
            return response

    return serve


async def _answer(account: Account, endpoint: Endpoint, request: Request, fault: Fault | None) -> Response:
    try:
        call = Call(
            method=request.method,
            path=request.path_params,
            query=dict(request.query_params),
            body=await _body(request),
            fails_last_input=bool(fault and fault.kind == "partial"),
        )
        account.traffic.spend()
        status, body = endpoint(account, call)
    except Refusal as refusal:
        return _json(account, refusal.status, refusal.entry())
    except (KeyError, TypeError, ValueError) as error:
        return _refused(account, "INVALID_DATA", f"body {type(error).__name__}", 400)
    return _json(account, status, body)


async def _body(request: Request) -> Any:
    raw = await request.body()
    content_type = request.headers.get("content-type", "")
    if forms.is_form(content_type):
        return forms.parts(content_type, raw)
    return json.loads(raw) if raw else None


def _refused_at_gate(account: Account, request: Request, is_admitted: bool) -> Response | None:
    if account.is_away:
        return _refused(account, "INTERNAL_ERROR", "internal server error", 500)
    if not auth.is_good(account, request.headers.get("authorization", "")):
        return _refused(account, "INVALID_TOKEN", "invalid oauth token", 401)
    path = request.url.path.removeprefix(CRM)
    if any(part in path for part in account.lacks_scopes):
        return _refused(account, "OAUTH_SCOPE_MISMATCH", "invalid oauth scope to access this URL", 401)
    if not is_admitted:
        return _refused(account, "TOO_MANY_REQUESTS", "too many requests fired in concurrent", 429)
    return None


def _refused(account: Account, code: str, message: str, status: int) -> Response:
    return _json(account, status, Refusal(code, message).entry())


def _json(account: Account, status: int, body: Any) -> Response:
    """Credits are told only once half of them are used."""
    left = account.traffic.credits_left
    headers = (
        {"X-API-CREDITS-REMAINING": str(max(left, 0))} if left <= account.traffic.credits_a_day / 2 else {}
    )
    if body is None:
        return Response(status_code=status, headers=headers)
    return JSONResponse(body, status_code=status, headers=headers)
