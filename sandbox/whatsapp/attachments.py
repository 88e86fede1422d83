"""The media side: the bytes behind a short-lived link. The hot path of the bench, so it stays lean."""

from __future__ import annotations

import asyncio
import functools
import mimetypes
import zlib

from aiohttp import web

from sandbox.whatsapp.faults import Fault, FaultKind, Side
from sandbox.whatsapp.graph import bad_token, drop, graph_error, rate_limited, unknown_object
from sandbox.whatsapp.shelf import Item
from sandbox.whatsapp.state import STATE

CHUNK_BYTES = 256 * 1024
DRIP_PIECES = 50
BOMB_BYTES = 256 * 1024 * 1024
LOGIN_PAGE = (
    "<!DOCTYPE html><html><head><title>Facebook</title></head><body>Log in to continue.</body></html>"
)


async def get_attachment(request: web.Request) -> web.StreamResponse:
    """`GET /whatsapp_business/attachments/?mid&ext&hash`: needs the token, and a link that is still alive."""
    state = request.app[STATE]
    state.statistics.requests["download"] += 1
    query = request.query
    media_id = query.get("mid", "")
    fault = state.plan.strike(Side.MEDIA, media_id)
    if fault is not None and fault.kind in WITHOUT_FILE:
        return await _fail_without_file(request, fault, media_id)
    numbers = state.opened_by(request.headers)
    if numbers is None:
        return bad_token()
    item = state.shelf.open(media_id, query.get("ext", ""), query.get("hash", ""))
    if item is None or item.phone_number_id not in numbers:
        state.statistics.refusals["dead_link"] += 1
        return not_found()
    return await give(request, item, fault)


async def give(request: web.Request, item: Item, fault: Fault | None) -> web.StreamResponse:
    """The bytes, or what a fault makes of them; the same at every vendor. Only true and whole bodies are counted."""
    if fault is not None and fault.kind is not FaultKind.WRONG_TYPE:
        return await _spoil(request, fault, item)
    request.app[STATE].statistics.downloads[item.media_id] += 1
    content_type = "text/plain" if fault is not None else item.mime.partition(";")[0]
    if len(item.data) > CHUNK_BYTES:
        return await _stream(request, item, content_type)
    return web.Response(body=item.data, headers=_headers(item, content_type))


def not_found() -> web.Response:
    return web.Response(status=404, content_type="text/html")


def _headers(item: Item, content_type: str) -> dict[str, str]:
    return {
        "Content-Type": content_type,
        "Content-Disposition": f"inline;filename={item.file_name}{_extension(content_type)}",
        "Accept-Ranges": "bytes",
        "Content-Digest": f"adler32={item.adler32}",
        "Cache-Control": "private, no-cache, no-store, must-revalidate",
    }


@functools.cache
def _extension(content_type: str) -> str:
    return mimetypes.guess_extension(content_type) or ""


async def _stream(
    request: web.Request,
    item: Item,
    content_type: str,
    *,
    stop_at: int | None = None,
    piece_bytes: int = CHUNK_BYTES,
    pause_s: float = 0.0,
) -> web.StreamResponse:
    """The body in pieces, at the pace of the reader; `stop_at` drops the connection there."""
    response = web.StreamResponse(headers=_headers(item, content_type))
    response.content_length = len(item.data)
    await response.prepare(request)
    body = memoryview(item.data)[:stop_at]
    for start in range(0, len(body), piece_bytes):
        await response.write(body[start : start + piece_bytes])
        if pause_s:
            await asyncio.sleep(pause_s)
    if stop_at is not None:
        # Let the bytes leave before the line is cut: a reader must meet a short body, not a reset.
        await asyncio.sleep(0.01)
        return drop_after_start(request, response)
    await response.write_eof()
    return response


def drop_after_start(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """Close the connection in the middle of a body."""
    if request.transport is not None:
        request.transport.close()
    return response


WITHOUT_FILE = frozenset(
    {
        FaultKind.RATE_LIMITED,
        FaultKind.TOKEN_REVOKED,
        FaultKind.SERVER_ERROR,
        FaultKind.GONE,
        FaultKind.HOST_DOWN,
        FaultKind.HANG,
        FaultKind.URL_DIED,
        FaultKind.HTML,
        FaultKind.REDIRECT,
        FaultKind.GZIP_BOMB,
    }
)
"""Faults that answer before anybody looks for the file."""


async def _fail_without_file(request: web.Request, fault: Fault, media_id: str) -> web.StreamResponse:
    if (failure := await fail_wordlessly(request, fault)) is not None:
        return failure
    match fault.kind:
        case FaultKind.TOKEN_REVOKED:
            return bad_token()
        case FaultKind.RATE_LIMITED:
            return rate_limited(fault.status or 429)
        case FaultKind.GONE:
            return unknown_object(media_id)
        case _:
            return graph_error(fault.status or 503, 2, "Service temporarily unavailable", "OAuthException")


async def fail_wordlessly(request: web.Request, fault: Fault) -> web.StreamResponse | None:
    """Faults that look the same at every vendor; None for those that each words itself."""
    match fault.kind:
        case FaultKind.HOST_DOWN:
            return drop(request)
        case FaultKind.HANG:
            await asyncio.sleep(fault.seconds)
            return drop(request)
        case FaultKind.URL_DIED:
            return not_found()
        case FaultKind.HTML:
            return web.Response(text=LOGIN_PAGE, content_type="text/html")
        case FaultKind.REDIRECT:
            return web.Response(status=fault.status or 302, headers={"Location": fault.location})
        case FaultKind.GZIP_BOMB:
            bomb = await asyncio.to_thread(_bomb)
            return web.Response(body=bomb, headers={"Content-Type": "image/jpeg", "Content-Encoding": "gzip"})
        case _:
            return None


async def _spoil(request: web.Request, fault: Fault, item: Item) -> web.StreamResponse:
    content_type = item.mime.partition(";")[0]
    data = item.data
    match fault.kind:
        case FaultKind.CUT:
            return await _stream(request, item, content_type, stop_at=len(data) // 2)
        case FaultKind.DRIP:
            piece = max(1, len(data) // DRIP_PIECES)
            return await _stream(
                request, item, content_type, piece_bytes=piece, pause_s=fault.seconds / DRIP_PIECES
            )
        case FaultKind.OVERLONG:
            return await _overlong(request, item, content_type)
        case FaultKind.SHORT:
            return web.Response(body=data[: len(data) // 2], headers=_headers(item, content_type))
        case _:
            return web.Response(body=_altered(data), headers=_headers(item, content_type))


def _altered(data: bytes) -> bytes:
    altered = bytearray(data)
    altered[len(altered) // 2] ^= 0x01
    return bytes(altered)


async def _overlong(request: web.Request, item: Item, content_type: str) -> web.StreamResponse:
    response = web.StreamResponse(headers=_headers(item, content_type))
    response.enable_chunked_encoding()
    await response.prepare(request)
    await response.write(item.data)
    await response.write(b"\0" * 4096)
    await response.write_eof()
    return response


@functools.cache
def _bomb() -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = bytes(1024 * 1024)
    parts = [packer.compress(zeros) for _ in range(BOMB_BYTES // len(zeros))]
    return b"".join([*parts, packer.flush()])
