"""One webhook of MessageBird is one message: who wrote it, what it says, what became of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from acervo.providers.asking import host_of
from acervo.providers.contract import (
    AnnouncedFile,
    Announcement,
    Direction,
    Identity,
    Kind,
    Outcome,
    Reading,
    Revocation,
    StatusUpdate,
    Unread,
    UnreadableWebhook,
)
from acervo.providers.links import identifier
from acervo.providers.messagebird.errors import OUTSIDE_WINDOW
from acervo.providers.parts import Part, Unreadable, guarded, reading
from acervo.providers.sending import OutsideWindow
from acervo.providers.untrusted import (
    as_id,
    as_mapping,
    as_phone,
    as_plain,
    as_text,
    as_user_id,
    as_word,
    as_written_moment,
    parse_object,
)

Json = Mapping[str, Any]

EVENTS = ("message.created", "message.updated")
DIRECTIONS = {"received": Direction.INBOUND, "sent": Direction.OUTBOUND}
TAKEN_BACK = "deleted"
STATUSES = {
    "transmitted": "sent",
    "delivery_failed": "failed",
    "rejected": "failed",
    "expired": "failed",
    "pending": "accepted",
}
"""MessageBird's words in WhatsApp's; others are kept as they are."""
KINDS = {
    "image": Kind.IMAGE,
    "video": Kind.VIDEO,
    "audio": Kind.AUDIO,  # nothing tells a voice note from a song
    "file": Kind.DOCUMENT,
    "whatsappSticker": Kind.STICKER,
}
TYPE_NAMES = {
    "file": "document",
    "whatsappSticker": "sticker",
    "whatsappText": "text",
    "whatsappOrder": "order",
    "hsm": "template",
}
CONTACT = "contact:"
"""Before MessageBird's own contact id, for a sender of whom neither a number nor a user id is told."""

_FILE_NAME = re.compile(r"[^/\\\r\n]{1,200}\.[A-Za-z0-9]{1,8}")


@dataclass(frozen=True, slots=True)
class Frame:
    """What a message is read by."""

    account_id: str
    own_hosts: Collection[str]
    """Where the provider keeps files; what we sent ourselves lies elsewhere."""
    received_at: datetime
    """The moment of a message that tells none."""


def read(body: bytes, frame: Frame) -> Reading:
    """Every event of the payload. Raises UnreadableWebhook when it is not MessageBird's."""
    payload = parse_object(body)
    event = as_text(payload.get("type"))
    if event is None or not {"message", "conversation"} & payload.keys():
        raise UnreadableWebhook("The body is JSON, but not an event of MessageBird's Conversations API.")
    return reading(_parts(payload, event, frame))


def _parts(payload: Json, event: str, frame: Frame) -> Iterator[Part]:
    message = payload.get("message")
    if not isinstance(message, dict):
        yield Unread("", as_word(event), "an event without a message")
        return
    kind = as_word(message.get("type"))
    yield from guarded(_message(message, as_mapping(payload.get("contact")), frame), "/message", kind)
    if event not in EVENTS:
        yield Unread("/type", as_word(event), "unknown event; its message is taken")


@dataclass(frozen=True, slots=True)
class Content:
    """What a message says, besides its files."""

    text: str | None = None
    reply_to: str | None = None
    is_forwarded: bool = False
    extra: Json = field(default_factory=dict)


def _message(message: Json, contact: Json, frame: Frame) -> Iterator[Part]:
    message_id = as_id(message.get("id"))
    direction = DIRECTIONS.get(as_text(message.get("direction")) or "")
    if message_id is None or direction is None:
        raise Unreadable("no message id" if message_id is None else "neither received nor sent")
    account = as_id(message.get("channelId")) or frame.account_id
    customer = _customer(message, contact, direction)
    word = as_word(message.get("status")).lower()
    created = as_written_moment(message.get("createdDatetime"))
    updated = as_written_moment(message.get("updatedDatetime")) or created or frame.received_at
    if direction is Direction.INBOUND and word == TAKEN_BACK:
        yield Revocation(account, message_id, updated, sender=customer, direction=direction)
        return
    type_ = as_text(message.get("type")) or ""
    said = _said(type_, message, message_id, direction, frame)
    if said is None:
        yield Unread("/message", as_word(type_), "unknown message type" if type_ else "no message type")
    else:
        content, files = said
        yield Announcement(
            account_id=account,
            message_id=message_id,
            direction=direction,
            sender=customer,
            sent_at=created or frame.received_at,
            type=TYPE_NAMES.get(type_) or (type_ if type_ in KNOWN else "unknown"),
            text=content.text,
            files=files,
            reply_to=content.reply_to or as_id(as_mapping(message.get("replyTo")).get("id")),
            is_forwarded=content.is_forwarded,
            extra={**content.extra, **({} if created else {"sent_at_is_guessed": True})},
        )
        if type_ not in KNOWN:
            yield Unread("/message", as_word(type_), "unknown message type; its file is taken")
    if direction is Direction.OUTBOUND and word != "?":
        code = as_word(as_id(as_mapping(message.get("error")).get("code")))
        yield StatusUpdate(
            account,
            message_id,
            STATUSES.get(word, word),
            updated,
            error_code=None if code == "?" else code,
            refusal=OutsideWindow.code if code in OUTSIDE_WINDOW else None,
        )


