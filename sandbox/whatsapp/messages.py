"""Webhook bodies as Meta writes and signs them: customers, messages, statuses, batches, escapes, signature."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from sandbox.whatsapp.phone import Phone
from sandbox.whatsapp.shelf import Announced

SIGNATURE_HEADER = "X-Hub-Signature-256"


@dataclass(frozen=True, slots=True)
class Customer:
    """Who writes. Since 2026 either the phone or the business-scoped id may be all there is."""

    name: str
    phone: str | None = field(default=None, repr=False)
    """Digits only, as in `wa_id`."""
    user_id: str | None = field(default=None, repr=False)
    """Business-scoped user id, e.g. `BR.1000…`."""
    username: str | None = field(default=None, repr=False)

    def as_contact(self) -> dict[str, Any]:
        profile = {"name": self.name, **_given(username=self.username)}
        return {"profile": profile, **_given(wa_id=self.phone, user_id=self.user_id)}


@dataclass(frozen=True, slots=True)
class Message:
    """One element of `messages[]`, with the customer who must stand in `contacts[]`."""

    customer: Customer
    payload: dict[str, Any] = field(repr=False)

    @property
    def id(self) -> str:
        return str(self.payload["id"])


@dataclass(frozen=True, slots=True)
class Status:
    """One element of `statuses[]`."""

    customer: Customer
    payload: dict[str, Any] = field(repr=False)


class Layout(StrEnum):
    """How several events are packed into one webhook: Meta promises none of these."""

    TOGETHER = "together"
    CHANGE_EACH = "change_each"
    ENTRY_EACH = "entry_each"


class SignedWebhook(NamedTuple):
    body: bytes
    headers: dict[str, str]


def message(
    customer: Customer,
    *,
    text: str | None = None,
    file: Announced | None = None,
    kind: str | None = None,
    caption: str | None = None,
    file_name: str | None = None,
    voice: bool | None = None,
    animated: bool = False,
    with_url: bool = True,
    reply_to: str | None = None,
    forwarded: bool = False,
    group_id: str | None = None,
    message_id: str | None = None,
    at: float | None = None,
) -> Message:
    """A text, or a file with an optional caption. `kind` and `voice` follow from the MIME type unless given."""
    if (text is None) == (file is None):
        raise ValueError("A message carries either a text or a file.")
    if file is None:
        kind, content = "text", {"body": text}
    else:
        kind = kind or _kind(file.mime)
        content = _file_object(file, kind, caption, file_name, voice, animated=animated, with_url=with_url)
    payload = _frame(customer, kind, message_id, at)
    payload[kind] = content
    context = {**_given(id=reply_to), **({"forwarded": True} if forwarded else {})}
    if context:
        payload["context"] = context
    if group_id:
        payload["group_id"] = group_id
    return Message(customer, payload)


def reaction(customer: Customer, to: str, emoji: str | None) -> Message:
    """A reaction to message `to`; None takes it back."""
    payload = _frame(customer, "reaction", None, None)
    payload["reaction"] = {"message_id": to, **_given(emoji=emoji)}
    return Message(customer, payload)


def lost_message(customer: Customer, *, kind: str = "video", too_large: bool = False) -> Message:
    """A file Meta itself could not get (131052): there is no id to ask for."""
    title = "Media file size too big. Max file size we currently support: 100MB." if too_large else None
    error = {
        "code": 131052,
        "title": title or "Media download error",
        "message": title or "Media download error",
        "error_data": {"details": title or "Unable to download the media sent by the user."},
    }
    payload = _frame(customer, kind, None, None)
    payload["errors"] = [error]
    return Message(customer, payload)


def status(customer: Customer, message_id: str, word: str, *, at: float | None = None) -> Status:
    """What became of a message of ours: sent, delivered, read or played."""
    payload = {"id": message_id, "status": word, "timestamp": stamp(at)}
    return Status(
        customer, {**payload, **_given(recipient_id=customer.phone, recipient_user_id=customer.user_id)}
    )


def webhook(
    items: Sequence[Message | Status], *, phone: Phone | None = None, layout: Layout = Layout.TOGETHER
) -> SignedWebhook:
    """One webhook of one number, signed with its app's secret."""
    phone = phone or Phone()
    return batch([(phone, items)], app_secret=phone.app_secret, layout=layout)


