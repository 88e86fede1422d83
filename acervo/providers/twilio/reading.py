"""From a webhook's parameters to what they say: a message, a status of ours, or trouble Twilio's debugger saw."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from acervo.base.errors import AcervoError
from acervo.providers.contract import AccountEvent, Reading, StatusUpdate, UnreadableWebhook
from acervo.providers.parts import Part, Unreadable, guarded, reading
from acervo.providers.sending import OutsideWindow
from acervo.providers.twilio import identity
from acervo.providers.twilio.errors import OUTSIDE_WINDOW
from acervo.providers.twilio.messages import Frame, Said, message_sid, read_message
from acervo.providers.untrusted import as_mapping, as_text, as_word, parse_object

RECEIVED = frozenset({"received", "receiving"})
"""States of a message that came in; all others are of messages we sent."""

LOST_FILES = {
    "63019": "a file could not be fetched from WhatsApp",
    "11751": "a file is larger than Twilio takes",
    "63034": "a file is larger than the channel takes",
    "63021": "a file is not of a kind the channel takes",
    "63037": "a file could not be handed over by the channel",
}
"""Errors about the file of a message (courier's list of Twilio's codes)."""
LOST_ON_THE_WAY_IN = frozenset({"63019", "11751", "63034"})
"""Those that leave a customer's message without its file; the others are of files we would send."""
UNREACHED = {
    "11200": "Twilio could not reach our webhook address",
    "11205": "Twilio could not connect to our webhook address",
    "11210": "Twilio did not find the host of our webhook address",
    "11220": "Twilio could not agree on TLS with our webhook address",
    "11237": "Twilio does not trust the certificate of our webhook address",
}
FIRST_YEAR, LAST_YEAR = 1970, 9998
OTHER = {"63016": "a message was sent after the 24 hours", "63018": "too many messages were sent"}


def read(said: Said, frame: Frame) -> Reading:
    """Every event. Raises UnreadableWebhook when these are not parameters of Twilio's about messages."""
    if "Payload" in said and "Level" in said:
        return reading(_debugger(said, frame))
    if message_sid(said) is None or not said.get("AccountSid"):
        raise UnreadableWebhook("The body is not what Twilio posts about messages.")
    return reading(guarded(_about_message(said, frame), "", _kind(said)))


def _about_message(said: Said, frame: Frame, *, has_lost_files: bool = False) -> Iterator[Part]:
    if _is_status(said):
        yield _status(said, frame)
    else:
        yield from read_message(said, frame, has_lost_files=has_lost_files)


def _is_status(said: Said) -> bool:
    told = said.get("MessageStatus") or said.get("SmsStatus", "")
    return bool(told) and told.lower() not in RECEIVED


def _status(said: Said, frame: Frame) -> StatusUpdate:
    message_id = message_sid(said)
    word = as_word(said.get("MessageStatus") or said.get("SmsStatus")).lower()
    if message_id is None or word == "?":
        raise Unreadable("a status without a message id or a word")
    if not identity.is_whatsapp(said.get("To")) and said.get("ChannelPrefix") != "whatsapp":
        raise Unreadable("not about a WhatsApp message")
    code = as_word(said.get("ErrorCode"))
    return StatusUpdate(
        account_id=identity.phone(said.get("From")) or frame.own_number,
        message_id=message_id,
        status=word,
        at=frame.at,
        error_code=None if code in ("?", "0") else code,
        refusal=OutsideWindow.code if code in OUTSIDE_WINDOW else None,
    )


def _debugger(said: Said, frame: Frame) -> Iterator[Part]:
    """An error Twilio saw. It often quotes the webhook it is about: then a message nobody told us of comes after all."""
    try:
        payload = parse_object((as_text(said.get("Payload")) or "").encode())
    except AcervoError:
        raise UnreadableWebhook("The debugger's payload is not JSON.") from None
    at = _iso_moment(said.get("Timestamp")) or frame.at
    code = as_word(_text(payload.get("error_code")))
    yield AccountEvent(
        account_id=None,
        type=_event_type(code),
        severity=_severity(code, said.get("Level", "")),
        summary=f"error {code}: {words}" if (words := _words(code)) else f"error {code}",
        at=at,
        facts={"code": code},
    )
    request = as_mapping(as_mapping(payload.get("webhook")).get("request"))
    quoted = {
        name: text
        for name, value in as_mapping(request.get("parameters")).items()
        if (text := _text(value)) is not None
    }
    if message_sid(quoted) is None:
        return
    parts = _about_message(quoted, replace(frame, at=at), has_lost_files=code in LOST_ON_THE_WAY_IN)
    yield from guarded(parts, "/Payload/webhook/request/parameters", _kind(quoted))


def _event_type(code: str) -> str:
    if code in LOST_FILES:
        return "file_lost"
    return "webhook_unreached" if code in UNREACHED else "error"


def _severity(code: str, level: str) -> str:
    if code in UNREACHED and code not in LOST_FILES:
        return "critical"
    return "warning" if code in LOST_FILES or level.upper() == "ERROR" else "info"


def _words(code: str) -> str | None:
    return LOST_FILES.get(code) or UNREACHED.get(code) or OTHER.get(code)


def _kind(said: Said) -> str:
    return as_word(said.get("MessageType") or "message")


def _iso_moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(as_text(value) or "")
    except ValueError:
        return None
    return moment if moment.tzinfo and FIRST_YEAR <= moment.year <= LAST_YEAR else None


def _text(value: object) -> str | None:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else as_text(value)
