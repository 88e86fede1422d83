"""The Graph side: look up and delete media ids, check a number, read its settings; errors as Meta words them."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from sandbox.whatsapp.faults import Fault, FaultKind, Side
from sandbox.whatsapp.phone import Phone
from sandbox.whatsapp.shelf import NO_STORAGE_LIFE_S, Item
from sandbox.whatsapp.state import STATE, State

TOKEN_LIFE_S = 60 * 86_400
"""Of a token a person made; those of system users may be good for ever."""


async def get_node(request: web.Request) -> web.StreamResponse:
    """`GET /{version}/{node}`: Meta has one address for every kind of object, so do we."""
    state = request.app[STATE]
    node = request.match_info["node"]
    if node in state.phones:
        return _check(request, state, state.phones[node])
    return await look_up(request, state, node)


async def look_up(request: web.Request, state: State, media_id: str) -> web.StreamResponse:
    """What a media id stands for."""
    state.statistics.requests["lookup"] += 1
    fault = state.plan.strike(Side.GRAPH, media_id)
    if fault is not None:
        return await fail(request, fault, media_id)
    numbers = state.opened_by(request.headers)
    if numbers is None:
        return bad_token()
    item = own_item(state, numbers, media_id, request.query.get("phone_number_id"))
    if item is None:
        return unknown_object(media_id)
    state.statistics.lookups[media_id] += 1
    return web.Response(
        text=meta_json(_description(state, item)),
        content_type="application/json",
        charset="UTF-8",
        headers=_usage(state, state.phones[item.phone_number_id]),
    )


def own_item(state: State, numbers: set[str], media_id: str, phone_number_id: str | None) -> Item | None:
    """The file, unless it is dead or another's: Meta does not tell these apart."""
    item = state.shelf.get(media_id)
    if item is None:
        state.statistics.refusals["unknown_id"] += 1
        return None
    if item.phone_number_id not in numbers or phone_number_id not in (None, item.phone_number_id):
        state.statistics.refusals["foreign"] += 1
        return None
    return item


def _description(state: State, item: Item) -> dict[str, Any]:
    return {
        "url": state.shelf.url(item.media_id),
        "mime_type": item.mime.partition(";")[0],
        "sha256": item.sha256,
        "file_size": len(item.data),
        "id": item.media_id,
        "messaging_product": "whatsapp",
    }


def _usage(state: State, phone: Phone) -> dict[str, str]:
    percent = state.usage_percent
    spent = {
        "type": "whatsapp",
        "call_count": percent,
        "total_cputime": 1,
        "total_time": 1,
        "estimated_time_to_regain_access": 5 if percent >= 100 else 0,
    }
    return {
        "X-Business-Use-Case-Usage": json.dumps({phone.waba_id: [spent]}, separators=(",", ":")),
        "Facebook-Api-Version": "v25.0",
        "X-FB-Trace-ID": secrets.token_urlsafe(8),
    }


def _check(request: web.Request, state: State, phone: Phone) -> web.Response:
    state.statistics.requests["check"] += 1
    refused = refuse_stranger(request, state, phone.phone_number_id)
    if refused is not None:
        return refused
    known: dict[str, Any] = {
        "verified_name": phone.verified_name,
        "code_verification_status": "VERIFIED",
        "display_phone_number": f"+{phone.display_number}",
        "quality_rating": "GREEN",
        "platform_type": "CLOUD_API",
        "throughput": {"level": "STANDARD"},
        "is_on_biz_app": False,
        "whatsapp_business_manager_messaging_limit": "TIER_10K",
        "status": "CONNECTED",
        "account_mode": "LIVE",
        "name_status": "APPROVED",
    }
    known["webhook_configuration"] = {"application": "https://app.example.test/hooks"}
    if registered := state.registered.get(phone.phone_number_id):
        known["webhook_configuration"]["phone_number"] = registered["url"]
    asked = request.query.get("fields")
    if asked:
        known = {name: known[name] for name in asked.split(",") if name in known}
    return web.Response(
        text=meta_json({**known, "id": phone.phone_number_id}),
        content_type="application/json",
        charset="UTF-8",
        headers=_usage(state, phone),
    )