def batch(
    parts: Sequence[tuple[Phone, Sequence[Message | Status]]],
    *,
    app_secret: str,
    layout: Layout = Layout.TOGETHER,
) -> SignedWebhook:
    """One webhook of several numbers of the same app: an entry for each."""
    entries: list[dict[str, Any]] = []
    for phone, items in parts:
        changes = _changes(phone, items, each=layout is not Layout.TOGETHER)
        groups = [[change] for change in changes] if layout is Layout.ENTRY_EACH else [changes]
        entries += [{"id": phone.waba_id, "changes": group} for group in groups]
    return signed({"object": "whatsapp_business_account", "entry": entries}, app_secret)


def signed(payload: Mapping[str, Any], app_secret: str) -> SignedWebhook:
    """Any payload, escaped and signed as Meta does."""
    body = escaped(payload)
    return SignedWebhook(body, {"Content-Type": "application/json", SIGNATURE_HEADER: sign(body, app_secret)})


def escaped(payload: object) -> bytes:
    """Meta's JSON: compact, `\\/`, `\\uXXXX`, and `@ < >` escaped; whoever re-serialises breaks the signature."""
    text = json.dumps(payload, separators=(",", ":"))
    # These four stand only inside JSON strings, so plain replacement is safe.
    for plain, escape in (("/", "\\/"), ("@", "\\u0040"), ("<", "\\u003C"), (">", "\\u003E")):
        text = text.replace(plain, escape)
    return text.encode("ascii")


def sign(body: bytes, app_secret: str) -> str:
    return "sha256=" + hmac.new(app_secret.encode(), body, hashlib.sha256).hexdigest()


def new_message_id(customer: Customer, *, outbound: bool = False) -> str:
    """A wamid: Meta packs the other side's number and a random stanza into base64."""
    address = (customer.phone or (customer.user_id or "").partition(".")[2][-15:]).encode()
    stanza = (b"3EB0" if outbound else b"3A") + secrets.token_hex(9).upper().encode()
    stanza = stanza[: 18 if outbound else 20]
    kind = 0x11 if outbound else 0x12
    packed = bytes([0x1C, 0x18, len(address)]) + address + bytes([0x15, 2, 0, kind, 0x18, len(stanza)])
    return "wamid." + base64.b64encode(packed + stanza + b"\x00").decode()


def _changes(phone: Phone, items: Sequence[Message | Status], *, each: bool) -> list[dict[str, Any]]:
    """Messages and statuses never share a value."""
    messages = [item for item in items if isinstance(item, Message)]
    statuses = [item for item in items if isinstance(item, Status)]
    groups: list[tuple[str, Sequence[Message | Status]]] = []
    for name, members in (("messages", messages), ("statuses", statuses)):
        if each:
            groups += [(name, [member]) for member in members]
        elif members:
            groups.append((name, members))
    return [{"value": _value(phone, name, members), "field": "messages"} for name, members in groups]


def _value(phone: Phone, name: str, members: Sequence[Message | Status]) -> dict[str, Any]:
    customers = dict.fromkeys(member.customer for member in members)
    return {
        "messaging_product": "whatsapp",
        "metadata": {
            "display_phone_number": phone.display_number,
            "phone_number_id": phone.phone_number_id,
        },
        "contacts": [customer.as_contact() for customer in customers],
        name: [member.payload for member in members],
    }


def _frame(customer: Customer, kind: str, message_id: str | None, at: float | None) -> dict[str, Any]:
    return {
        **_given(**{"from": customer.phone}, from_user_id=customer.user_id),
        "id": message_id or new_message_id(customer),
        "timestamp": stamp(at),
        "type": kind,
    }


def _file_object(
    file: Announced,
    kind: str,
    caption: str | None,
    file_name: str | None,
    voice: bool | None,
    *,
    animated: bool,
    with_url: bool,
) -> dict[str, Any]:
    content: dict[str, Any] = {
        **_given(caption=caption, filename=file_name),
        "mime_type": file.mime,
        "sha256": file.sha256_base64,
        "id": file.media_id,
        **_given(url=file.url if with_url else None),
    }
    if kind == "audio":
        content["voice"] = file.mime.startswith("audio/ogg") if voice is None else voice
    if kind == "sticker":
        content["animated"] = animated
    return content


def _kind(mime: str) -> str:
    if mime == "image/webp":
        return "sticker"
    family = mime.partition("/")[0]
    return family if family in ("audio", "video", "image") else "document"


def stamp(at: float | None) -> str:
    """A moment as webhooks write it; None: now."""
    return str(int(time.time() if at is None else at))


def _given(**fields: str | None) -> dict[str, str]:
    return {name: value for name, value in fields.items() if value is not None}