def _said(
    type_: str, message: Json, message_id: str, direction: Direction, frame: Frame
) -> tuple[Content, tuple[AnnouncedFile, ...]] | None:
    """What the message says, and its file; None for a type we do not know that carries none."""
    content = as_mapping(message.get("content"))
    body = as_mapping(content.get(type_))
    if reader := CONTENTS.get(type_):
        return reader(content, body), ()
    if type_ not in KINDS and not _link(body):
        return None
    file_name, text = _name_or_caption(body, type_)
    if direction is Direction.OUTBOUND and host_of(_link(body)) not in frame.own_hosts:
        return Content(text, extra={"sent_from_elsewhere": True}), ()
    return Content(text), (_file(body, KINDS.get(type_, Kind.DOCUMENT), message_id, file_name),)


def _file(body: Json, kind: Kind, message_id: str, file_name: str | None) -> AnnouncedFile:
    url = _link(body)
    if url is None:
        # Nothing says that MessageBird lost it, but there is nothing to ask for: people must see that something came.
        return AnnouncedFile("", kind, file_name=file_name, refusal=Outcome.LOST_AT_PROVIDER)
    return AnnouncedFile(
        provider_id=identifier(url, otherwise=f"{message_id[:200]}-file"),
        kind=kind,
        file_name=file_name,
        url=url,
    )


def _link(body: Json) -> str | None:
    return as_text(body.get("url")) or as_text(body.get("link"))


def _name_or_caption(body: Json, type_: str) -> tuple[str | None, str | None]:
    """A document's name is said to come as its caption, and may be a caption after all: a name has an ending."""
    caption = as_text(body.get("caption"))
    name = as_text(body.get("filename")) or as_text(body.get("fileName"))
    if name is None and type_ == "file" and caption and _FILE_NAME.fullmatch(caption):
        return caption, None
    return name, caption


def _customer(message: Json, contact: Json, direction: Direction) -> Identity:
    """`contact` is always the customer; `from` and `to` were seen the other way round in a message of ours."""
    named = as_id(message.get("from" if direction is Direction.INBOUND else "to"))
    told = (named, contact.get("msisdn"))
    phones = [as_phone(value) for value in (told if direction is Direction.INBOUND else reversed(told))]
    phone = next(filter(None, phones), None)
    user_id = as_user_id(named)
    contact_id = as_id(contact.get("id"))
    if phone is None and user_id is None and contact_id is None:
        raise Unreadable("nobody is named")
    name = as_text(contact.get("displayName"))
    return Identity(
        user_id=user_id or (None if phone else f"{CONTACT}{contact_id}"),
        phone=phone,
        name=None if as_phone(name) else name,
    )


def _text(content: Json, body: Json) -> Content:
    return Content(as_text(content.get("text")))


def _whatsapp_text(content: Json, body: Json) -> Content:
    context = as_mapping(body.get("context"))
    product = as_plain(context.get("referred_product"))
    return Content(
        as_text(as_mapping(body.get("text")).get("body")),
        as_id(context.get("id")),
        context.get("forwarded") is True or context.get("frequently_forwarded") is True,
        {"referred_product": product} if product else {},
    )


def _interactive(content: Json, body: Json) -> Content:
    kind = as_word(body.get("type"))
    reply = as_mapping(body.get("reply"))
    if not reply:
        return Content(as_text(as_mapping(body.get("body")).get("text")), extra={"interactive": kind})
    button = {"kind": kind, "id": as_text(reply.get("id")), "description": as_text(reply.get("description"))}
    return Content(as_text(reply.get("text")), extra={"button": {k: v for k, v in button.items() if v}})


def _template(content: Json, body: Json) -> Content:
    name = as_text(body.get("templateName"))
    return Content(extra={"template": name} if name else {})


def _whole(content: Json, body: Json) -> Content:
    return Content(extra={key: as_plain(value) for key, value in content.items() if key in WHOLE})


WHOLE = {"location": "location", "whatsappOrder": "whatsappOrder", "contacts": "contacts"}
"""Types kept as they are, by the member that holds them."""
CONTENTS: Mapping[str, Callable[[Json, Json], Content]] = {
    **dict.fromkeys(WHOLE, _whole),
    "text": _text,
    "whatsappText": _whatsapp_text,
    "interactive": _interactive,
    "hsm": _template,
}
KNOWN = {*KINDS, *CONTENTS}
