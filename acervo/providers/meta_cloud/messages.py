"""One message, of any type, in either direction, live or from history."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from acervo.base import clock
from acervo.providers.contract import (
    AccountEvent,
    AnnouncedFile,
    Announcement,
    Direction,
    Identity,
    Kind,
    Revocation,
    Unread,
)
from acervo.providers.meta_cloud import files
from acervo.providers.meta_cloud.accounts import read_error
from acervo.providers.meta_cloud.frame import Frame, each, error_codes
from acervo.providers.meta_cloud.identity import change_in_system_message, identity
from acervo.providers.parts import Part, Unreadable
from acervo.providers.untrusted import (
    as_count,
    as_id,
    as_mapping,
    as_moment,
    as_phone,
    as_plain,
    as_text,
    as_word,
)

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Content:
    """What a message says, besides its files."""

    text: str | None = None
    reply_to: str | None = None
    extra: Json = field(default_factory=dict)


def read_message(message: Json, frame: Frame, pointer: str) -> Iterator[Part]:
    """A message of `messages`: the customer's, except in a history, where it may be our own."""
    yield from _message(message, frame, pointer, thread_id=None, is_echo=False)


def read_echo(message: Json, frame: Frame, pointer: str) -> Iterator[Part]:
    """A message staff typed in the WhatsApp Business app on the same number."""
    yield from _message(message, frame, pointer, thread_id=None, is_echo=True)


def read_history(chunk: Json, frame: Frame, pointer: str) -> Iterator[Part]:
    """A chunk of the 180 days before onboarding. Chunks come in any order."""
    from_errors = error_codes(chunk.get("errors"))
    threads = chunk.get("threads")
    if threads is None and not from_errors:
        raise Unreadable("neither threads nor errors")
    if from_errors:
        yield from each(chunk["errors"], read_error, frame, f"{pointer}/errors")
    if threads is not None:
        yield from each(threads, _read_thread, frame, f"{pointer}/threads")
    if as_count(as_mapping(chunk.get("metadata")).get("progress")) == WHOLE:
        yield AccountEvent(frame.account_id, "history", "info", "history: told to its end", frame.at)


def _read_thread(thread: Json, frame: Frame, pointer: str) -> Iterator[Part]:
    def read(message: Json, frame: Frame, pointer: str) -> Iterator[Part]:
        yield from _message(message, frame, pointer, thread_id=thread.get("id"), is_echo=False)

    yield from each(thread.get("messages"), read, frame, f"{pointer}/messages")


def _message(
    message: Json, frame: Frame, pointer: str, *, thread_id: object, is_echo: bool
) -> Iterator[Part]:
    message_id = as_id(message.get("id"))
    if message_id is None:
        raise Unreadable("no message id")
    type_ = as_text(message.get("type"))
    if type_ is None:
        raise Unreadable("no message type")
    direction = Direction.OUTBOUND if is_echo or _is_own(message, frame) else Direction.INBOUND
    sent_at, is_guessed = moment(message, frame)
    envelope = _Envelope(
        frame=frame,
        message_id=message_id,
        direction=direction,
        customer=_customer(message, frame, direction, thread_id),
        sent_at=sent_at,
        guesses={"sent_at_is_guessed": True} if is_guessed else {},
    )
    if type_ in ("revoke", "edit"):
        yield from _withdrawal(type_, as_mapping(message.get(type_)), envelope, pointer)
        return
    yield from _announce(type_, message, envelope, pointer)
    if type_ == "system":
        system = as_mapping(message.get("system"))
        change = change_in_system_message(
            system, envelope.customer, account_id=frame.account_id, at=envelope.sent_at
        )
        if change is not None:
            yield change


@dataclass(frozen=True, slots=True)
class _Envelope:
    frame: Frame
    message_id: str
    direction: Direction
    customer: Identity
    sent_at: datetime
    guesses: Json


def _announce(type_: str, message: Json, envelope: _Envelope, pointer: str) -> Iterator[Part]:
    found, unread = _files(type_, message, pointer)
    reader = CONTENTS.get(type_)
    if reader is None and type_ not in files.KINDS and not found:
        raise Unreadable("unknown message type")
    content = reader(_object(type_, message), message) if reader else Content()
    yield _announcement(type_, message, envelope, content, found)
    yield from unread


