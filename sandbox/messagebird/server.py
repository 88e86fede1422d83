"""The simulated MessageBird as one HTTP server: version 1 of its Conversations API, and its media host."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from sandbox.bird.keys import may, struck
from sandbox.messagebird.channel import Channel
from sandbox.whatsapp import attachments, control
from sandbox.whatsapp.faults import FaultKind, Side
from sandbox.whatsapp.server import LARGEST_BODY_BYTES, SandboxServer
from sandbox.whatsapp.state import STATE, State

FILE_LIFE_S = 30 * 86_400.0  # not documented
WAIT_S = "7"
CODES = {401: 2, 403: 2, 404: 20, 422: 21, 429: 101, 503: 99}


@dataclass(slots=True)
class Desk:
    """What the account holds besides files."""

    sent: list[dict[str, Any]] = field(default_factory=list)
    webhooks: list[dict[str, Any]] = field(default_factory=list)
    needs_key: bool = True
    """Whether a file asks for the key; both were seen."""


DESK: web.AppKey[Desk] = web.AppKey("desk", Desk)


async def get_media(request: web.Request) -> web.StreamResponse:
    """The bytes, at once; `Range` is ignored."""
    state, media_id = request.app[STATE], request.match_info["media"]
    is_probe = "Range" in request.headers
    state.statistics.requests["lookup" if is_probe else "download"] += 1
    fault = state.plan.strike(Side.GRAPH if is_probe else Side.MEDIA, media_id)
    if fault is not None and fault.kind in attachments.WITHOUT_FILE:
        words = {FaultKind.RATE_LIMITED: 429, FaultKind.TOKEN_REVOKED: 401, FaultKind.GONE: 404}
        failure = None if fault.kind in words else await attachments.fail_wordlessly(request, fault)
        return failure or refuse(fault.status or words.get(fault.kind, 503))
    item = state.shelf.get(media_id)
    owners = [item.phone_number_id] if item else list(state.phones)
    if request.app[DESK].needs_key and not any(may(request, owner) for owner in owners):
        return refuse(401)
    return refuse(404) if item is None else await attachments.give(request, item, fault)


async def send_message(request: web.Request) -> web.StreamResponse:
    if (refusal := await _refused(request, "send")) is not None:
        return refusal
    asked = await request.json()
    if not asked.get("to") or asked.get("from") not in request.app[STATE].phones or not asked.get("content"):
        return refuse(422)
    message = {**asked, "id": uuid.uuid4().hex, "status": "accepted"}
    request.app[DESK].sent.append(message)
    return web.json_response({"id": message["id"], "status": "accepted"}, status=202)


async def list_webhooks(request: web.Request) -> web.StreamResponse:
    if (refusal := await _refused(request, "webhooks")) is not None:
        return refusal
    items = request.app[DESK].webhooks
    return web.json_response({"offset": 0, "limit": 100, "count": len(items), "items": items})


async def add_webhook(request: web.Request) -> web.StreamResponse:
    if (refusal := await _refused(request, "webhooks")) is not None:
        return refusal
    made = {"id": uuid.uuid4().hex, "status": "enabled", **await request.json()}
    request.app[DESK].webhooks.append(made)
    return web.json_response(made, status=201)


async def remove_webhook(request: web.Request) -> web.StreamResponse:
    if (refusal := await _refused(request, "webhooks")) is not None:
        return refusal
    desk, wanted = request.app[DESK], request.match_info["webhook"]
    left = [one for one in desk.webhooks if one["id"] != wanted]
    is_there, desk.webhooks = len(left) < len(desk.webhooks), left
    return web.Response(status=204) if is_there else refuse(404)


async def get_desk(request: web.Request) -> web.Response:
    """A handle: what was sent, and whom the account tells."""
    desk = request.app[DESK]
    return web.json_response({"sent": desk.sent, "webhooks": desk.webhooks, "needs_key": desk.needs_key})


async def set_desk(request: web.Request) -> web.Response:
    """A handle: `{"needs_key": false}`."""
    request.app[DESK].needs_key = bool((await request.json())["needs_key"])
    return web.json_response({"success": True})


def refuse(status: int, _code: str = "") -> web.Response:
    error = {"code": CODES.get(status, 99), "description": "The request was refused.", "parameter": None}
    headers = {"Retry-After": WAIT_S} if status == 429 else None
    return web.json_response({"errors": [error]}, status=status, headers=headers)


async def _refused(request: web.Request, what: str) -> web.StreamResponse | None:
    state = request.app[STATE]
    state.statistics.requests[what] += 1
    if (failure := await struck(request, Side.GRAPH, what, refuse)) is not None:
        return failure
    return None if any(may(request, channel) for channel in state.phones) else refuse(401)


def create_app(state: State) -> web.Application:
    app = web.Application(client_max_size=LARGEST_BODY_BYTES)
    app[STATE], app[DESK] = state, Desk()
    app.add_routes(
        [
            *control.ROUTES,
            web.get("/_sandbox/desk", get_desk),
            web.post("/_sandbox/desk", set_desk),
            web.get("/v1/media/{media}", get_media),
            web.post("/v1/send", send_message),
            web.get("/v1/webhooks", list_webhooks),
            web.post("/v1/webhooks", add_webhook),
            web.delete("/v1/webhooks/{webhook}", remove_webhook),
        ]
    )
    return app


class MessageBirdServer(SandboxServer):
    """`async with MessageBirdServer() as sandbox: sandbox.base_url`."""

    make_app = staticmethod(create_app)

    def __init__(
        self, channels: Iterable[Channel] = (), *, id_life_s: float = FILE_LIFE_S, **options: Any
    ) -> None:
        phones = [channel.as_phone() for channel in (tuple(channels) or (Channel(),))]
        super().__init__(phones, id_life_s=id_life_s, **options)
