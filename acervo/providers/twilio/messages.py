"""One message of a customer: what it says, its files, where it belongs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from acervo.providers.contract import AnnouncedFile, Announcement, Direction, Kind, Unread
from acervo.providers.parts import Part, Unreadable
from acervo.providers.twilio import files, identity
from acervo.providers.untrusted import as_count, as_id, as_number, as_text, as_word

Said = Mapping[str, str]

MOST_FILES = 10
"""Twilio's bound for one message; WhatsApp sends one each."""
TYPES = frozenset(
    {*files.KINDS, "text", "location", "contacts", "button", "interactive", "reaction", "order", "system"}
)
UNKNOWN_TYPE = "unknown"
LONGEST_TYPE = 32
"""Characters; what our column holds."""
TYPE_WITHOUT_FILE_IS_LOST = True
"""Unsure: a message of a file's type without a file is what remains when Twilio drops one (63019, 11751)."""
REFERRAL = {
    "ReferralBody": "body",
    "ReferralHeadline": "headline",
    "ReferralSourceId": "source_id",
    "ReferralSourceType": "source_type",
    "ReferralSourceUrl": "source_url",
    "ReferralMediaContentType": "media_type",
    "ReferralCtwaClid": "ctwa_clid",
}
"""By Meta's names, so that an advertisement reads the same whichever way it came."""

_MEDIA_URL = re.compile(r"MediaUrl([0-9]{1,2})")


@dataclass(frozen=True, slots=True)
class Frame:
    """What is known beside the parameters."""

    account_sid: str
    own_number: str
    origins: frozenset[str]
    """Where links to our files may lead."""
    at: datetime
    """Twilio's messages carry no moment; they come within seconds."""


def read_message(said: Said, frame: Frame, *, has_lost_files: bool = False) -> Iterator[Part]:
    """The customer's message. `has_lost_files`: Twilio said elsewhere that it could not get them."""
    message_id = message_sid(said)
    if message_id is None:
        raise Unreadable("no message id")
    if not identity.is_whatsapp(said.get("From")):
        raise Unreadable("not a WhatsApp message")
    sender = identity.customer(said)
    if sender is None:
        raise Unreadable("nobody is named as sender")
    account_id = identity.phone(said.get("To"))
    if account_id is None:
        raise Unreadable("no number of ours is named")
    type_ = _type(said)
    found, unread = _files(said, type_, frame, message_id, has_lost_files=has_lost_files)
    yield Announcement(
        account_id=account_id,
        message_id=message_id,
        direction=Direction.INBOUND,
        sender=sender,
        sent_at=frame.at,
        type=type_,
        text=_text(said, type_),
        files=found,
        reply_to=as_id(said.get("OriginalRepliedMessageSid")),
        is_forwarded=_is_true(said, "Forwarded") or _is_true(said, "FrequentlyForwarded"),
        extra=_extra(said, type_),
    )
    yield from unread
    told = as_text(said.get("MessageType"))
    if told and told.lower() not in TYPES:
        yield Unread("/MessageType", as_word(told), "unknown message type")


def message_sid(said: Said) -> str | None:
    """All three names hold the same."""
    every = (as_id(said.get(name)) for name in ("MessageSid", "SmsMessageSid", "SmsSid"))
    return next((sid for sid in every if sid), None)


def _type(said: Said) -> str:
    told = (as_text(said.get("MessageType")) or "").lower()
    if told:
        return told if as_word(told) == told and len(told) <= LONGEST_TYPE else UNKNOWN_TYPE
    if said.get("Latitude") and said.get("Longitude"):
        return "location"
    if said.get("ButtonPayload") or said.get("ButtonText"):
        return "button"
    if said.get("ListId"):
        return "interactive"
    mime = files.mime_type(said.get("MediaContentType0"))
    if mime is None and not as_text(said.get("MediaUrl0")):
        return "text"
    if mime in ("text/vcard", "text/x-vcard"):
        return "contacts"
    kind = files.kind_of("", mime)
    return "audio" if kind is Kind.VOICE else kind.value


def _files(
    said: Said, type_: str, frame: Frame, message_id: str, *, has_lost_files: bool
) -> tuple[tuple[AnnouncedFile, ...], list[Unread]]:
    """Every file of the message, and what could not be read about them."""
    promised = min(as_count(said.get("NumMedia")) or 0, MOST_FILES)
    named = {int(match[1]) for name in said if (match := _MEDIA_URL.fullmatch(name))}
    found: list[AnnouncedFile] = []
    unread: list[Unread] = []
    for index in sorted({*range(promised), *named}):
        link, mime = as_text(said.get(f"MediaUrl{index}")), said.get(f"MediaContentType{index}")
        if link is None:
            if index < promised:
                found.append(files.lost(type_, mime))
            continue
        place = files.Place.of_link(link, account_sid=frame.account_sid, origins=frame.origins)
        if place is None or place.message_sid != message_id:
            reason = "a link that is not to a file of this message and account"
            unread.append(Unread(f"/MediaUrl{index}", as_word(type_), reason))
            continue
        found.append(files.announced(place, type_, mime, as_text(said.get("Body"))))
    is_lost = has_lost_files or (TYPE_WITHOUT_FILE_IS_LOST and type_ in files.KINDS)
    if is_lost and not found and not unread:
        found.append(files.lost(type_, None))
    return tuple(found), unread


def _text(said: Said, type_: str) -> str | None:
    body = as_text(said.get("Body"))
    if type_ == "location":
        return body or as_text(said.get("Label"))
    return body or as_text(said.get("ButtonText")) or as_text(said.get("ListTitle"))


def _extra(said: Said, type_: str) -> dict[str, Any]:
    """Facts worth keeping that have no column, by the names they have everywhere in the house."""
    extra: dict[str, Any] = {
        "button": _button(said),
        "location": _location(said),
        "referral": {ours: text for theirs, ours in REFERRAL.items() if (text := as_text(said.get(theirs)))},
        "many_forwards": _is_true(said, "FrequentlyForwarded"),
    }
    if type_ == "reaction":
        emoji = as_text(said.get("Body"))
        extra["reaction" if emoji else "reaction_removed"] = emoji or True
    return {name: fact for name, fact in extra.items() if fact}


def _button(said: Said) -> dict[str, str]:
    """What was pressed. The id is ours, and binds consent."""
    if list_id := as_text(said.get("ListId")):
        title = as_text(said.get("ListTitle"))
        return {"kind": "list_reply", "id": list_id, **({"title": title} if title else {})}
    payload = as_text(said.get("ButtonPayload"))
    return {"kind": "button", "id": payload} if payload else {}


def _location(said: Said) -> dict[str, Any]:
    facts = {
        "latitude": as_number(said.get("Latitude")),
        "longitude": as_number(said.get("Longitude")),
        "name": as_text(said.get("Label")),
        "address": as_text(said.get("Address")),
    }
    return {name: fact for name, fact in facts.items() if fact is not None}


def _is_true(said: Said, name: str) -> bool:
    return said.get(name, "").strip().lower() == "true"
