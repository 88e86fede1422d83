"""Bodies as 360dialog sends them: Meta's own with registered headers, the partner's envelope, the ended product's shape."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.whatsapp.messages import Message, SignedWebhook, Status


def headed(webhook: SignedWebhook, headers: Mapping[str, str]) -> SignedWebhook:
    """A webhook of Meta passed on: the same bytes, the number's registered headers, and Meta's signature left out."""
    return SignedWebhook(webhook.body, {"Content-Type": "application/json", **headers})


def envelope(webhook: SignedWebhook, headers: Mapping[str, str], *, event_id: str) -> SignedWebhook:
    """A coexistence event as the partner's webhook has it."""
    (entry,) = json.loads(webhook.body)["entry"]
    (change,) = entry["changes"]
    told = {"id": event_id, "event": change["field"], "data": {"id": entry["id"], **change["value"]}}
    return headed(SignedWebhook(json.dumps(told).encode(), {}), headers)


def legacy(items: Sequence[Message | Status], headers: Mapping[str, str]) -> SignedWebhook:
    """The shape of the on-premise API, which ended in 2025: no entries, voice notes of their own type, hashes in hex."""
    told: dict[str, list[Any]] = {"contacts": [], "messages": [], "statuses": []}
    for item in items:
        if isinstance(item, Message):
            told["messages"].append(_legacy_message(item.payload))
        else:
            told["statuses"].append(item.payload)
        told["contacts"].append(item.customer.as_contact())
    body = json.dumps({name: members for name, members in told.items() if members}).encode()
    return headed(SignedWebhook(body, {}), headers)


def _legacy_message(payload: Mapping[str, Any]) -> dict[str, Any]:
    kind = str(payload["type"])
    content = payload.get(kind)
    if not isinstance(content, dict) or "sha256" not in content:
        return dict(payload)
    left_out = ("url", "voice", "sha256")
    media = {name: value for name, value in content.items() if name not in left_out}
    media |= {"sha256": base64.b64decode(content["sha256"]).hex(), "file": "/usr/local/wamedia/shared/file"}
    new_kind = "voice" if content.get("voice") else kind
    rest = {name: value for name, value in payload.items() if name != kind}
    return {**rest, "type": new_kind, new_kind: media}
