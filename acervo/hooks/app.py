"""A provider knocks: verify the raw bytes, journal them, answer 200. Nothing else happens here (ADR 4)."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import Error, close_old_connections

from acervo.base import clock, ids
from acervo.hooks.doors import Door, Doors, DoorStuck
from acervo.models import AuditEntry, Deed
from acervo.providers.contract import ForgedWebhook, Webhook
from acervo.receive.journal import Entry, Journal, JournalAway

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

LARGEST_BODY = 3 * 1024 * 1024
"""Bytes. Meta's own bound for a webhook (webhooks overview, read 2026-03)."""
PLAIN = b"text/plain; charset=utf-8"
FORGERY_WINDOW_S = 10.0
"""Forged knocks at one door are audited once per window, with their number: an attacker must not fill the audit trail."""
KEPT_HEADERS = frozenset(
    {
        b"content-type",
        b"user-agent",
        b"x-forwarded-for",
        b"x-hub-signature-256",
        b"x-twilio-signature",
        b"i-twilio-idempotency-token",
        b"messagebird-signature",
        b"messagebird-signature-jwt",
        b"messagebird-request-timestamp",
    }
)
"""Evidence of who knocked. Never a header that is itself the secret."""


class HookApp:
    """ASGI: `/hooks/<kind>/<connection>`, for some kinds with a secret as one more segment."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._doors = Doors()
        self._forgeries: dict[UUID, int] = {}
        self._confirmed: dict[UUID, float] = {}
        self._audits: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        parts = scope["path"].split("/")
        if len(parts) not in (4, 5):
            return await _answer(send, 404)
        try:
            door = await self._doors.find(parts[2], parts[3])
        except (Error, DoorStuck):
            return await _answer(send, 503)
        if door is None or (len(parts) == 5 and door.provider.capabilities.address_secret is None):
            return await _answer(send, 404)
        if scope["method"] == "POST":
            return await self._post(door, scope, receive, send)
        if scope["method"] == "GET":
            return await self._shake_hands(door, scope, send)
        return await _answer(send, 405)

    async def _post(self, door: Door, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[str, str] = {}
        kept: dict[str, str] = {}
        for name, value in scope["headers"]:
            headers[name.decode("latin-1")] = text = value.decode("latin-1")
            if name in KEPT_HEADERS:
                kept[name.decode("latin-1")] = text
        try:
            body = await _read_body(headers, receive)
        except _HungUp:
            return None
        if body is None:
            return await _answer(send, 413)
        webhook = Webhook("POST", headers, body, _query(scope), _public_url(scope))
        try:
            door.provider.verify(webhook)
        except ForgedWebhook:
            self._note_forgery(door)
            return await _answer(send, 401)
        entry = Entry(ids.new(), door.workspace_id, door.connection_id, clock.now(), kept, body)
        try:
            await self._journal.append(entry)
        except JournalAway:
            return await _answer(send, 503)
        content_type, text = door.provider.capabilities.acknowledgement
        return await _answer(send, 200, text.encode(), content_type.encode() or PLAIN)

    async def _shake_hands(self, door: Door, scope: Scope, send: Send) -> None:
        try:
            challenge = door.provider.handshake(Webhook("GET", {}, b"", _query(scope), _public_url(scope)))
        except ForgedWebhook:
            return await _answer(send, 403)
        self._note_confirmation(door)
        return await _answer(send, 200, challenge.encode())

    def _note_confirmation(self, door: Door) -> None:
        """Whoever sets the address up sees it turn green. Once per window, like forgeries."""
        now = time.monotonic()
        if self._confirmed.get(door.connection_id, 0.0) < now:
            self._confirmed[door.connection_id] = now + FORGERY_WINDOW_S
            self._write_later(_write_audit(door, Deed("webhook.confirmed", "connection", door.connection_id)))

    def _note_forgery(self, door: Door) -> None:
        is_first = door.connection_id not in self._forgeries
        self._forgeries[door.connection_id] = self._forgeries.get(door.connection_id, 0) + 1
        if is_first:
            self._write_later(self._audit_forgeries(door))

    def _write_later(self, writing: Coroutine[Any, Any, None]) -> None:
        """Nobody who knocks waits for the audit trail."""
        task = asyncio.create_task(writing)
        self._audits.add(task)
        task.add_done_callback(self._audits.discard)

    async def _audit_forgeries(self, door: Door) -> None:
        """The first forgery is written at once, those of the next seconds together after them."""
        await _write_audit(door, _forgeries(door, 1))
        await asyncio.sleep(FORGERY_WINDOW_S)
        more = self._forgeries.pop(door.connection_id) - 1
        if more:
            await _write_audit(door, _forgeries(door, more))


def _public_url(scope: Scope) -> str:
    """What the provider called, as far as we told it our name: a Host header is anybody's word, and so is whatever a
    proxy makes of it. Path and query stay as they came, byte for byte, since signatures count them."""
    path = scope.get("raw_path") or scope["path"].encode()
    query = scope["query_string"]
    called: bytes = path + b"?" + query if query else path
    return f"{settings.ACERVO_BASE_URL}{called.decode('latin-1')}"


def _query(scope: Scope) -> dict[str, str]:
    query = scope["query_string"]
    return dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)) if query else {}


class _HungUp(Exception):
    """The other side left in the middle of its body: half a body is no forgery."""


async def _read_body(headers: dict[str, str], receive: Receive) -> bytes | None:
    """The whole body, or None when it is larger than a provider may send."""
    declared = headers.get("content-length", "")
    if declared.isdigit() and int(declared) > LARGEST_BODY:
        return None
    message = await _hear(receive)
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        return body if len(body) <= LARGEST_BODY else None
    chunks, size_bytes = [body], len(body)
    while message.get("more_body", False):
        message = await _hear(receive)
        chunks.append(message.get("body", b""))
        size_bytes += len(chunks[-1])
        if size_bytes > LARGEST_BODY:
            return None
    return b"".join(chunks)


async def _hear(receive: Receive) -> MutableMapping[str, Any]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise _HungUp
    return message


def _forgeries(door: Door, count: int) -> Deed:
    return Deed("webhook.refused", "connection", door.connection_id, "forged", {"count": count})


async def _write_audit(door: Door, deed: Deed) -> None:
    try:
        await sync_to_async(_record)(door, deed)
    except Error:
        about = {"connection": str(door.connection_id), "action": deed.action}
        log.error("hooks.audit_not_written", extra=about)


def _record(door: Door, deed: Deed) -> None:
    close_old_connections()
    AuditEntry.objects.record(door.workspace_id, by=f"provider:{ids.text(door.connection_id)}", deeds=[deed])


_NOSNIFF = (b"x-content-type-options", b"nosniff")


async def _answer(send: Send, status: int, body: bytes = b"", content_type: bytes = PLAIN) -> None:
    kind = (b"content-type", content_type)
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [kind, _NOSNIFF, length]})
    await send({"type": "http.response.body", "body": body})
