"""What is asked of a number besides files: to say something, and to knock at another address."""

from __future__ import annotations

from typing import Any

import aiohttp
from aiohttp import web

from sandbox.whatsapp.faults import Side
from sandbox.whatsapp.graph import bad_token, fail, graph_error, meta_json, refuse_stranger, unknown_object
from sandbox.whatsapp.messages import Customer, new_message_id
from sandbox.whatsapp.phone import Phone
from sandbox.whatsapp.sender import shake_hands
from sandbox.whatsapp.state import STATE, State

SENDING = "messages"
"""The name by which a fault of the plan strikes sends alone."""


async def post_messages(request: web.Request) -> web.StreamResponse:
    """`POST /{version}/{phone}/messages`."""
    state, node = request.app[STATE], request.match_info["node"]
    if node not in state.phones:
        return unknown_object(node)
    refused = refuse_stranger(request, state, node)
    return refused or await take_message(request, state, state.phones[node])


async def take_message(request: web.Request, state: State, phone: Phone) -> web.StreamResponse:
    """A message for a customer: taken, or refused as Meta refuses it."""
    state.statistics.requests["send"] += 1
    fault = state.plan.strike(Side.GRAPH, SENDING)
    if fault is not None:
        return await fail(request, fault, SENDING)
    said: dict[str, Any] = await request.json()
    to, kind = said.get("to") or said.get("recipient"), said.get("type")
    if said.get("messaging_product") != "whatsapp" or not to or kind not in said:
        return graph_error(400, 100, "(#100) Invalid parameter", "OAuthException")
    if kind != "template" and to in state.late:
        return graph_error(400, 131047, "(#131047) Re-engagement message", "OAuthException")
    message_id = new_message_id(Customer("", phone=to.removeprefix("+")), outbound=True)
    state.sent.append({"id": message_id, "phone_number_id": phone.phone_number_id, **said})
    who = {"input": to, "wa_id": to.removeprefix("+")} if "to" in said else {"input": to, "user_id": to}
    told = {"messaging_product": "whatsapp", "contacts": [who], "messages": [{"id": message_id}]}
    return web.Response(text=meta_json(told), content_type="application/json", charset="UTF-8")


async def post_subscription(request: web.Request) -> web.StreamResponse:
    """`POST /{version}/{waba}/subscribed_apps`: the app listens to the account."""
    state, node = request.app[STATE], request.match_info["node"]
    state.statistics.requests["register"] += 1
    ours = state.opened_by(request.headers)
    if ours is None:
        return bad_token()
    if node not in {state.phones[number].waba_id for number in ours}:
        return unknown_object(node)
    state.subscribed.add(node)
    return web.json_response({"success": True})


async def post_number(request: web.Request) -> web.StreamResponse:
    """`POST /{version}/{phone}`: an address of its own, shaken hands with first, as Meta does."""
    state, node = request.app[STATE], request.match_info["node"]
    state.statistics.requests["register"] += 1
    if node not in state.phones:
        return unknown_object(node)
    refused = refuse_stranger(request, state, node)
    if refused is not None:
        return refused
    wanted = (await request.json()).get("webhook_configuration") or {}
    url, token = wanted.get("override_callback_uri", ""), wanted.get("verify_token", "")
    if not url:  # the override ends
        state.registered.pop(node, None)
        return web.json_response({"success": True})
    try:
        is_ours = await shake_hands(url, token)
    except (aiohttp.ClientError, ValueError, TimeoutError):
        is_ours = False
    if not is_ours:
        return graph_error(400, 2200, "(#2200) Callback verification failed", "OAuthException")
    state.registered[node] = {"url": url, "headers": {}}
    return web.json_response({"success": True})


async def get_desk(request: web.Request) -> web.Response:
    """A handle: what was said through every number, and where each knocks."""
    state = request.app[STATE]
    return web.json_response({"sent": state.sent, "registered": state.registered})


async def set_late(request: web.Request) -> web.Response:
    """A handle: `{"to": "+1555…", "late": true}`: more than 24 hours have passed since this customer wrote."""
    state, asked = request.app[STATE], await request.json()
    (state.late.add if asked["late"] else state.late.discard)(asked["to"])
    return web.json_response({"success": True})


HANDLES = [web.get("/_sandbox/desk", get_desk), web.post("/_sandbox/late", set_late)]
