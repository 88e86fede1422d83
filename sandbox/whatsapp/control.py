"""The handles of the sandbox, under `/_sandbox/`: put files, plan faults, revoke tokens, move time, count."""

from __future__ import annotations

from dataclasses import asdict

from aiohttp import web

from sandbox.whatsapp.faults import Fault
from sandbox.whatsapp.phone import Phone
from sandbox.whatsapp.state import STATE


async def add_media(request: web.Request) -> web.Response:
    """The raw body becomes a file: `?mime=&phone_number_id=&file_name=&life_s=&copies=`."""
    state = request.app[STATE]
    query = request.query
    life_s = query.get("life_s")
    added = state.shelf.add_copies(
        await request.read(),
        query["mime"],
        int(query.get("copies", "1")),
        phone=state.phones[query["phone_number_id"]],
        file_name=query.get("file_name", "whatsapp"),
        life_s=None if life_s is None else float(life_s),
    )
    return web.json_response([asdict(state.shelf.announce(one, source="webhook")) for one in added])


async def add_phone(request: web.Request) -> web.Response:
    request.app[STATE].add_phone(Phone(**await request.json()))
    return web.json_response({"success": True})


async def add_fault(request: web.Request) -> web.Response:
    """A `Fault` as JSON, e.g. `{"kind": "cut", "probability": 0.2}`."""
    request.app[STATE].plan.add(Fault(**await request.json()))
    return web.json_response({"success": True})


async def clear_faults(request: web.Request) -> web.Response:
    request.app[STATE].plan.clear()
    return web.json_response({"success": True})


async def set_token(request: web.Request) -> web.Response:
    """`{"token": …, "revoked": true}`."""
    state, asked = request.app[STATE], await request.json()
    (state.revoke if asked["revoked"] else state.restore)(asked["token"])
    return web.json_response({"success": True})


async def move_time(request: web.Request) -> web.Response:
    """`{"forward_s": 301}`: links and ids die as if that time had passed."""
    request.app[STATE].shelf.forward(float((await request.json())["forward_s"]))
    return web.json_response({"success": True})


async def set_usage(request: web.Request) -> web.Response:
    """`{"percent": 95}`: what the usage headers tell from now on."""
    request.app[STATE].usage_percent = int((await request.json())["percent"])
    return web.json_response({"success": True})


async def get_statistics(request: web.Request) -> web.Response:
    state = request.app[STATE]
    told = {**state.statistics.as_json(), "faults": dict(state.plan.struck), "files": len(state.shelf)}
    return web.json_response(told)


async def clear_statistics(request: web.Request) -> web.Response:
    state = request.app[STATE]
    state.statistics.clear()
    state.plan.struck.clear()
    return web.json_response({"success": True})


ROUTES = [
    web.post("/_sandbox/media", add_media),
    web.post("/_sandbox/phones", add_phone),
    web.post("/_sandbox/faults", add_fault),
    web.delete("/_sandbox/faults", clear_faults),
    web.post("/_sandbox/tokens", set_token),
    web.post("/_sandbox/time", move_time),
    web.post("/_sandbox/usage", set_usage),
    web.get("/_sandbox/stats", get_statistics),
    web.delete("/_sandbox/stats", clear_statistics),
]
