"""The simulated 360dialog as one HTTP server: Meta's media and messages under its own paths, its own key and its block."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from aiohttp import web

from sandbox.dialog360.block import Block
from sandbox.dialog360.number import Number
from sandbox.whatsapp import attachments, control, desk, graph
from sandbox.whatsapp.phone import Phone
from sandbox.whatsapp.server import LARGEST_BODY_BYTES, SandboxServer
from sandbox.whatsapp.shelf import MEDIA_PATH
from sandbox.whatsapp.state import STATE, State

KEY_HEADER = "D360-API-KEY"
METAS_HOST = "https://lookaside.fbsbx.com"
"""Where links of a look-up lead; whoever asks there instead of here gets nothing, and would show the key to Meta."""
BLOCK: web.AppKey[Block] = web.AppKey("block", Block)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def get_media(request: web.Request) -> web.StreamResponse:
    """`GET /{media_id}`."""
    return await graph.look_up(request, request.app[STATE], request.match_info["node"])


async def post_message(request: web.Request) -> web.StreamResponse:
    """`POST /messages`: the key says which number speaks."""
    phone = _number(request)
    return await desk.take_message(request, request.app[STATE], phone) if phone else graph.bad_token()


async def set_webhook(request: web.Request) -> web.StreamResponse:
    """`POST /v1/configs/webhook {url, headers}`, answered with the same."""
    state, phone = request.app[STATE], _number(request)
    state.statistics.requests["register"] += 1
    if phone is None:
        return graph.bad_token()
    asked: dict[str, Any] = await request.json()
    wanted = {"url": asked.get("url", ""), "headers": asked.get("headers") or {}}
    if not str(wanted["url"]).startswith(("https://", "http://")):
        return web.json_response({"meta": {"success": False, "http_code": 400}}, status=400)
    state.registered[phone.phone_number_id] = wanted
    return web.json_response(wanted)


async def get_webhook(request: web.Request) -> web.StreamResponse:
    phone = _number(request)
    if phone is None:
        return graph.bad_token()
    nothing: dict[str, Any] = {"url": "", "headers": {}}
    return web.json_response(request.app[STATE].registered.get(phone.phone_number_id, nothing))


async def get_health(request: web.Request) -> web.StreamResponse:
    """`GET /health_status`: Meta's health entities of the number behind the key."""
    state, phone = request.app[STATE], _number(request)
    state.statistics.requests["check"] += 1
    if phone is None:
        return graph.bad_token()
    entities = [("PHONE_NUMBER", phone.phone_number_id), ("WABA", phone.waba_id)]
    told = [{"entity_type": kind, "id": pk, "can_send_message": "AVAILABLE"} for kind, pk in entities]
    status = {"can_send_message": "AVAILABLE", "entities": told}
    return web.json_response({"health_status": status, "id": phone.phone_number_id})


async def get_block(request: web.Request) -> web.Response:
    """A handle: how many times somebody was blocked, and how often they asked meanwhile."""
    block = request.app[BLOCK]
    return web.json_response({"tripped": block.tripped, "refused": block.refused})


def _number(request: web.Request) -> Phone | None:
    """The one number the key opens."""
    state = request.app[STATE]
    opened = state.opened_by(request.headers)
    return state.phones[next(iter(opened))] if opened else None


@web.middleware
async def count_failures(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Media requests are counted by key; the block answers before anybody looks."""
    if handler not in (get_media, attachments.get_attachment):
        return await handler(request)
    block, key = request.app[BLOCK], request.headers.get(KEY_HEADER, "")
    if block.holds(key):
        return web.Response(status=429, text="Too Many Requests")
    answer = await handler(request)
    if answer.status >= 400:
        block.note_failure(key)
    return answer


def create_app(state: State) -> web.Application:
    state.key_header = KEY_HEADER
    state.shelf.link_base = METAS_HOST
    app = web.Application(client_max_size=LARGEST_BODY_BYTES, middlewares=[count_failures])
    app[STATE], app[BLOCK] = state, Block(state.shelf.now)
    app.add_routes(
        [
            *control.ROUTES,
            *desk.HANDLES,
            web.get("/_sandbox/block", get_block),
            web.get(MEDIA_PATH, attachments.get_attachment),
            web.get("/v1/configs/webhook", get_webhook),
            web.post("/v1/configs/webhook", set_webhook),
            web.post("/messages", post_message),
            web.get("/health_status", get_health),
            web.get(r"/{node:\w+}", get_media),
            web.delete(r"/{node:\w+}", graph.delete_media),
        ]
    )
    return app


class Dialog360Sandbox(SandboxServer):
    """`async with Dialog360Sandbox() as sandbox: sandbox.base_url`; without numbers there is one: `Number()`."""

    make_app = staticmethod(create_app)

    def __init__(self, numbers: Iterable[Phone] = (), **options: Any) -> None:
        super().__init__(tuple(numbers) or (Number(),), **options)

    @property
    def block(self) -> Block:
        return self._runner.app[BLOCK]

    @property
    def registered(self) -> dict[str, dict[str, Any]]:
        """By number: the address it knocks at, and the headers it shows there."""
        return self.state.registered
