"""The simulated Twilio as one HTTP server: its API, its CDN and the sandbox's handles on one port."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate, parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from aiohttp import web

from sandbox.twilio.account import Account
from sandbox.twilio.messages import VERSION, media_id, row_of
from sandbox.whatsapp import attachments, control
from sandbox.whatsapp.faults import FaultKind, Side
from sandbox.whatsapp.server import LARGEST_BODY_BYTES, SandboxServer
from sandbox.whatsapp.state import STATE, State

URL_LIFE_S = 4 * 3600.0  # Twilio's help page on media, read 2026
FILE_LIFE_S = 100 * 365 * 86_400.0  # until somebody deletes it
WINDOW_S = 24 * 3600.0
WAIT_S = "7"
REFUSALS = {
    FaultKind.RATE_LIMITED: (429, 20429, "Too Many Requests"),
    FaultKind.TOKEN_REVOKED: (401, 20003, "Authenticate"),
    FaultKind.GONE: (404, 20404, "The requested resource was not found"),
    FaultKind.URL_DIED: (404, 20404, "The requested resource was not found"),
}
ACCOUNT_PATH = f"/{VERSION}/Accounts/{{account}}"
MEDIA_PATH = ACCOUNT_PATH + "/Messages/{message}/Media"


@dataclass(slots=True)
class Desk:
    """What the account holds besides files."""

    said: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Messages that came in, by sid, oldest first."""
    sent: list[dict[str, Any]] = field(default_factory=list)
    contents: list[dict[str, Any]] = field(default_factory=list)
    webhooks: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By sender."""


DESK: web.AppKey[Desk] = web.AppKey("desk", Desk)


async def get_media(request: web.Request) -> web.StreamResponse:
    """Hop one: a redirect to a signed link. With `.json`, what there is to say of the file."""
    sid, is_description = request.match_info["media"], request.match_info["media"].endswith(".json")
    sid = sid.removesuffix(".json")
    state = request.app[STATE]
    state.statistics.requests["lookup"] += 1
    if (refusal := await _refused(request, "media", media_id(sid))) is not None:
        return refusal
    item = state.shelf.get(media_id(sid))
    if item is None or not _holds(request, sid):
        state.statistics.refusals["unknown_id"] += 1
        return refuse(404, 20404, "The requested resource was not found")
    if is_description:
        return web.json_response(_described(request, sid, item.mime))
    state.statistics.lookups[item.media_id] += 1
    sealed = {
        name: values[0] for name, values in parse_qs(urlsplit(state.shelf.url(item.media_id)).query).items()
    }
    query = urlencode({"Expires": sealed["ext"], "Signature": sealed["hash"], "Key-Pair-Id": "SANDBOX"})
    location = f"{state.shelf.base_url}/cdn/{request.match_info['account']}/{sid}?{query}"
    return web.Response(status=307, headers={"Location": location})


async def get_bytes(request: web.Request) -> web.StreamResponse:
    """Hop two: the link is the permission, and any other is refused."""
    state, shelf_id = request.app[STATE], media_id(request.match_info["media"])
    state.statistics.requests["download"] += 1
    if "Authorization" in request.headers:
        state.statistics.refusals["two_permissions"] += 1
        return cdn_error(400, "InvalidArgument")
    fault = state.plan.strike(Side.MEDIA, shelf_id)
    if fault is not None and fault.kind in attachments.WITHOUT_FILE:
        wordless = (
            None if fault.kind is FaultKind.URL_DIED else await attachments.fail_wordlessly(request, fault)
        )
        return wordless or cdn_error(
            *((403, "AccessDenied") if fault.kind is FaultKind.URL_DIED else (503, "SlowDown"))
        )
    item = state.shelf.open(shelf_id, request.query.get("Expires", ""), request.query.get("Signature", ""))
    if item is None:
        state.statistics.refusals["dead_link"] += 1
        return cdn_error(403, "AccessDenied")
    return await attachments.give(request, item, fault)


async def list_media(request: web.Request) -> web.StreamResponse:
    if (refusal := await _refused(request, "media_list")) is not None:
        return refusal
    made = request.app[DESK].said.get(request.match_info["message"])
    if made is None:
        return refuse(404, 20404, "The requested resource was not found")
    shelf = request.app[STATE].shelf
    held = [(sid, mime) for sid, mime in made["media"].items() if shelf.get(media_id(sid))]
    told = [_described(request, sid, mime) for sid, mime in held]
    return web.json_response({"media_list": told, "next_page_uri": None, "page": 0, "uri": request.path})


async def delete_media(request: web.Request) -> web.StreamResponse:
    if (refusal := await _refused(request, "delete")) is not None:
        return refusal
    sid = request.match_info["media"].removesuffix(".json")
    if not _holds(request, sid) or not request.app[STATE].shelf.delete(media_id(sid)):
        return refuse(404, 20404, "The requested resource was not found")
    return web.Response(status=204)


async def list_messages(request: web.Request) -> web.StreamResponse:
    """Newest first, page by page; `To` and the day of `DateSent>` count."""
    if (refusal := await _refused(request, "list")) is not None:
        return refusal
    desk, query = request.app[DESK], request.query
    rows = [row_of(made) for made in desk.said.values()] + desk.sent
    rows = [row for row in rows if query.get("To") in (None, row["to"])]
    rows = [row for row in rows if _day(row) >= query.get("DateSent>", "")]
    rows.sort(key=lambda row: parsedate_to_datetime(row["date_created"]), reverse=True)
    size, page = int(query.get("PageSize", "50")), int(query.get("Page", "0"))
    here = rows[page * size : (page + 1) * size]
    following = {**query, "Page": str(page + 1), "PageToken": f"PA{secrets.token_hex(16)}"}
    is_more = len(rows) > (page + 1) * size
    told = {"messages": here, "page": page, "page_size": size, "uri": request.path_qs}
    return web.json_response(
        told | {"next_page_uri": f"{request.path}?{urlencode(following)}" if is_more else None}
    )


async def get_message(request: web.Request) -> web.StreamResponse:
    if (refusal := await _refused(request, "message")) is not None:
        return refusal
    sid, desk = request.match_info["message"], request.app[DESK]
    if sid in desk.said:
        return web.json_response(row_of(desk.said[sid]))
    found = [row for row in desk.sent if row["sid"] == sid]
    return (
        web.json_response(found[0]) if found else refuse(404, 20404, "The requested resource was not found")
    )


async def send_message(request: web.Request) -> web.StreamResponse:
    """Taken at once; that a customer wrote too long ago is only told by the status."""
    if (refusal := await _refused(request, "send")) is not None:
        return refusal
    asked = {name: str(value) for name, value in (await request.post()).items()}
    if not asked.get("To", "").startswith("whatsapp:"):
        return refuse(400, 21211, "The 'To' number is not a valid phone number.")
    if not (asked.get("Body") or asked.get("ContentSid")):
        return refuse(400, 21619, "A text message body or media urls must be specified.")
    is_late = "ContentSid" not in asked and not _wrote_lately(request, asked["To"])
    moment = formatdate(request.app[STATE].shelf.now(), usegmt=False).replace("-0000", "+0000")
    row = {
        "sid": f"SM{secrets.token_hex(16)}",
        "account_sid": request.match_info["account"],
        "body": asked.get("Body", ""),
        "content": asked.get("ContentSid"),
        **dict.fromkeys(("date_created", "date_updated", "date_sent"), moment),
        "direction": "outbound-api",
        "error_code": 63016 if is_late else None,
        "from": asked.get("From"),
        "to": asked["To"],
        "num_media": "0",
        "status": "failed" if is_late else "queued",
    }
    request.app[DESK].sent.append(row)
    return web.json_response({**row, "status": "queued", "error_code": None}, status=201)


async def add_content(request: web.Request) -> web.StreamResponse:
    if (refusal := await _refused(request, "content")) is not None:
        return refusal
    made = {"sid": f"HX{secrets.token_hex(16)}", **await request.json()}
    request.app[DESK].contents.append(made)
    return web.json_response(made, status=201)


async def list_senders(request: web.Request) -> web.StreamResponse:
    if (refusal := await _refused(request, "senders")) is not None:
        return refusal
    told = [_sender(request, number) for number in request.app[STATE].phones]
    return web.json_response({"senders": told})


async def change_sender(request: web.Request) -> web.StreamResponse:
    if (refusal := await _refused(request, "senders")) is not None:
        return refusal
    for number in request.app[STATE].phones:
        if sender_sid(number) == request.match_info["sender"]:
            request.app[DESK].webhooks[number] = (await request.json())["webhook"]
            return web.json_response(_sender(request, number), status=202)
    return refuse(404, 20404, "The requested resource was not found")


async def say(request: web.Request) -> web.Response:
    """A handle: the account has this message now, whether or not a webhook will tell of it."""
    made = await request.json()
    request.app[DESK].said[made["said"]["MessageSid"]] = made
    return web.json_response({"success": True})


async def get_desk(request: web.Request) -> web.Response:
    """A handle: what the account holds."""
    desk = request.app[DESK]
    return web.json_response({"sent": desk.sent, "contents": desk.contents, "webhooks": desk.webhooks})


async def _refused(request: web.Request, what: str, shelf_id: str = "") -> web.StreamResponse | None:
    """The answer of a fault, or to a stranger; None lets the question through."""
    state = request.app[STATE]
    state.statistics.requests[what] += 1
    fault = state.plan.strike(Side.GRAPH, shelf_id)
    if fault is not None:
        if fault.kind not in REFUSALS and (failure := await attachments.fail_wordlessly(request, fault)):
            return failure
        status, code, words = REFUSALS.get(fault.kind, (503, 20503, "Service unavailable"))
        return refuse(fault.status or status, code, words)
    shown = request.headers.get("Authorization", "")
    numbers = state.reach(f"Bearer {shown.removeprefix('Basic ')}" if shown.startswith("Basic ") else None)
    account_sid = request.match_info.get("account")
    if not numbers or account_sid not in (None, *(state.phones[number].waba_id for number in numbers)):
        return refuse(401, 20003, "Authenticate")
    return None


def _holds(request: web.Request, sid: str) -> bool:
    """Files nobody said a message of are anybody's; of known messages each holds its own."""
    made = request.app[DESK].said.get(request.match_info["message"])
    return made is None or sid in made["media"]


