"""One webhook of Bird is one message or what became of it; a page of its list is many of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from acervo.providers.asking import host_of
from acervo.providers.bird import files
from acervo.providers.bird.errors import OUTSIDE_WINDOW
from acervo.providers.contract import (
    AnnouncedFile,
    Announcement,
    Direction,
    Identity,
    Kind,
    Reading,
    Revocation,
    StatusUpdate,
    Unread,
    UnreadableWebhook,
)
from acervo.providers.parts import Part, Unreadable, guarded, reading
from acervo.providers.sending import OutsideWindow
from acervo.providers.untrusted import (
    as_id,
    as_mapping,
    as_phone,
    as_plain,
    as_sequence,
    as_text,
    as_user_id,
    as_word,
    as_written_moment,
    parse_object,
)

Json = Mapping[str, Any]

SERVICE = "channels"
EVENTS = ("whatsapp.inbound", "whatsapp.outbound", "whatsapp.interaction")
DIRECTIONS = {"incoming": Direction.INBOUND, "outgoing": Direction.OUTBOUND}
LISTS = {"image": "images", "file": "files"}
TAKEN_BACK = "deleted"
STATUSES = {
    "processing": "accepted",
    "scheduled": "accepted",
    "sending_failed": "failed",
    "delivery_failed": "failed",
    "rejected": "failed",
    "skipped": "failed",
    "opened": "read",
}
"""Bird's words in WhatsApp's; others are kept as they are."""
USER_ID, USERNAME, MEDIA_TYPE = "whatsappbsuid", "whatsappusername", "whatsapp.media.type"
"""Names in `meta.extraInformation`, and identifier keys of a contact whose number is hidden (Bird's page on
business-scoped ids, 2026)."""
CONTACT = "contact:"
"""Before Bird's own contact id, for a sender of whom neither a number nor a user id is told."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What a message is read by."""

    account_id: str
    own_hosts: Collection[str]
    """Where Bird keeps files; what we sent ourselves lies elsewhere."""
    received_at: datetime
    """The moment of a message that tells none."""


def read(body: bytes, frame: Frame) -> Reading:
    """Every event of a webhook. Raises UnreadableWebhook when it is not Bird's."""
    payload = parse_object(body)
    event = as_text(payload.get("event"))
    if payload.get("service") != SERVICE or event is None:
        raise UnreadableWebhook("The body is JSON, but not an event of Bird's Channels API.")
    return reading(_parts(payload.get("payload"), event, frame))


def page(messages: Sequence[Any], frame: Frame) -> Reading:
    """Every message of one page of Bird's list, with the ids a webhook would have told."""
    return reading(
        part
        for index, message in enumerate(messages)
        for part in _one(message, frame, f"/results/{index}", "message")
    )


def _parts(payload: object, event: str, frame: Frame) -> Iterator[Part]:
    if event == "whatsapp.interaction":
        yield from guarded(_interaction(as_mapping(payload), frame), "/payload", as_word(event))
        return
    yield from _one(payload, frame, "/payload", event)
    if event not in EVENTS:
        yield Unread("/event", as_word(event), "unknown event; its message is taken")


def _one(message: object, frame: Frame, pointer: str, kind: str) -> Iterator[Part]:
    if not isinstance(message, dict):
        yield Unread(pointer, as_word(kind), "not a message")
        return
    yield from guarded(_message(message, frame, pointer), pointer, as_word(kind))


def _message(message: Json, frame: Frame, pointer: str) -> Iterator[Part]:
    message_id = as_id(message.get("id"))
    direction = DIRECTIONS.get(as_text(message.get("direction")) or "")
    if message_id is None or direction is None:
        raise Unreadable("no message id" if message_id is None else "neither incoming nor outgoing")
    account = as_id(message.get("channelId")) or frame.account_id
    extra = as_mapping(as_mapping(message.get("meta")).get("extraInformation"))
    customer = _customer(message, extra, direction)
    created = as_written_moment(message.get("createdAt"))
    changed = as_written_moment(message.get("lastStatusAt")) or created or frame.received_at
    word = as_word(message.get("status")).lower()
    if direction is Direction.INBOUND and word == TAKEN_BACK:
        yield Revocation(account, message_id, changed, sender=customer, direction=direction)
        return
    envelope = _Envelope(account, message_id, direction, customer, created, extra)
    yield from _announced(message, envelope, frame, pointer)
    if direction is Direction.OUTBOUND and word != "?":
        code = as_word(as_id(message.get("reason")))
        yield StatusUpdate(
            account,
            message_id,
            STATUSES.get(word, word),
            changed,
            error_code=None if code == "?" else code,
            refusal=OutsideWindow.code if code in OUTSIDE_WINDOW else None,
        )


@dataclass(frozen=True, slots=True)
class _Envelope:
    account_id: str
    message_id: str
    direction: Direction
    customer: Identity
    created: datetime | None
    extra: Json


@dataclass(frozen=True, slots=True)
class Content:
    """What a body says, besides its files."""

    type: str
    text: str | None = None
    extra: Json = field(default_factory=dict)


