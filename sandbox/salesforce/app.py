"""The simulated organisation as an ASGI app: session, limits and faults at the gate, then the calls, then the page."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.forms import parts
from sandbox.hubspot.faults import Fault
from sandbox.salesforce import api, page
from sandbox.salesforce.api import DATA, Answer, Call
from sandbox.salesforce.fields import Refusal
from sandbox.salesforce.org import Org
from sandbox.silence import hang

Endpoint = Callable[[Org, Call], Answer]

ENDPOINTS: tuple[tuple[str, str, Endpoint], ...] = (
    ("GET", "/services/oauth2/userinfo", api.user_info),
    ("GET", f"{DATA}/query", api.query),
    ("GET", f"{DATA}/queryAll", api.query_all),
    ("GET", f"{DATA}/tooling/query", api.tooling_query),
    ("POST", f"{DATA}/parameterizedSearch", api.search),
    ("GET", f"{DATA}/sobjects/{{object}}/describe", api.describe),
    ("POST", f"{DATA}/sobjects/ContentVersion", api.publish),
    ("POST", f"{DATA}/sobjects/{{object}}", api.create),
    ("PATCH", f"{DATA}/sobjects/{{object}}/{{id}}", api.update),
    ("DELETE", f"{DATA}/sobjects/{{object}}/{{id}}", api.delete),
    ("PATCH", f"{DATA}/composite/sobjects/{{object}}/{{key}}", api.upsert_many),
    ("PATCH", f"{DATA}/composite/sobjects", api.update_many),
    ("POST", f"{DATA}/composite", api.composite),
    ("POST", f"{DATA}/metadata/deployRequest", api.deploy),
    ("GET", f"{DATA}/metadata/deployRequest/{{id}}", api.deploy_status),
)

_FORMS = {frozenset(names): names for names in (("json", "file"), ("entity_content", "VersionData"))}
"""The parts of each form: what is said, and the bytes."""


def app(org: Org, *, hang_s: float | None = 120.0) -> Starlette:
    """`hang_s`: how long a time-out fault keeps the line open; None raises `Silence` at once, for tests."""
    routes = [
        Route(path, _served(org, endpoint, hang_s), methods=[method]) for method, path, endpoint in ENDPOINTS
    ]
    return Starlette(
        routes=[Route("/services/oauth2/token", _token(org), methods=["POST"]), *routes, *page.routes(org)]
    )


def _served(org: Org, endpoint: Endpoint, hang_s: float | None) -> Callable[[Request], Any]:
    async def serve(request: Request) -> Response:
        if refusal := _refused_at_gate(org, request, endpoint):
            return refusal
        org.traffic.at_once += 1
        org.traffic.peak = max(org.traffic.peak, org.traffic.at_once)
        try:
            await asyncio.sleep(0)  # others come meanwhile
            fault = org.faults.take(request.method, request.url.path)
            if fault and fault.kind == "timeout":
                await hang(hang_s)
            if fault and fault.kind == "status":
                return _refused(org, Refusal(fault.status, fault.category, fault.message))
            response = await _answer(org, endpoint, request, fault)
            if fault and fault.kind == "timeout_after_commit":
                await hang(hang_s)
            return response
        finally:
            org.traffic.at_once -= 1

    return serve


async def _answer(org: Org, endpoint: Endpoint, request: Request, fault: Fault | None) -> Response:
    try:
        call = await _call(request, fails_last_item=bool(fault and fault.kind == "partial"))
        status, body = endpoint(org, call)
    except Refusal as refusal:
        return _refused(org, refusal)
    except (KeyError, TypeError, ValueError) as error:
        return _refused(org, Refusal(400, "JSON_PARSER_ERROR", f"unexpected input: {type(error).__name__}"))
    if body is None:
        return Response(status_code=status, headers=_usage(org))
    return JSONResponse(body, status_code=status, headers=_usage(org))


async def _call(request: Request, *, fails_last_item: bool) -> Call:
    query = dict(request.query_params)
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        form = parts(request.headers["content-type"], await request.body())
        about, file = _FORMS[frozenset(form)]
        return Call(request.path_params, query, json.loads(form[about].content), form[file])
    raw = await request.body()
    return Call(request.path_params, query, json.loads(raw) if raw else None, fails_last_item=fails_last_item)


def _refused_at_gate(org: Org, request: Request, endpoint: Endpoint) -> Response | None:
    if org.clock() < org.away_until:
        return _refused(org, Refusal(503, "SERVER_UNAVAILABLE", "The service is temporarily unavailable."))
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    if org.sessions.get(token, 0.0) <= org.clock():
        return _refused(org, Refusal(401, "INVALID_SESSION_ID", "Session expired or invalid"))
    traffic = org.traffic
    name = endpoint.__name__
    traffic.by_operation[name] = traffic.by_operation.get(name, 0) + 1
    if traffic.at_once >= traffic.at_once_limit:
        traffic.peak = max(traffic.peak, traffic.at_once + 1)
        message = "ConcurrentRequests (Concurrent API Requests) Limit exceeded."
        return _refused(org, Refusal(403, "REQUEST_LIMIT_EXCEEDED", message))
    if not traffic.daily.admit():
        return _refused(org, Refusal(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."))
    return None


def _refused(org: Org, refusal: Refusal) -> Response:
    return JSONResponse([refusal.as_json()], status_code=refusal.status, headers=_usage(org))


def _usage(org: Org) -> dict[str, str]:
    return {"Sforce-Limit-Info": f"api-usage={org.traffic.daily.used}/{org.traffic.daily.limit}"}


def _token(org: Org) -> Callable[[Request], Any]:
    async def serve(request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        if org.clock() < org.away_until:
            return JSONResponse({"error": "temporarily_unavailable"}, status_code=503)
        if error := _token_refusal(org, form):
            return JSONResponse(
                {"error": error, "error_description": "authentication failure"}, status_code=400
            )
        org.tokens_given += 1
        token = f"{org.id[:15]}!AQ-simulated-{org.tokens_given}"
        org.sessions[token] = org.clock() + org.session_s
        return JSONResponse(
            {
                "access_token": token,
                "instance_url": f"{request.url.scheme}://{request.headers.get('host', '')}",
                "id": f"https://login.salesforce.com/id/{org.id}/{org.user_id}",
                "token_type": "Bearer",
                "issued_at": str(int(org.clock() * 1000)),
                "signature": "simulated",
            }
        )

    return serve


def _token_refusal(org: Org, form: dict[str, str]) -> str | None:
    if org.refuses_access:
        return "inactive_org"
    if form.get("grant_type") == "client_credentials":
        if form.get("client_id") != org.client_id:
            return "invalid_client_id"
        return None if form.get("client_secret") == org.client_secret else "invalid_client"
    if form.get("grant_type") == "urn:ietf:params:oauth:grant-type:jwt-bearer":
        return None if _is_signed(org, form.get("assertion", "")) else "invalid_grant"
    return "unsupported_grant_type"


def _is_signed(org: Org, assertion: str) -> bool:
    signed, _, signature = assertion.rpartition(".")
    try:
        org.public_key.verify(_decoded(signature), signed.encode(), PKCS1v15(), hashes.SHA256())
        claims = json.loads(_decoded(signed.partition(".")[2]))
    except (InvalidSignature, ValueError, AttributeError):
        return False
    is_ours = (claims["iss"], claims["sub"]) == (org.client_id, org.username)
    is_in_time = org.clock() < claims["exp"] <= org.clock() + 300
    return (
        is_ours
        and is_in_time
        and claims["aud"] in {"https://login.salesforce.com", "https://test.salesforce.com"}
    )


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