def _described(request: web.Request, sid: str, mime: str) -> dict[str, Any]:
    account, message = request.match_info["account"], request.match_info["message"]
    made = request.app[DESK].said.get(message)
    moment = formatdate(made["at"] if made else None, usegmt=False).replace("-0000", "+0000")
    return {
        "sid": sid,
        "account_sid": account,
        "parent_sid": message,
        "content_type": mime.partition(";")[0],
        "date_created": moment,
        "date_updated": moment,
        "uri": f"/{VERSION}/Accounts/{account}/Messages/{message}/Media/{sid}.json",
    }


def _sender(request: web.Request, number: str) -> dict[str, Any]:
    return {
        "sid": sender_sid(number),
        "sender_id": f"whatsapp:{number}",
        "status": "ONLINE",
        "webhook": request.app[DESK].webhooks.get(number),
    }


def sender_sid(number: str) -> str:
    return f"XE{number.removeprefix('+'):0>32}"


def _day(row: Mapping[str, Any]) -> str:
    sent_at: datetime = parsedate_to_datetime(row["date_sent"])
    return sent_at.astimezone(UTC).date().isoformat()


def _wrote_lately(request: web.Request, customer: str) -> bool:
    desk, now = request.app[DESK], request.app[STATE].shelf.now()
    return any(
        made["said"]["From"] == customer and now - made["at"] < WINDOW_S for made in desk.said.values()
    )


