"""The simulated Bird as one HTTP server: its API, its media host and the store behind it on one port."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from aiohttp import web

from sandbox.bird.channel import Channel
from sandbox.bird.keys import may, struck
from sandbox.whatsapp import attachments, control
from sandbox.whatsapp.faults import Side
from sandbox.whatsapp.server import LARGEST_BODY_BYTES, SandboxServer
from sandbox.whatsapp.state import STATE, State

URL_LIFE_S = 900.0  # `X-Amz-Expires` in field notes, January 2026
FILE_LIFE_S = 30 * 86_400.0
WAIT_S = "7"
DATE = "%Y%m%dT%H%M%SZ"


@dataclass(slots=True)
class Desk:
    """What the account holds besides files."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    """Oldest first, in both directions."""
    subscriptions: list[dict[str, Any]] = field(default_factory=list)


DESK: web.AppKey[Desk] = web.AppKey("desk", Desk)


async def get_media(request: web.Request) -> web.StreamResponse:
    """Hop one: the key is asked for, and a redirect into the store is the answer."""
    state, media_id = request.app[STATE], request.match_info["media"]
    state.statistics.requests["lookup"] += 1
    if (failure := await struck(request, Side.GRAPH, media_id, refuse)) is not None:
        return failure
    item = state.shelf.get(media_id)
    channel_id = item.phone_number_id if item else next(iter(state.phones))
    if not may(request, channel_id):
        return refuse(401, "AuthenticationFailure")
    if item is None or state.phones[channel_id].waba_id != request.match_info["workspace"]:
        return refuse(404, "NotFound")
    state.statistics.lookups[media_id] += 1
    sealed = {name: values[0] for name, values in parse_qs(urlsplit(state.shelf.url(media_id)).query).items()}
    signed_at = int(sealed["ext"]) - int(state.shelf.url_life_s)
    query = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Date": datetime.fromtimestamp(signed_at, UTC).strftime(DATE),
        "X-Amz-Expires": str(int(state.shelf.url_life_s)),
        "X-Amz-Signature": sealed["hash"],
    }
    location = f"{state.shelf.base_url}/store/{media_id}?{urlencode(query)}"
    return web.Response(status=302, headers={"Location": location})


async def get_stored(request: web.Request) -> web.StreamResponse:
    """Hop two: the link is the permission, and any other is refused, as S3 does."""
    state, media_id = request.app[STATE], request.match_info["media"]
    state.statistics.requests["download"] += 1
    if "Authorization" in request.headers:
        state.statistics.refusals["two_permissions"] += 1
        return store_error(400, "InvalidArgument", "Only one auth mechanism allowed")
    fault = state.plan.strike(Side.MEDIA, media_id)
    if fault is not None and fault.kind in attachments.WITHOUT_FILE:
        return await attachments.fail_wordlessly(request, fault) or store_error(
            fault.status or 503, "SlowDown", "Please reduce your request rate."
        )
    query = request.query
    try:
        signed_at = datetime.strptime(query.get("X-Amz-Date", ""), DATE).replace(tzinfo=UTC).timestamp()
        expires = str(int(signed_at) + int(query.get("X-Amz-Expires", "")))
    except ValueError:
        expires = ""
    item = state.shelf.open(media_id, expires, query.get("X-Amz-Signature", ""))
    if item is None:
        state.statistics.refusals["dead_link"] += 1
        return store_error(403, "AccessDenied", "Request has expired")
    return await attachments.give(request, item, fault)


async def list_messages(request: web.Request) -> web.StreamResponse:
    """Newest first, page by page."""
    if (refusal := await _refused(request, "list")) is not None:
        return refusal
    newest = [*reversed(request.app[DESK].messages)]
    start = int(request.query.get("pageToken", "0"))
    end = start + int(request.query.get("limit", "10"))
    told: dict[str, Any] = {"results": newest[start:end]}
    return web.json_response(told | ({"nextPageToken": str(end)} if end < len(newest) else {}))


async def get_message(request: web.Request) -> web.StreamResponse:
    if (refusal := await _refused(request, "message")) is not None:
        return refusal
    wanted = request.match_info["message"]
    found = [message for message in request.app[DESK].messages if message.get("id") == wanted]
    return web.json_response(found[0]) if found else refuse(404, "NotFound")


async def send_message(request: web.Request) -> web.StreamResponse:
    if (refusal := await _refused(request, "send")) is not None:
        return refusal
    asked = await request.json()
    contacts = asked.get("receiver", {}).get("contacts") or []
    is_addressed = contacts and all(one.get("identifierValue") for one in contacts)
    if not is_addressed or ("body" in asked) == ("template" in asked):
        return refuse(422, "InvalidPayload")
    moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    message = {
        **asked,
        "id": str(uuid.uuid4()),
        "channelId": request.match_info["channel"],
        "sender": {"connector": {"id": str(uuid.uuid4())}},
        "status": "accepted",
        "reason": "",
        "direction": "outgoing",
        **dict.fromkeys(("createdAt", "updatedAt", "lastStatusAt"), moment),
    }
    request.app[DESK].messages.append(message)
    return web.json_response(message, status=202)


async def list_subscriptions(request: web.Request) -> web.StreamResponse:
    if (refusal := await _refused(request, "subscriptions")) is not None:
        return refusal
    kept = request.app[DESK].subscriptions
    return web.json_response({"results": [_without_key(one) for one in kept]})


async def add_subscription(request: web.Request) -> web.StreamResponse:
    if (refusal := await _refused(request, "subscribe")) is not None:
        return refusal
    made = {"id": str(uuid.uuid4()), "status": "active", **await request.json()}
    request.app[DESK].subscriptions.append(made)
    return web.json_response(_without_key(made), status=201)


async def change_subscription(request: web.Request) -> web.StreamResponse:
    if (refusal := await _refused(request, "subscribe")) is not None:
        return refusal
    for kept in request.app[DESK].subscriptions:
        if kept["id"] == request.match_info["subscription"]:
            kept.update(await request.json())
            return web.json_response(_without_key(kept))
    return refuse(404, "NotFound")


async def remove_subscription(request: web.Request) -> web.StreamResponse:
    if (refusal := await _refused(request, "subscribe")) is not None:
        return refusal
    desk, wanted = request.app[DESK], request.match_info["subscription"]
    left = [one for one in desk.subscriptions if one["id"] != wanted]
    is_there, desk.subscriptions = len(left) < len(desk.subscriptions), left
    return web.Response(status=204) if is_there else refuse(404, "NotFound")


async def say(request: web.Request) -> web.Response:
    """A handle: the account has this message now, whether or not a webhook will tell of it."""
    request.app[DESK].messages.append(await request.json())
    return web.json_response({"success": True})


async def get_desk(request: web.Request) -> web.Response:
    """A handle: what the account holds, signing keys included."""
    desk = request.app[DESK]
    return web.json_response({"messages": desk.messages, "subscriptions": desk.subscriptions})


def refuse(status: int, code: str) -> web.Response:
    headers = {"Retry-After": WAIT_S} if status == 429 else None
    return web.json_response(
        {"code": code, "message": "The request was refused."}, status=status, headers=headers
    )


def store_error(status: int, code: str, message: str) -> web.Response:
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return web.Response(text=text, status=status, content_type="application/xml")


async def _refused(request: web.Request, what: str) -> web.StreamResponse | None:
    """The refusal of a fault, of a key that does not fit, or of somebody else's channel."""
    state = request.app[STATE]
    state.statistics.requests[what] += 1
    if (failure := await struck(request, Side.GRAPH, what, refuse)) is not None:
        return failure
    workspace = request.match_info["workspace"]
    ours = [phone.phone_number_id for phone in state.phones.values() if phone.waba_id == workspace]
    channel = request.match_info.get("channel", ours[0] if ours else "")
    if not may(request, channel):
        return refuse(401, "AuthenticationFailure")
    return None if channel in ours else refuse(404, "NotFound")


