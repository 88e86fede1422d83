"""A number shared with the WhatsApp Business app: its past in chunks, what staff type there, what is changed or taken back."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from sandbox.whatsapp.messages import Customer, Message, SignedWebhook, new_message_id, signed, stamp
from sandbox.whatsapp.phone import Phone

MOST_IN_A_CHUNK = 40
PHASES = 3
"""The last day, the last 90 days, the 90 before."""


def as_ours(message: Message, phone: Phone) -> Message:
    """The same message as staff would have typed it: an echo, or our side of the past."""
    payload = {
        key: value for key, value in message.payload.items() if key not in ("from", "from_user_id", "id")
    }
    who = message.customer
    to: dict[str, Any] = {"to": who.phone} if who.phone else {"to_user_id": who.user_id}
    ours = {"from": phone.display_number, **to, "id": new_message_id(who, outbound=True)}
    return Message(who, {**ours, **payload})


def placeholder(message: Message) -> Message:
    """How the past shows a message with a file: that there was one."""
    kind = str(message.payload["type"])
    kept = {key: value for key, value in message.payload.items() if key != kind}
    return Message(message.customer, {**kept, "type": "media_placeholder"})


def revoke(message: Message, *, at: float | None = None) -> Message:
    """The author takes a message back."""
    return _about(message, "revoke", {"original_message_id": message.id}, at)


def edit(message: Message, *, caption: str, at: float | None = None) -> Message:
    """The author changes the text, or the caption of a file, which is sent anew."""
    kind = str(message.payload["type"])
    content = {**message.payload[kind], ("body" if kind == "text" else "caption"): caption}
    return _about(
        message, "edit", {"original_message_id": message.id, "message": {"type": kind, kind: content}}, at
    )


def history(messages: Sequence[Message], *, phone: Phone, seed: int | None = None) -> list[SignedWebhook]:
    """The past as chunks of a thread each; `seed` shuffles them. Files are placeholders: see `late`."""
    threads: dict[Customer, list[dict[str, Any]]] = {}
    for message in messages:
        is_text = message.payload["type"] == "text"
        shown = message if is_text else placeholder(message)
        told = {**shown.payload, "history_context": {"status": "READ"}}
        threads.setdefault(message.customer, []).append(told)
    chunks = [
        {"id": who.phone or who.user_id, "messages": every[start : start + MOST_IN_A_CHUNK]}
        for who, every in threads.items()
        for start in range(0, len(every), MOST_IN_A_CHUNK)
    ]
    told_in = [
        history_chunk([thread], phone=phone, order=number, progress=100 * number // len(chunks))
        for number, thread in enumerate(chunks, 1)
    ]
    if seed is not None:
        random.Random(seed).shuffle(told_in)
    return told_in


def history_chunk(
    threads: Sequence[dict[str, Any]], *, phone: Phone, order: int, progress: int
) -> SignedWebhook:
    """One webhook of the past."""
    metadata = {"phase": order % PHASES, "chunk_order": order, "progress": progress}
    return _signed("history", {"history": [{"metadata": metadata, "threads": list(threads)}]}, phone)


def late(message: Message, *, phone: Phone) -> SignedWebhook:
    """The file behind a placeholder, under the same message id."""
    return _signed("history", {"messages": [message.payload]}, phone)


def echoes(messages: Sequence[Message], *, phone: Phone) -> SignedWebhook:
    """What staff typed in the app, changes and withdrawals included."""
    told = {"message_echoes": [message.payload for message in messages]}
    return _signed("smb_message_echoes", told, phone)


def _about(message: Message, kind: str, content: dict[str, Any], at: float | None) -> Message:
    sides = ("from", "from_user_id", "to", "to_user_id")
    payload = {side: message.payload[side] for side in sides if side in message.payload}
    is_ours = "to" in payload or "to_user_id" in payload
    named = {"id": new_message_id(message.customer, outbound=is_ours), "timestamp": stamp(at)}
    return Message(message.customer, {**payload, **named, "type": kind, kind: content})


def _signed(field: str, value: dict[str, Any], phone: Phone) -> SignedWebhook:
    metadata = {"display_phone_number": phone.display_number, "phone_number_id": phone.phone_number_id}
    whole = {"messaging_product": "whatsapp", "metadata": metadata, **value}
    entry = {"id": phone.waba_id, "changes": [{"value": whole, "field": field}]}
    return signed({"object": "whatsapp_business_account", "entry": [entry]}, phone.app_secret)
