"""The three shapes 360dialog's bodies have: Meta's own, the partner's envelope, and the one of the ended on-premise API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from acervo.providers import parts
from acervo.providers.contract import AnnouncedFile, Announcement, Outcome, Reading, Unread, UnreadableWebhook
from acervo.providers.meta_cloud.frame import Frame, child, each
from acervo.providers.meta_cloud.identity import Contacts
from acervo.providers.meta_cloud.reading import FRAME_KEYS, OBJECT, PARTS, read_entries, read_value
from acervo.providers.parts import Part
from acervo.providers.untrusted import as_mapping, as_text, as_word, parse_object

Json = Mapping[str, Any]

TAKES_READY_LINKS = False
"""Whether a webhook's own link works after the change of host. Reported by users, written nowhere; each link that
does not work counts towards the block, so by default the id is looked up."""
LEGACY_FILES = Outcome.EXPIRED
"""What became of files announced by the on-premise API: Meta ended it in October 2025, and its ids lived 14 days."""
LEGACY_PARTS = ("messages", "statuses", "errors")
UNDOWNLOADED = "undownloaded"


def read(body: bytes, account_id: str) -> Reading:
    """Every event of the payload. Raises UnreadableWebhook when it has none of the three shapes. `account_id` is ours:
    the on-premise shape names no account."""
    payload = parse_object(body)
    if payload.get("object") == OBJECT:
        found = read_entries(payload.get("entry"))
    elif "event" in payload and "data" in payload:
        found = _read_envelope(payload)
    elif any(isinstance(payload.get(name), list) for name in LEGACY_PARTS):
        return _without_files_of(parts.reading(_read_legacy(payload, account_id)))
    else:
        raise UnreadableWebhook("The body is JSON, but not what 360dialog sends.")
    reading = parts.reading(found)
    return reading if TAKES_READY_LINKS else _without_links(reading)


def _read_envelope(payload: Json) -> Iterator[Part]:
    """`{id, event, data}`: coexistence events on the partner's webhook. `data` is Meta's `value` and names the business
    account itself."""
    data = payload["data"]
    field = as_text(payload.get("event")) or ""
    if not isinstance(data, dict) or not data:
        yield Unread("/data", as_word(field), "no value")
        return
    value = {key: part for key, part in data.items() if key != "id"}
    yield from read_value(field, value, {"id": data.get("id")}, "/data")


def _read_legacy(payload: Json, account_id: str) -> Iterator[Part]:
    """No entries, no changes: one number's parts at the top."""
    frame = Frame("messages", account_id, None, Contacts.of(payload.get("contacts")), None)
    for key, part in payload.items():
        if key in FRAME_KEYS or part is None:
            continue
        if key in LEGACY_PARTS:
            members = [_legacy_message(one) for one in part] if isinstance(part, list) else part
            yield from each(members, PARTS[key], frame, f"/{key}")
        else:
            yield Unread(child("", key), as_word(key), "unknown part")


def _legacy_message(message: object) -> object:
    """A file the old server itself had not downloaded has no id: in Meta's words, a download error."""
    told = as_mapping(message)
    media = as_mapping(told.get(as_text(told.get("type")) or ""))
    if media.get("status") == UNDOWNLOADED and not media.get("id"):
        return {**told, "errors": [{"code": 131052}]}
    return message


def _without_files_of(reading: Reading) -> Reading:
    """The announcements of a service that has ended: each file a stated loss."""
    return _with_files(reading, lambda file: replace(file, refusal=file.refusal or LEGACY_FILES))


def _without_links(reading: Reading) -> Reading:
    return _with_files(reading, lambda file: replace(file, url=None, url_expires_at=None))


def _with_files(reading: Reading, change: Any) -> Reading:
    def changed(event: Any) -> Any:
        if isinstance(event, Announcement) and event.files:
            files: tuple[AnnouncedFile, ...] = tuple(change(file) for file in event.files)
            return replace(event, files=files)
        if getattr(event, "edited", None) is not None:
            return replace(event, edited=changed(event.edited))
        return event

    return replace(reading, events=tuple(changed(event) for event in reading.events))
