"""Webhook bodies as Bird writes and signs them."""

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

from sandbox.bird.channel import Channel
from sandbox.whatsapp.messages import Customer, SignedWebhook, new_message_id
from sandbox.whatsapp.shelf import Announced


def message(
    customer: Customer,
    *,
    channel: Channel | None = None,
    base_url: str = "",
    text: str | None = None,
    files: tuple[Announced, ...] = (),
    file_name: str | None = None,
    message_id: str | None = None,
    at: float | None = None,
) -> dict[str, Any]:
    """An inbound message: a text, or files with an optional caption. `base_url`: of the sandbox that holds the files."""
    channel = channel or Channel()
    message_id = message_id or str(uuid.uuid4())
    place = f"{base_url}/workspaces/{channel.workspace_id}/messages/{message_id}/media"
    moment = _moment(at)
    return {
        "id": message_id,
        "channelId": channel.channel_id,
        "sender": {"contact": _contact(customer)},
        "receiver": {"connector": {"id": str(uuid.uuid4()), "identifierValue": channel.number}},
        "body": _files(files, place, text, file_name) if files else {"type": "text", "text": {"text": text}},
        "reference": "",
        "parts": [{"platformReference": new_message_id(customer)}],
        "status": "delivered",
        "reason": "",
        "direction": "incoming",
        "lastStatusAt": moment,
        "createdAt": moment,
        "updatedAt": moment,
        **({"meta": {"extraInformation": _extra(customer)}} if _extra(customer) else {}),
    }


def status(
    sent: Mapping[str, Any], word: str, *, reason: str = "", at: float | None = None
) -> dict[str, Any]:
    """What became of a message of ours, as the sandbox keeps it."""
    return {**sent, "status": word, "reason": reason, "lastStatusAt": _moment(at)}


def webhook(payload: Mapping[str, Any], url: str, *, channel: Channel | None = None) -> SignedWebhook:
    """One message or status on its way to `url`, signed once: a repeat keeps this timestamp."""
    direction = "inbound" if payload.get("direction") == "incoming" else "outbound"
    told = {"service": "channels", "event": f"whatsapp.{direction}", "payload": payload}
    return signed(escaped(told), url, (channel or Channel()).signing_key)


def signed(body: bytes, url: str, signing_key: str, *, at: float | None = None) -> SignedWebhook:
    """Any body, signed as Bird does."""
    timestamp = str(int(time.time() if at is None else at))
    text = f"{timestamp}\n{url}\n".encode() + hashlib.sha256(body).digest()
    signature = base64.b64encode(hmac.digest(signing_key.encode(), text, "sha256")).decode()
    headers = {"messagebird-signature": signature, "messagebird-request-timestamp": timestamp}
    return SignedWebhook(body, {"Content-Type": "application/json", **headers})


def escaped(payload: object) -> bytes:
    """JSON as Go writes it, which both products are written in: compact, UTF-8, `< > &` escaped. Whoever serialises
    it again breaks the signature."""
    text = json.dumps(payload, separators=(",", ":"), ensure_ascii=False)
    for plain in "<>&\u2028\u2029":
        text = text.replace(plain, f"\\u{ord(plain):04x}")
    return text.encode("utf-8", "replace")


def _contact(customer: Customer) -> dict[str, str]:
    told = {"id": str(uuid.uuid5(uuid.NAMESPACE_OID, customer.phone or customer.user_id or customer.name))}
    if customer.phone:
        return {**told, "identifierKey": "phonenumber", "identifierValue": f"+{customer.phone}"}
    return {**told, "identifierKey": "whatsappusername", "identifierValue": customer.username or ""}


def _extra(customer: Customer) -> dict[str, str]:
    told = {"whatsappbsuid": customer.user_id, "whatsappusername": customer.username}
    return {name: value for name, value in told.items() if value}


def _files(
    files: tuple[Announced, ...], place: str, text: str | None, file_name: str | None
) -> dict[str, Any]:
    """Pictures are `images`; audio, video, documents and stickers are all `files`."""
    caption = {"text": text} if text else {}
    mimes = {file.mime.partition(";")[0] for file in files}
    if all(mime.startswith("image/") and mime != "image/webp" for mime in mimes):
        images = [{"mediaUrl": f"{place}/{file.media_id}"} for file in files]
        return {"type": "image", "image": {"images": images, **caption}}
    told: list[dict[str, Any]] = []
    for file in files:
        mime = file.mime.partition(";")[0]
        one: dict[str, Any] = {"contentType": mime, "mediaUrl": f"{place}/{file.media_id}"}
        told.append(one | ({"filename": file_name} if file_name else {}))
    return {"type": "file", "file": {"files": told, **caption}}


def _moment(at: float | None) -> str:
    moment = datetime.fromtimestamp(time.time() if at is None else at, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
