"""The simulated account as an ASGI app: token, limits and faults at the gate, then the endpoints, then the page."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.forms import is_form, parts
from sandbox.hubspot import associations_api, files_api, objects_api, page, schema_api, search
from sandbox.hubspot.account import Account
from sandbox.hubspot.calls import Answer, Call, error_json
from sandbox.hubspot.faults import Fault
from sandbox.hubspot.records import Refusal
from sandbox.silence import hang

VERSION = "2026-03"
Endpoint = Callable[[Account, Call], Answer]

_OBJECTS = f"/crm/objects/{VERSION}"
_PROPERTIES = f"/crm/properties/{VERSION}/{{object_type}}"
_FILES = f"/files/{VERSION}/files"
_SCHEMAS = f"/crm-object-schemas/{VERSION}/schemas"

ENDPOINTS: tuple[tuple[str, str, Endpoint], ...] = (
    ("GET", f"/account-info/{VERSION}/details", schema_api.account_details),
    ("POST", f"{_PROPERTIES}/groups", schema_api.create_group),
    ("GET", _PROPERTIES, schema_api.list_properties),
    ("POST", _PROPERTIES, schema_api.create_property),
    ("GET", f"{_PROPERTIES}/{{name}}", schema_api.read_property),
    ("GET", _SCHEMAS, schema_api.list_schemas),
    ("POST", _SCHEMAS, schema_api.create_schema),
    ("POST", f"{_OBJECTS}/contacts/merge", objects_api.merge),
    ("POST", f"{_OBJECTS}/contacts/gdpr-delete", objects_api.gdpr_delete),
    ("POST", f"{_OBJECTS}/{{object_type}}/search", search.search),
    ("POST", f"{_OBJECTS}/{{object_type}}/batch/read", objects_api.batch_read),
    ("POST", f"{_OBJECTS}/{{object_type}}/batch/upsert", objects_api.batch_upsert),
    ("POST", f"{_OBJECTS}/{{object_type}}/batch/update", objects_api.batch_update),
    ("POST", f"{_OBJECTS}/{{object_type}}", objects_api.create),
    ("GET", f"{_OBJECTS}/{{object_type}}/{{record_id}}", objects_api.read),
    ("PATCH", f"{_OBJECTS}/{{object_type}}/{{record_id}}", objects_api.update),
    ("DELETE", f"{_OBJECTS}/{{object_type}}/{{record_id}}", objects_api.archive),
    ("GET", f"{_OBJECTS}/{{object_type}}/{{record_id}}/associations/{{to_type}}", associations_api.list_),
    (
        "DELETE",
        f"{_OBJECTS}/{{from_type}}/{{from_id}}/associations/{{to_type}}/{{to_id}}",
        associations_api.remove,
    ),
    (
        "PUT",
        f"{_OBJECTS}/{{from_type}}/{{from_id}}/associations/default/{{to_type}}/{{to_id}}",
        associations_api.default,
    ),
    (
        "POST",
        f"/crm/associations/{VERSION}/{{from_type}}/{{to_type}}/batch/associate/default",
        associations_api.batch_default,
    ),
    ("POST", _FILES, files_api.upload_file),
    ("GET", f"{_FILES}/stat/{{place:path}}", files_api.stat_file),
    ("DELETE", f"{_FILES}/{{file_id}}/gdpr-delete", files_api.erase_file),
)


def app(account: Account, *, hang_s: float | None = 120.0) -> Starlette:
    """`hang_s`: how long a time-out fault keeps the line open; None raises `Silence` at once, for tests."""
    routes = [
        Route(path, _served(account, endpoint, hang_s), methods=[method])
        for method, path, endpoint in ENDPOINTS
    ]
    return Starlette(routes=[*routes, *page.routes(account)])


def _served(account: Account, endpoint: Endpoint, hang_s: float | None) -> Callable[[Request], Any]:
    async def serve(request: Request) -> Response:
        if refusal := _refused_at_gate(account, request, endpoint):
            return refusal
        fault = account.faults.take(request.method, request.url.path)
        if fault and fault.kind == "timeout":
            await hang(hang_s)
        if fault and fault.kind == "status":
            return _failed(fault)
        response = await _answer(account, endpoint, request, fault)
        if fault and fault.kind == "timeout_after_commit":
            await hang(hang_s)
        return response

    return serve


async def _answer(account: Account, endpoint: Endpoint, request: Request, fault: Fault | None) -> Response:
    try:
        raw = await request.body()
        content_type = request.headers.get("content-type", "")
        form = parts(content_type, raw) if is_form(content_type) else None
        call = Call(
            method=request.method,
            path=request.path_params,
            query=dict(request.query_params),
            body=json.loads(raw) if raw and not form else None,
            form=form,
            host=request.headers.get("host", ""),
            fails_last_input=bool(fault and fault.kind == "partial"),
        )
        status, body = endpoint(account, call)
    except Refusal as refusal:
        status = refusal.status
        body = error_json(refusal.category, refusal.message, subCategory=refusal.sub_category)
    except (KeyError, TypeError, ValueError) as error:
        status, body = 400, error_json("VALIDATION_ERROR", f"Invalid input JSON: {type(error).__name__}")
    if body is None:
        return Response(status_code=status, headers=_usage(account, endpoint))
    return JSONResponse(body, status_code=status, headers=_usage(account, endpoint))


def _refused_at_gate(account: Account, request: Request, endpoint: Endpoint) -> Response | None:
    if request.headers.get("authorization", "").removeprefix("Bearer ") not in account.tokens:
        return JSONResponse(error_json("INVALID_AUTHENTICATION", "Authentication failed."), status_code=401)
    policy = account.traffic.admit(operation=endpoint.__name__, is_search=endpoint is search.search)
    return _too_many(policy) if policy else None


def _too_many(policy: str) -> Response:
    body = error_json(
        "RATE_LIMITS",
        f"You have reached your {policy.lower()} limit.",
        errorType="RATE_LIMIT",
        policyName=policy,
    )
    return JSONResponse(body, status_code=429)


def _failed(fault: Fault) -> Response:
    if fault.policy_name:
        return _too_many(fault.policy_name)
    return JSONResponse(error_json(fault.category, fault.message), status_code=fault.status)


def _usage(account: Account, endpoint: Endpoint) -> dict[str, str]:
    if endpoint is search.search:
        return {}  # HubSpot's search answers say nothing about limits
    burst, daily = account.traffic.burst, account.traffic.daily
    return {
        "X-HubSpot-RateLimit-Max": str(burst.limit),
        "X-HubSpot-RateLimit-Remaining": str(burst.limit - burst.used),
        "X-HubSpot-RateLimit-Interval-Milliseconds": "10000",
        "X-HubSpot-RateLimit-Daily": str(daily.limit),
        "X-HubSpot-RateLimit-Daily-Remaining": str(daily.limit - daily.used),
    }