async def get_settings(request: web.Request) -> web.Response:
    """`GET /{version}/{phone}/settings`: whether Meta keeps received files for days or for an hour."""
    state = request.app[STATE]
    state.statistics.requests["settings"] += 1
    phone = state.phones.get(request.match_info["node"])
    if phone is None:
        return unknown_object(request.match_info["node"])
    refused = refuse_stranger(request, state, phone.phone_number_id)
    if refused is not None:
        return refused
    storage: dict[str, Any] = {"status": "DEFAULT"}
    if not phone.keeps_files:
        storage = {"status": "NO_STORAGE_ENABLED", "retention_minutes": int(NO_STORAGE_LIFE_S // 60)}
    return web.json_response({"storage_configuration": storage}, headers=_usage(state, phone))


async def post_debug_token(request: web.Request) -> web.Response:
    """`POST /{version}/debug_token` with `method=get`: until when a token is good, and for what."""
    state = request.app[STATE]
    state.statistics.requests["debug_token"] += 1
    asked: dict[str, Any] = await request.json()
    if state.opened_by(request.headers) is None or asked.get("method") != "get":
        return bad_token()
    ends_at = int(time.time() + TOKEN_LIFE_S)
    scopes = ["whatsapp_business_messaging", "whatsapp_business_management"]
    token = {"is_valid": True, "type": "SYSTEM_USER", "expires_at": ends_at, "scopes": scopes}
    return web.json_response({"data": token})


async def delete_media(request: web.Request) -> web.Response:
    """`DELETE /{version}/{media_id}`."""
    state = request.app[STATE]
    state.statistics.requests["delete"] += 1
    numbers = state.opened_by(request.headers)
    if numbers is None:
        return bad_token()
    media_id = request.match_info["node"]
    if own_item(state, numbers, media_id, request.query.get("phone_number_id")) is None:
        return unknown_object(media_id)
    state.shelf.delete(media_id)
    return web.json_response({"success": True})


def refuse_stranger(request: web.Request, state: State, phone_number_id: str) -> web.Response | None:
    numbers = state.opened_by(request.headers)
    if numbers is None:
        return bad_token()
    if phone_number_id not in numbers:
        state.statistics.refusals["foreign"] += 1
        return unknown_object(phone_number_id)
    return None


async def fail(request: web.Request, fault: Fault, media_id: str) -> web.StreamResponse:
    """The answer of a fault at the Graph side."""
    match fault.kind:
        case FaultKind.RATE_LIMITED:
            return rate_limited(fault.status or 429)
        case FaultKind.TOKEN_REVOKED:
            return bad_token()
        case FaultKind.GONE:
            return unknown_object(media_id)
        case FaultKind.HOST_DOWN:
            return drop(request)
        case FaultKind.HANG:
            await asyncio.sleep(fault.seconds)
            return drop(request)
        case FaultKind.HTML:
            return web.Response(text="<!DOCTYPE html><title>Error</title>", content_type="text/html")
        case _:
            return graph_error(fault.status or 503, 2, "Service temporarily unavailable", "OAuthException")


def drop(request: web.Request) -> web.StreamResponse:
    """Close the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=503)


def bad_token() -> web.Response:
    return graph_error(
        401,
        190,
        "Error validating access token: Session has expired on Thursday, 01-Jan-26 00:00:00 PST.",
        "OAuthException",
        subcode=463,
    )


def rate_limited(status: int) -> web.Response:
    usage = {"X-App-Usage": '{"call_count":100,"total_cputime":25,"total_time":30}'}
    return graph_error(status, 4, "(#4) Application request limit reached", "OAuthException", headers=usage)


def unknown_object(node: str) -> web.Response:
    return graph_error(
        400,
        100,
        f"Unsupported get request. Object with ID '{node}' does not exist, cannot be loaded due to missing "
        "permissions, or does not support this operation. Please read the Graph API documentation at "
        "https://developers.facebook.com/docs/graph-api",
        "GraphMethodException",
        subcode=33,
        headers={
            "X-App-Usage": '{"call_count":0,"total_cputime":0,"total_time":0}',
            "WWW-Authenticate": 'OAuth "Facebook Platform" "invalid_request" "Unsupported get request. ..."',
        },
    )


def graph_error(
    status: int,
    code: int,
    message: str,
    error_type: str,
    *,
    subcode: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """An error in the one shape every Graph error has."""
    error: dict[str, Any] = {"message": message, "type": error_type, "code": code}
    if subcode is not None:
        error["error_subcode"] = subcode
    error["fbtrace_id"] = "A" + secrets.token_urlsafe(15)
    return web.Response(
        text=meta_json({"error": error}),
        status=status,
        content_type="application/json",
        charset="UTF-8",
        headers=headers,
    )


def meta_json(value: object) -> str:
    """JSON as Graph writes it: compact, ASCII, with escaped slashes (recorded traffic, October 2024)."""
    return json.dumps(value, separators=(",", ":")).replace("/", "\\/")