def _announced(message: Json, envelope: _Envelope, frame: Frame, pointer: str) -> Iterator[Part]:
    body = as_mapping(message.get("body"))
    if not body and isinstance(message.get("template"), dict):
        body = {"type": "template", "template": message["template"]}
    type_ = as_text(body.get("type")) or ""
    found = _files(body, envelope)
    reader = CONTENTS.get(type_)
    if reader is None and not found:
        yield Unread(f"{pointer}/body", as_word(type_), "unknown body" if type_ else "no body")
        return
    content = reader(as_mapping(body.get(type_))) if reader else Content("unknown")
    told = [file for file in found if file.refusal or _is_ours(file, envelope, frame)]
    yield Announcement(
        account_id=envelope.account_id,
        message_id=envelope.message_id,
        direction=envelope.direction,
        sender=envelope.customer,
        sent_at=envelope.created or frame.received_at,
        type=_type_name(found[0].kind) if found and reader else content.type,
        text=content.text,
        files=tuple(told),
        reply_to=as_id(as_mapping(message.get("replyTo")).get("id")),
        extra={
            **content.extra,
            **_facts(message),
            **({} if len(told) == len(found) else {"sent_from_elsewhere": True}),
            **({} if envelope.created else {"sent_at_is_guessed": True}),
        },
    )
    if reader is None:
        yield Unread(f"{pointer}/body", as_word(type_), "unknown body; its files are taken")


def _type_name(kind: Kind) -> str:
    """WhatsApp calls a voice note an audio message, as it does a song."""
    return Kind.AUDIO.value if kind is Kind.VOICE else kind.value


def _files(body: Json, envelope: _Envelope) -> list[AnnouncedFile]:
    word = as_text(envelope.extra.get(MEDIA_TYPE))
    lists = [("images", part.get("images")) for part in body.values() if isinstance(part, dict)]
    lists += [("files", part.get("files")) for part in body.values() if isinstance(part, dict)]
    told = [(name, as_mapping(item)) for name, items in lists for item in as_sequence(items)]
    if not told and as_text(body.get("type")) in LISTS:
        told = [(LISTS[body["type"]], {})]  # it was to carry one: people must see that something came
    return [
        files.announced(
            item, name=f"{envelope.message_id[:200]}-{index}", is_picture=name == "images", word=word
        )
        for index, (name, item) in enumerate(told)
    ]


def _is_ours(file: AnnouncedFile, envelope: _Envelope, frame: Frame) -> bool:
    return envelope.direction is Direction.INBOUND or host_of(file.url) in frame.own_hosts


def _facts(message: Json) -> dict[str, Any]:
    """The id WhatsApp itself gave, the only one that means the same at every provider."""
    references = [as_mapping(part).get("platformReference") for part in as_sequence(message.get("parts"))]
    ids = [found for reference in references if (found := as_id(reference))]
    return {"wamid": ids[0]} if ids else {}


def _customer(message: Json, extra: Json, direction: Direction) -> Identity:
    if direction is Direction.INBOUND:
        contact = as_mapping(as_mapping(message.get("sender")).get("contact"))
    else:
        contacts = as_sequence(as_mapping(message.get("receiver")).get("contacts"))
        contact = as_mapping(contacts[0]) if contacts else {}
        extra = {}
    key, value = as_text(contact.get("identifierKey")), as_id(contact.get("identifierValue"))
    user_id = as_id(extra.get(USER_ID)) or (value if key == USER_ID else as_user_id(value))
    phone = None if key in (USER_ID, USERNAME) else as_phone(value)
    username = as_text(extra.get(USERNAME)) or (value if key == USERNAME else None)
    contact_id = as_id(contact.get("id"))
    if user_id is None and phone is None and contact_id is None:
        raise Unreadable("nobody is named")
    return Identity(
        user_id=user_id or (None if phone else f"{CONTACT}{contact_id}"),
        phone=phone,
        name=as_text(as_mapping(contact.get("annotations")).get("name")),
        username=username.removeprefix("@") or None if username else None,
    )


def _interaction(interaction: Json, frame: Frame) -> Iterator[Part]:
    """What a customer did with a message of ours. Not documented in full: a reading receipt is believed, the rest kept."""
    message_id = as_id(interaction.get("messageId"))
    word = as_word(interaction.get("type") or interaction.get("interaction")).lower()
    word = STATUSES.get(word, word)
    at = as_written_moment(interaction.get("createdAt")) or frame.received_at
    if message_id is None or word not in INTERACTIONS:
        raise Unreadable("an interaction that is not a reading receipt")
    yield StatusUpdate(as_id(interaction.get("channelId")) or frame.account_id, message_id, word, at)


INTERACTIONS = frozenset({"read", "delivered", "played"})


def _text(body: Json) -> Content:
    """A tapped button arrives as a plain text with its label; its id only where Bird passes a `postback` on."""
    postback = as_mapping(body.get("postback"))
    button = {"kind": "postback", "id": as_text(postback.get("payload"))}
    said = as_text(body.get("text")) or as_text(postback.get("text"))
    return Content("text", said, {"button": button} if button["id"] else {})


def _picture(body: Json) -> Content:
    return Content("image", as_text(body.get("text")) or as_text(body.get("caption")))


def _file(body: Json) -> Content:
    return Content("document", as_text(body.get("text")) or as_text(body.get("caption")))


def _location(body: Json) -> Content:
    place = as_mapping(body.get("location"))
    return Content("location", as_text(place.get("label")), {"location": as_plain(body)})


def _template(body: Json) -> Content:
    """Which one it was; what stood in its placeholders is not repeated here."""
    names = ("projectId", "version", "locale")
    told = {name: word for name in names if (word := as_word(body.get(name))) != "?"}
    return Content("template", extra={"template": told})


def _whole(type_: str) -> Callable[[Json], Content]:
    def read(body: Json) -> Content:
        return Content(type_, extra={type_: as_plain(body)})

    return read


CONTENTS: Mapping[str, Callable[[Json], Content]] = {
    "text": _text,
    "image": _picture,
    "file": _file,
    "location": _location,
    "template": _template,
    "reaction": _whole("reaction"),
    "contacts": _whole("contacts"),
    "list": _whole("list"),
    "carousel": _whole("carousel"),
}
"""Bodies by type. The place of a caption is not documented: `text` was seen, `caption` is taken, too."""
