"""The simulated account as an ASGI app: token, limits and faults at the gate, then the endpoints, then the page."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.hubspot.faults import Fault
from sandbox.silence import hang
from sandbox.zendesk import files_api, objects_api, page, tickets_api, users_api
from sandbox.zendesk.account import Account
from sandbox.zendesk.calls import Answer, Call, Refusal

Endpoint = Callable[[Account, Call], Answer]

_OBJECT = "/api/v2/custom_objects/{key}"
_COMMENT = "/api/v2/tickets/{ticket_id:int}/comments/{comment_id:int}"
ENDPOINTS: tuple[tuple[str, str, Endpoint], ...] = (
    ("GET", "/api/v2/users/me", users_api.me),
    ("GET", "/api/v2/users/show_many", users_api.show_many),
    ("GET", "/api/v2/users/search", users_api.search),
    ("POST", "/api/v2/users/create_or_update", users_api.create_or_update),
    ("POST", "/api/v2/users/create_or_update_many", users_api.create_or_update_many),
    ("PUT", "/api/v2/users/update_many", users_api.update_many),
    ("GET", "/api/v2/users/{user_id:int}/tickets/requested", tickets_api.requested),
    ("GET", "/api/v2/users/{user_id:int}", users_api.read),
    ("PUT", "/api/v2/users/{user_id:int}", users_api.update),
    ("GET", "/api/v2/user_fields", users_api.list_fields),
    ("POST", "/api/v2/user_fields", users_api.create_field),
    ("GET", "/api/v2/custom_objects/limits/object_limit", objects_api.object_limit),
    ("POST", "/api/v2/custom_objects", objects_api.create_object),
    ("GET", _OBJECT, objects_api.read_object),
    ("GET", f"{_OBJECT}/fields", objects_api.list_fields),
    ("POST", f"{_OBJECT}/fields", objects_api.create_field),
    ("POST", f"{_OBJECT}/jobs", objects_api.start_job),
    ("GET", f"{_OBJECT}/records", objects_api.list_records),
    ("PATCH", f"{_OBJECT}/records", objects_api.upsert_record),
    ("GET", f"{_OBJECT}/records/{{record_id}}", objects_api.read_record),
    ("PATCH", f"{_OBJECT}/records/{{record_id}}", objects_api.update_record),
    ("DELETE", f"{_OBJECT}/records/{{record_id}}", objects_api.delete_record),
    ("GET", "/api/v2/job_statuses/{job_id}", objects_api.read_job),
    ("POST", "/api/v2/tickets", tickets_api.create),
    ("GET", "/api/v2/tickets/{ticket_id:int}", tickets_api.read),
    ("PUT", "/api/v2/tickets/{ticket_id:int}", tickets_api.update),
    ("GET", "/api/v2/tickets/{ticket_id:int}/comments", tickets_api.comments),
    ("PUT", "/api/v2/comment_redactions/{comment_id:int}", tickets_api.redact),
    ("POST", "/api/v2/uploads", files_api.upload),
    ("DELETE", "/api/v2/uploads/{token}", files_api.delete_upload),
    ("PUT", f"{_COMMENT}/attachments/{{attachment_id:int}}/redact", files_api.redact_attachment),
)
_NOT_LET_IN = {
    "error": "invalid_token",
    "error_description": "The access token provided is expired, revoked, malformed or invalid.",
}
_TOO_MANY = {
    "error": "APIRateLimitExceeded",
    "description": "Number of allowed API requests per minute exceeded",
}


def app(account: Account, *, hang_s: float | None = 120.0) -> Starlette:
    """`hang_s`: how long a time-out fault keeps the line open; None raises `Silence` at once, for tests."""
    routes = [
        Route(path, _served(account, endpoint, hang_s), methods=[method])
        for method, path, endpoint in ENDPOINTS
    ]
    token = Route("/oauth/tokens", _sell(account, hang_s), methods=["POST"])
    return Starlette(routes=[token, *routes, *page.routes(account)])


def _sell(account: Account, hang_s: float | None) -> Callable[[Request], Any]:
    async def sell(request: Request) -> Response:
        if account.clock() < account.away_until:
            return _away()
        fault = account.faults.take("POST", request.url.path)
        if fault and fault.kind != "status":
            await hang(hang_s)
        if fault:
            return _failed(fault)
        body = await request.json()
        asked = (str(body.get("client_id")), str(body.get("client_secret")), body.get("expires_in"))
        sold = account.sell_token(*asked) if body.get("grant_type") == "client_credentials" else None
        if sold is None:
            refusal = {"error": "invalid_client", "error_description": "Client authentication failed."}
            return JSONResponse(refusal, status_code=401)
        token, lifetime_s = sold
        answer = {"access_token": token, "token_type": "bearer", "scope": body.get("scope")}
        return JSONResponse({**answer, "expires_in": int(lifetime_s)}, status_code=201)

    return sell


def _served(account: Account, endpoint: Endpoint, hang_s: float | None) -> Callable[[Request], Any]:
    async def serve(request: Request) -> Response:
        account.by_operation[endpoint.__name__] = account.by_operation.get(endpoint.__name__, 0) + 1
        if account.clock() < account.away_until:
            return _away()
        if not account.minute.admit():
            return _refused(account, 429, _TOO_MANY, wait_s=account.minute.wait_s)
        if not _lets_in(account, request.headers.get("authorization", "")):
            if endpoint is users_api.me and "authorization" not in request.headers:
                return JSONResponse(users_api.anonymous()[1])
            return _refused(account, 401, _NOT_LET_IN)
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
    raw = await request.body()
    is_file = endpoint is files_api.upload
    try:
        call = Call(
            path={name: str(value) for name, value in request.path_params.items()},
            query=dict(request.query_params),
            body=json.loads(raw) if raw and not is_file else None,
            content=raw if is_file else b"",
            content_type=request.headers.get("content-type", ""),
            base=str(request.base_url).rstrip("/"),
            fails_last_item=bool(fault and fault.kind == "partial"),
        )
        status, body = endpoint(account, call)
    except Refusal as refusal:
        told = {name: value for name, value in refusal.body.items() if name != "wait_s"}
        return _refused(account, refusal.status, told, wait_s=refusal.body.get("wait_s", 12.0))
    except (KeyError, TypeError, ValueError) as error:
        body = {"error": {"title": "Invalid attribute", "message": type(error).__name__}}
        return _refused(account, 400, body)
    if body is None:
        return Response(status_code=status, headers=_usage(account))
    return JSONResponse(body, status_code=status, headers=_usage(account))


def _lets_in(account: Account, header: str) -> bool:
    scheme, _, value = header.partition(" ")
    if scheme == "Bearer":
        return account.lets_in(value)
    if scheme != "Basic":
        return False
    try:
        name, _, token = base64.b64decode(value).decode().partition("/token:")
    except (binascii.Error, UnicodeDecodeError):
        return False
    return (name, token) in account.api_tokens


def _refused(account: Account, status: int, body: dict[str, Any], *, wait_s: float = 0.0) -> Response:
    headers = _usage(account)
    if status == 429:
        headers["Retry-After"] = str(max(1, math.ceil(wait_s)))
    return JSONResponse(body, status_code=status, headers=headers)


def _away() -> Response:
    body = {"error": "ServiceUnavailable", "description": "Zendesk is temporarily unavailable"}
    return JSONResponse(body, status_code=503, headers={"Retry-After": "120"})


def _failed(fault: Fault) -> Response:
    """`category` is the code word, `message` the text, `policy_name` the seconds of Retry-After."""
    headers = {"Retry-After": fault.policy_name} if fault.policy_name else {}
    body = {"error": fault.category, "description": fault.message}
    return JSONResponse(body, status_code=fault.status, headers=headers)


def _usage(account: Account) -> dict[str, str]:
    limit, used = account.minute.limit, account.minute.used
    return {
        "X-Rate-Limit": str(limit),
        "X-Rate-Limit-Remaining": str(limit - used),
        "ratelimit-limit": str(limit),
        "ratelimit-remaining": str(limit - used),
        "ratelimit-reset": "60",
    }