def _announcement(
    type_: str, message: Json, envelope: _Envelope, content: Content, found: tuple[AnnouncedFile, ...]
) -> Announcement:
    context = as_mapping(message.get("context"))
    many_times = context.get("frequently_forwarded") is True
    return Announcement(
        account_id=envelope.frame.account_id,
        message_id=envelope.message_id,
        direction=envelope.direction,
        sender=envelope.customer,
        sent_at=envelope.sent_at,
        type=TYPE_NAMES.get(type_) or _type_name(type_),
        text=content.text,
        files=found,
        reply_to=content.reply_to or as_id(context.get("id")),
        group_id=as_id(message.get("group_id")),
        is_forwarded=many_times or context.get("forwarded") is True,
        is_history=envelope.frame.is_history,
        extra={**_facts(message, context), **content.extra, **envelope.guesses},
    )


def _type_name(type_: str) -> str:
    return (
        type_ if type_ in CONTENTS or (as_word(type_) == type_ and len(type_) <= LONGEST_TYPE) else "unknown"
    )


def _files(type_: str, message: Json, pointer: str) -> tuple[tuple[AnnouncedFile, ...], list[Unread]]:
    """The files of a message, and what could not be read about them."""
    media = message.get(type_)
    media = media if isinstance(media, dict) else {}
    if files.MEDIA_DOWNLOAD_ERROR in error_codes(message.get("errors")):
        return (files.lost(_lost_kind(type_, message), media),), []
    if type_ == PLACEHOLDER:
        return (files.placeholder(),), []
    kind = files.KINDS.get(type_)
    if kind is not None:
        file = files.announced(media, kind)
        if file is None:
            return (), [Unread(f"{pointer}/{type_}", as_word(type_), "a file without a usable id")]
        return (file,), []
    if type_ not in CONTENTS and as_text(media.get("mime_type")):
        # A type we do not know that carries a file all the same. Its id dies in seven days: take it now.
        file = files.announced(media, _kind_of_mime(media))
        unread = Unread(pointer, as_word(type_), "unknown message type; its file is taken")
        return ((file,), [unread]) if file else ((), [])
    return (), []


def _withdrawal(type_: str, body: Json, envelope: _Envelope, pointer: str) -> Iterator[Part]:
    """Coexistence numbers tell of messages taken back (within two days) or edited (within 15 minutes); an edit of a
    caption sends the file anew."""
    original = as_id(body.get("original_message_id"))
    if original is None:
        raise Unreadable("no original message id")
    edited: Announcement | None = None
    if type_ == "edit":
        message = as_mapping(body.get("message"))
        new_type = as_text(message.get("type"))
        if new_type is None or new_type in ("edit", "revoke"):
            raise Unreadable("an edit without its new form")
        about_original = replace(envelope, message_id=original)
        for part in _announce(new_type, message, about_original, f"{pointer}/edit/message"):
            if isinstance(part, Announcement):
                edited = part
            else:
                yield part
        if edited is None:
            raise Unreadable("an edit without its new form")
    yield Revocation(
        envelope.frame.account_id, original, envelope.sent_at, edited, envelope.customer, envelope.direction
    )


def moment(message: Json, frame: Frame) -> tuple[datetime, bool]:
    """When it was sent, and whether that had to be guessed: a file is not given up for want of a date."""
    told = as_moment(message.get("timestamp")) or frame.at
    return (told, False) if told else (clock.now(), True)


def _is_own(message: Json, frame: Frame) -> bool:
    if not frame.is_history:
        return False
    if message.get("to") or message.get("to_user_id"):
        return True
    return frame.own_digits is not None and (as_phone(message.get("from")) or "")[1:] == frame.own_digits


def _customer(message: Json, frame: Frame, direction: Direction, thread_id: object) -> Identity:
    side = "from" if direction is Direction.INBOUND else "to"
    number, user_id = message.get(side), message.get(f"{side}_user_id")
    if not number and not user_id:
        number = thread_id
    found = identity(number, user_id, message.get(f"{side}_parent_user_id"), frame.contacts)
    if found is None:
        system = as_mapping(message.get("system"))
        found = identity(system.get("wa_id"), system.get("user_id"), None, frame.contacts)
    if found is None:
        raise Unreadable("nobody is named as sender" if side == "from" else "nobody is named as recipient")
    return found