def _without_key(subscription: Mapping[str, Any]) -> dict[str, Any]:
    """Bird never tells a signing key again."""
    return {name: value for name, value in subscription.items() if name != "signingKey"}


def create_app(state: State) -> web.Application:
    app = web.Application(client_max_size=LARGEST_BODY_BYTES)
    app[STATE], app[DESK] = state, Desk()
    messages = "/workspaces/{workspace}/channels/{channel}/messages"
    routes = [
        *control.ROUTES,
        web.post("/_sandbox/messages", say),
        web.get("/_sandbox/desk", get_desk),
        web.get("/workspaces/{workspace}/messages/{message}/media/{media}", get_media),
        web.get("/store/{media}", get_stored),
        web.get(messages, list_messages),
        web.get(messages + "/{message}", get_message),
        web.post(messages, send_message),
    ]
    for start in ("", "/organizations/{organization}"):
        path = start + "/workspaces/{workspace}/webhook-subscriptions"
        routes += [
            web.get(path, list_subscriptions),
            web.post(path, add_subscription),
            web.patch(path + "/{subscription}", change_subscription),
            web.delete(path + "/{subscription}", remove_subscription),
        ]
    app.add_routes(routes)
    return app


class BirdServer(SandboxServer):
    """`async with BirdServer() as sandbox: sandbox.base_url`."""

    make_app = staticmethod(create_app)

    def __init__(
        self,
        channels: Iterable[Channel] = (),
        *,
        id_life_s: float = FILE_LIFE_S,
        url_life_s: float = URL_LIFE_S,
        **options: Any,
    ) -> None:
        phones = [channel.as_phone() for channel in (tuple(channels) or (Channel(),))]
        super().__init__(phones, id_life_s=id_life_s, url_life_s=url_life_s, **options)
