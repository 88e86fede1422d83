"""From a webhook body to everything it says: every entry, every change, every part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from acervo.providers import parts
from acervo.providers.contract import Reading, StatusUpdate, Unread, UnreadableWebhook
from acervo.providers.meta_cloud import accounts
from acervo.providers.meta_cloud.calls import read_call
from acervo.providers.meta_cloud.frame import Frame, Reader, child, each, error_codes
from acervo.providers.meta_cloud.identity import Contacts, digits
from acervo.providers.meta_cloud.messages import moment, read_echo, read_history, read_message
from acervo.providers.meta_cloud.outgoing import LATE_CODES
from acervo.providers.parts import Part, Unreadable
from acervo.providers.sending import OutsideWindow
from acervo.providers.untrusted import as_id, as_mapping, as_moment, as_text, as_word, parse_object

Json = Mapping[str, Any]

OBJECT = "whatsapp_business_account"
FRAME_KEYS = frozenset({"messaging_product", "metadata", "contacts"})
"""Members of a change that describe the others."""


def read(body: bytes) -> Reading:
    """Every event of the payload. Raises UnreadableWebhook when it is not a WhatsApp payload at all."""
    payload = parse_object(body)
    if payload.get("object") != OBJECT:
        raise UnreadableWebhook("The body is JSON, but not about a WhatsApp Business account.")
    return parts.reading(read_entries(payload.get("entry")))


def read_entries(entries: object) -> Iterator[Part]:
    if not isinstance(entries, list):
        yield Unread("/entry", "entry", "not a list")
        return
    for index, entry in enumerate(entries):
        pointer = f"/entry/{index}"
        changes = as_mapping(entry).get("changes")
        if not isinstance(changes, list):
            yield Unread(pointer, "entry", "no list of changes")
            continue
        for position, change in enumerate(changes):
            yield from _change(change, entry, f"{pointer}/changes/{position}")


def _change(change: object, entry: Json, pointer: str) -> Iterator[Part]:
    value = as_mapping(change).get("value")
    field = as_text(as_mapping(change).get("field")) or ""
    if not isinstance(value, dict) or not value:
        yield Unread(pointer, as_word(field), "no value")
        return
    yield from read_value(field, value, entry, f"{pointer}/value")


def read_value(field: str, value: Json, entry: Json, pointer: str) -> Iterator[Part]:
    """Every part of what changed in `field`. `entry` names the business account and, for some fields, the moment."""
    metadata = as_mapping(value.get("metadata"))
    account_id, at = as_id(metadata.get("phone_number_id")), as_moment(entry.get("time"))
    if field in accounts.FIELDS:
        yield accounts.account_event(
            field, value, account_id=account_id, waba_id=as_id(entry.get("id")), at=at
        )
        return
    found = {key: part for key, part in value.items() if key not in FRAME_KEYS and part is not None}
    if not found:
        yield Unread(pointer, as_word(field), "nothing in it")
        return
    frame = None
    if account_id is not None:
        own_digits = digits(metadata.get("display_phone_number"))
        frame = Frame(field, account_id, own_digits, Contacts.of(value.get("contacts")), at)
    for key, part in found.items():
        yield from _part(key, part, frame, field, child(pointer, key))


def _part(key: str, part: object, frame: Frame | None, field: str, pointer: str) -> Iterator[Part]:
    reader = PARTS.get(key)
    if reader is None:
        yield Unread(pointer, as_word(field), "unknown part")
    elif frame is None:
        yield Unread(pointer, as_word(field), "no phone number id")
    else:
        yield from each(part, reader, frame, pointer)


def _read_status(status: Json, frame: Frame, pointer: str) -> Iterator[Part]:
    message_id, word = as_id(status.get("id")), as_word(status.get("status")).lower()
    if message_id is None or word == "?":
        raise Unreadable("a status without a message id or a word")
    codes = error_codes(status.get("errors"))
    yield StatusUpdate(
        account_id=frame.account_id,
        message_id=message_id,
        status=word,
        at=moment(status, frame)[0],
        error_code=str(codes[0]) if codes else None,
        refusal=OutsideWindow.code if set(codes) & LATE_CODES else None,
    )


PARTS: Mapping[str, Reader] = {
    "messages": read_message,
    "message_echoes": read_echo,
    "history": read_history,
    "statuses": _read_status,
    "errors": accounts.read_error,
    "calls": read_call,
    "groups": accounts.read_group,
    "state_sync": accounts.read_address_book,
    "user_id_update": accounts.read_user_id_update,
}
"""The lists a change may hold, whatever its field is called: coexistence brings `messages` under `history`, too."""