def refuse(status: int, code: int, words: str) -> web.Response:
    """An error in the one shape every error of the API has."""
    told = {
        "code": code,
        "message": words,
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": status,
    }
    headers = {"Retry-After": WAIT_S} if status == 429 else None
    return web.json_response(told, status=status, headers=headers)


def cdn_error(status: int, code: str) -> web.Response:
    body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code></Error>'
    return web.Response(status=status, text=body, content_type="application/xml")


def create_app(state: State) -> web.Application:
    app = web.Application(client_max_size=LARGEST_BODY_BYTES)
    app[STATE], app[DESK] = state, Desk()
    app.add_routes(
        [
            *control.ROUTES,
            web.post("/_sandbox/messages", say),
            web.get("/_sandbox/desk", get_desk),
            web.get(ACCOUNT_PATH + "/Messages.json", list_messages),
            web.post(ACCOUNT_PATH + "/Messages.json", send_message),
            web.get(ACCOUNT_PATH + r"/Messages/{message:\w+}.json", get_message),
            web.get(MEDIA_PATH + ".json", list_media),
            web.get(MEDIA_PATH + r"/{media:ME[0-9a-f]{32}(?:\.json)?}", get_media),
            web.delete(MEDIA_PATH + r"/{media:ME[0-9a-f]{32}\.json}", delete_media),
            web.get(r"/cdn/{account}/{media:ME[0-9a-f]{32}}", get_bytes),
            web.post("/v1/Content", add_content),
            web.get("/v2/Channels/Senders", list_senders),
            web.post("/v2/Channels/Senders/{sender}", change_sender),
        ]
    )
    return app


class TwilioServer(SandboxServer):
    """`async with TwilioServer() as sandbox: sandbox.base_url`."""

    make_app = staticmethod(create_app)

    def __init__(
        self,
        accounts: Iterable[Account] = (),
        *,
        id_life_s: float = FILE_LIFE_S,
        url_life_s: float = URL_LIFE_S,
        **options: Any,
    ) -> None:
        phones = [account.as_phone() for account in (tuple(accounts) or (Account(),))]
        super().__init__(phones, id_life_s=id_life_s, url_life_s=url_life_s, **options)
