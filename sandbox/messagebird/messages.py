"""Webhook bodies as MessageBird writes and signs them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sandbox.bird.messages import escaped
from sandbox.messagebird.channel import Channel
from sandbox.whatsapp.messages import Customer, SignedWebhook
from sandbox.whatsapp.shelf import Announced

LIFE_S = 60
MEMBERS = {"image": "url", "audio": "url", "video": "url", "file": "url", "whatsappSticker": "link"}


def message(
    customer: Customer,
    *,
    channel: Channel | None = None,
    base_url: str = "",
    text: str | None = None,
    file: Announced | None = None,
    message_id: str | None = None,
    at: float | None = None,
) -> dict[str, Any]:
    """`message.created` of an inbound text or file with an optional caption. `base_url`: of the sandbox that holds it."""
    channel = channel or Channel()
    content: dict[str, Any]
    if file is None:
        kind, content = "text", {"text": text or ""}
    else:
        kind = _kind(file.mime)
        told = {MEMBERS[kind]: f"{base_url}/v1/media/{file.media_id}", **({"caption": text} if text else {})}
        content = {kind: told}
    who = (customer.phone and f"+{customer.phone}") or customer.user_id
    body = _message(channel, kind, content, message_id or uuid.uuid4().hex, at)
    return {
        "contact": _contact(customer),
        "conversation": {"id": uuid.uuid4().hex, "status": "active"},
        "message": body | {"from": who, "to": channel.number, "direction": "received", "status": "received"},
        "type": "message.created",
    }


def status(
    customer: Customer, message_id: str, word: str, *, channel: Channel | None = None
) -> dict[str, Any]:
    """`message.updated` of a message of ours."""
    channel = channel or Channel()
    body = _message(channel, "text", {"text": ""}, message_id, None)
    who = (customer.phone and f"+{customer.phone}") or customer.user_id
    return {
        "contact": _contact(customer),
        "conversation": {"id": uuid.uuid4().hex, "status": "active"},
        "message": body | {"from": channel.number, "to": who, "direction": "sent", "status": word},
        "type": "message.updated",
    }


def signed(
    payload: Mapping[str, Any] | bytes, url: str, *, channel: Channel | None = None, at: float | None = None
) -> SignedWebhook:
    """Any payload, signed for this address and for the next minute."""
    body = payload if isinstance(payload, bytes) else escaped(payload)
    begins = int(time.time() if at is None else at)
    claims = {
        "iss": "MessageBird",
        "nbf": begins,
        "exp": begins + LIFE_S,
        "jti": str(uuid.uuid4()),
        "url_hash": hashlib.sha256(url.encode()).hexdigest(),
        **({"payload_hash": hashlib.sha256(body).hexdigest()} if body else {}),
    }
    text = f"{_segment({'alg': 'HS256', 'typ': 'JWT'})}.{_segment(claims)}"
    digest = hmac.digest((channel or Channel()).signing_key.encode(), text.encode(), "sha256")
    token = f"{text}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"
    return SignedWebhook(body, {"Content-Type": "application/json", "MessageBird-Signature-JWT": token})


def _message(
    channel: Channel, kind: str, content: Mapping[str, Any], message_id: str, at: float | None
) -> dict[str, Any]:
    moment = datetime.fromtimestamp(time.time() if at is None else at, UTC)
    return {
        "id": message_id,
        "conversationId": uuid.uuid4().hex,
        "platform": "whatsapp",
        "channelId": channel.channel_id,
        "type": kind,
        "content": content,
        "createdDatetime": moment.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "updatedDatetime": moment.isoformat(timespec="microseconds").replace("+00:00", "248Z"),
    }


def _contact(customer: Customer) -> dict[str, Any]:
    known = customer.phone or customer.user_id or customer.name
    told: dict[str, Any] = {"id": hashlib.md5(known.encode(), usedforsecurity=False).hexdigest()}
    return told | ({"msisdn": int(customer.phone)} if customer.phone else {}) | {"displayName": customer.name}


def _kind(mime: str) -> str:
    if mime == "image/webp":
        return "whatsappSticker"
    family = mime.partition("/")[0]
    return family if family in ("audio", "video", "image") else "file"


def _segment(value: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