def _lost_kind(type_: str, message: Json) -> Kind:
    claimed = as_text(as_mapping(message.get("unsupported")).get("type")) or ""
    return files.KINDS.get(type_) or files.KINDS.get(claimed) or Kind.DOCUMENT


def _kind_of_mime(media: Json) -> Kind:
    main = (files.mime_type(media.get("mime_type")) or "").partition("/")[0]
    return files.KINDS.get(main, Kind.DOCUMENT)


def _object(type_: str, message: Json) -> Json:
    return as_mapping(message.get(type_))


def _facts(message: Json, context: Json) -> dict[str, Any]:
    """Facts any type of message may carry."""
    history = as_mapping(message.get("history_context"))
    facts = {
        "referral": as_plain(message.get("referral")),
        "referred_product": as_plain(context.get("referred_product")),
        "origin": as_text(message.get("origin")),
        "identity": as_plain(message.get("identity")),
        "errors": list(error_codes(message.get("errors"))),
        "many_forwards": context.get("frequently_forwarded") is True,
        "history_status": as_text(history.get("status")),
    }
    return {name: fact for name, fact in facts.items() if fact}


def _media(body: Json, message: Json) -> Content:
    said = body.get("voice")
    return Content(as_text(body.get("caption")), extra={"voice": said} if isinstance(said, bool) else {})


def _text(body: Json, message: Json) -> Content:
    return Content(as_text(body.get("body")))


def _system(body: Json, message: Json) -> Content:
    return Content(as_text(body.get("body")), extra={"system": as_word(body.get("type"))})


def _reaction(body: Json, message: Json) -> Content:
    # A withdrawn reaction has no emoji (Meta's page) or an empty one (seen in pywa's data).
    emoji = as_text(body.get("emoji"))
    extra: Json = {"reaction": emoji} if emoji else {"reaction_removed": True}
    return Content(emoji, as_id(body.get("message_id")), extra)


def _button(body: Json, message: Json) -> Content:
    """A quick reply of a template. The payload binds consent."""
    return Content(
        as_text(body.get("text")), extra={"button": {"kind": "button", "id": as_text(body.get("payload"))}}
    )


def _interactive(body: Json, message: Json) -> Content:
    kind = as_text(body.get("type")) or ""
    answer = as_mapping(body.get(kind))
    if kind == "nfm_reply":
        return Content(as_text(answer.get("body")), extra={"flow": as_plain(answer)})
    return Content(
        as_text(answer.get("title")), extra={"button": {"kind": as_word(kind), **as_plain(answer)}}
    )


def _whole(name: str, text: str | None = None) -> Callable[[Json, Json], Content]:
    """Keep the object as it is; `text` names the member a person would read."""

    def read(body: Json, message: Json) -> Content:
        said = as_text(body.get(text)) if text else None
        return Content(said, extra={name: as_plain(message.get(name))})

    return read


def _unsupported(body: Json, message: Json) -> Content:
    return Content(extra={"unsupported": as_word(body.get("type"))} if body.get("type") else {})


def _placeholder(body: Json, message: Json) -> Content:
    """A file of the history. Meta sends it later, under the same message id, if it is younger than 14 days."""
    return Content()


PLACEHOLDER = "media_placeholder"
WHOLE = 100
"""Percent of the history, in the last chunk of its last phase; other chunks may still arrive after it."""
CONTENTS: Mapping[str, Callable[[Json, Json], Content]] = {
    **dict.fromkeys(files.KINDS, _media),
    "text": _text,
    "location": _whole("location", "name"),
    "contacts": _whole("contacts"),
    "interactive": _interactive,
    "button": _button,
    "reaction": _reaction,
    "order": _whole("order", "text"),
    "system": _system,
    "unsupported": _unsupported,
    PLACEHOLDER: _placeholder,
}
TYPE_NAMES = {"voice": "audio"}
LONGEST_TYPE = 32
"""Characters; what our column holds."""
