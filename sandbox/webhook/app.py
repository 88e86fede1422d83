"""The simulated receiver as an ASGI app: signature, limit and faults at the gate, then the message, and a page."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from html import escape
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from sandbox.silence import hang
from sandbox.webhook.faults import Fault
from sandbox.webhook.receiver import Kept, Receiver

PATH = "/acervo"
Data = Mapping[str, Any]


def app(receiver: Receiver, *, hang_s: float | None = 120.0) -> Starlette:
    """`hang_s`: how long a time-out fault keeps the line open; None raises `Silence` at once, for tests."""

    async def take(request: Request) -> Response:
        raw = await request.body()
        if not receiver.is_ours(request.headers, raw):
            receiver.refused += 1
            return _no(401, "signature")
        if not receiver.window.admit():
            return _no(429, "too_many", {"retry-after": "2"})
        letter = json.loads(raw)
        kind = str(letter["type"])
        receiver.letters.append((request.headers["webhook-id"], kind))
        fault = receiver.faults.take(kind)
        if fault and fault.kind == "timeout":
            await hang(hang_s)
        if fault and fault.kind == "status":
            return _no(fault.status, fault.code, fault.headers)
        answer = _done(receiver, request, kind, letter["data"], fault)
        if fault and fault.kind == "timeout_after_commit":
            await hang(hang_s)
        return answer

    async def page(request: Request) -> Response:
        rows = "".join(_row(one) for one in receiver.files.values()) or "<p>Nothing came yet.</p>"
        return HTMLResponse(
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Simulated receiver</title></head>'
            f"<body><main><h1>Simulated receiver</h1>{rows}</main></body></html>"
        )

    return Starlette(
        routes=[Route(PATH, take, methods=["POST"]), Route("/", page), Route("/f/{record_id}", page)]
    )


def _done(receiver: Receiver, request: Request, kind: str, data: Data, fault: Fault | None) -> Response:
    doers: Mapping[str, Callable[[], Response]] = {
        "media.upserted": lambda: _one(receiver, request, data),
        "media.upserted_many": lambda: _many(receiver, request, data["items"], fault),
        "media.erased": lambda: _erased(receiver, data),
        "media.check": lambda: _held(receiver, request, data["media_ids"]),
    }
    return doers[kind]() if kind in doers else Response(status_code=204)


def _one(receiver: Receiver, request: Request, data: Data) -> Response:
    try:
        kept = receiver.keep(data)
    except ValueError as error:
        return _no(422, str(error))
    return (
        JSONResponse(_where(request, kept)) if receiver.talks else Response("taken", media_type="text/plain")
    )


def _many(receiver: Receiver, request: Request, items: list[Data], fault: Fault | None) -> Response:
    results = []
    for place, data in enumerate(items, start=1):
        said: dict[str, Any] = {"media_id": data["media_id"]}
        try:
            if fault and fault.kind == "partial" and place == len(items):
                results.append({**said, "status": fault.status, "code": fault.code})
                continue
            results.append({**said, "status": 200, **_where(request, receiver.keep(data))})
        except ValueError as error:
            results.append({**said, "status": 422, "code": str(error)})
    return JSONResponse({"results": results}) if receiver.talks else Response(status_code=204)


def _erased(receiver: Receiver, data: Data) -> Response:
    receiver.erase(str(data["media_id"]))
    return Response(status_code=204)


def _held(receiver: Receiver, request: Request, media_ids: list[str]) -> Response:
    if not receiver.tells:
        return Response(status_code=204)
    results = []
    for media_id in media_ids:
        kept = receiver.files.get(media_id)
        more = {**_where(request, kept), "data": kept.data} if kept else {}
        results.append({"media_id": media_id, "held": kept is not None, **more})
    return JSONResponse({"results": results})


def _where(request: Request, kept: Kept) -> dict[str, str]:
    return {"id": kept.id, "url": f"{request.url.scheme}://{request.headers['host']}/f/{kept.id}"}


def _no(status: int, code: str, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse({"code": code} if code else {}, status_code=status, headers=dict(headers or {}))


def _row(kept: Kept) -> str:
    shown = {**kept.data, "contact": None}
    contact = kept.data.get("contact") or {}
    name = " ".join(str(contact.get(part) or "") for part in ("first_name", "last_name"))
    cells = "".join(f"<dt>{escape(str(k))}</dt><dd>{escape(str(v))}</dd>" for k, v in shown.items() if v)
    return f"<section><h2>{escape(kept.id)}: {escape(name)}</h2><dl>{cells}</dl></section>"
