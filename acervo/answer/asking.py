"""A message to a customer is asked for: refused at once where it cannot go, else written down once and sent by a worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, transaction

from acervo.answer import window
from acervo.base import clock, ids
from acervo.base.errors import Refused
from acervo.models import AuditEntry, Chat, Connection, Deed, MediaFile, Message, Sending, SendingPurpose
from acervo.providers.sending import LONGEST_BUTTON, MOST_BUTTONS, Button, OutsideWindow, Template

LONGEST_TEXT: Final = 1024
"""Characters: what every provider takes, with buttons or without."""
LONGEST_NAME: Final = 512
MOST_VALUES: Final = 32
CANCELLED: Final = "cancelled"
NUMBER_PAUSED: Final = "number_paused"
NUMBER_REMOVED: Final = "number_removed"


class TextMissing(Refused):
    """There is nothing to send."""

    code = "text_missing"


class TextTooLong(Refused):
    """The text, or a button, is longer than WhatsApp takes."""

    code = "text_too_long"


class TemplateIncomplete(Refused):
    """A template needs its name and its language."""

    code = "template_incomplete"


class NumberUnusable(Refused):
    """The number is paused or removed, so nothing is sent through it."""

    code = NUMBER_PAUSED


class AlreadyTold(Refused):
    """The customer was already told about this file."""

    code = "already_told"


class TooLate(Refused):
    """It has left already, or somebody else was faster."""

    code = "sending_over"


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to say. `id` is the asker's: the same wish twice is one message."""

    chat: Chat
    text: str | None = field(default=None, repr=False)
    template: Template | None = field(default=None, repr=False)
    buttons: Sequence[Button] = field(default=(), repr=False)
    purpose: str = SendingPurpose.BY_HAND
    media: MediaFile | None = None
    """What it is about; then it answers the message that brought it."""
    id: UUID = field(default_factory=ids.new)


def ask(wish: Wish, by: str) -> Sending:
    """Write it down; the caller starts the job in the same transaction. Raises TextMissing, TextTooLong,
    TemplateIncomplete, NumberUnusable, OutsideWindow and AlreadyTold; then nothing is sent."""
    _refuse_unsayable(wish)
    refuse_unusable(Connection.objects.get(pk=wish.chat.connection_id))
    if wish.template is None and not window.is_open(wish.chat.pk):
        raise OutsideWindow()
    media = wish.media if wish.media is not None and wish.media.chat_id == wish.chat.pk else None
    at = clock.now()
    row = Sending(
        id=wish.id, workspace_id=wish.chat.workspace_id, connection_id=wish.chat.connection_id,
        chat_id=wish.chat.pk, purpose=wish.purpose, text=wish.text, template=_plain(wish.template),
        buttons=[{"id": button.id, "title": button.title} for button in wish.buttons],
        answers_id=media.message_id if media else None, media=media, asked_at=at, asked_by=by, due_at=at,
    )  # fmt: skip
    return _insert(row, by)


def repeat(sending: Sending, by: str) -> Sending:
    """The same once more, because a person says so: it failed, or nobody knows whether it arrived. Raises TooLate, and
    what `ask` raises."""
    if not sending.may_be_repeated:
        raise TooLate()
    refuse_unusable(Connection.objects.get(pk=sending.connection_id))
    if sending.template is None and not window.is_open(sending.chat_id):
        raise OutsideWindow()
    at = clock.now()
    row = Sending(
        workspace_id=sending.workspace_id, connection_id=sending.connection_id, chat_id=sending.chat_id,
        purpose=sending.purpose, text=sending.text, template=sending.template, buttons=sending.buttons,
        answers_id=sending.answers_id, media_id=sending.media_id, repeats=sending, asked_at=at, asked_by=by,
        due_at=at,
    )  # fmt: skip
    return _insert(row, by)


def cancel(sending: Sending, by: str) -> None:
    """Take back what has not left yet. Raises TooLate."""
    at = clock.now()
    with transaction.atomic():
        waiting = Sending.objects.filter(pk=sending.pk, tried_at=None, failed_at=None)
        if not waiting.update(failed_at=at, refusal=CANCELLED, refused_at=at):
            raise TooLate()
        record(sending, "answer.cancelled", by)


def refuse_unusable(connection: Connection) -> None:
    """Raises NumberUnusable for a number that is paused or removed."""
    if connection.removed_at:
        raise NumberUnusable(code=NUMBER_REMOVED)
    if connection.paused_at:
        raise NumberUnusable()


def record(row: Sending, action: str, by: str, reason: str = "") -> None:
    """In the story of the file it is about, else in that of the person."""
    details = {"sending": ids.text(row.pk), "purpose": row.purpose}
    person_id = Chat.objects.values_list("person_id", flat=True).get(pk=row.chat_id)
    about = ("file", row.media_id) if row.media_id else ("person", person_id)
    AuditEntry.objects.record(row.workspace_id, by, [Deed(action, *about, reason, details)])


def template_of(kept: Mapping[str, Any]) -> Template:
    """As it was written down by `ask`."""
    return Template(kept["name"], kept["language"], tuple(kept["values"]), dict(kept["options"]))


def _insert(row: Sending, by: str) -> Sending:
    with transaction.atomic():
        try:
            with transaction.atomic():
                row.save(force_insert=True)
        except IntegrityError as error:
            return _known(row, error)
        record(row, "answer.asked", by)
    return row


def _known(row: Sending, error: IntegrityError) -> Sending:
    """Somebody pressed twice: what was written down first is what they wanted."""
    told = str(error)
    if "message_is_told_once" in told:
        raise AlreadyTold() from error
    same = Sending.objects.filter(chat=row.chat_id)
    found = (
        same.filter(repeats=row.repeats_id) if "sending_is_repeated_once" in told else same.filter(pk=row.pk)
    )
    first = found.first()
    if first is None:  # another chat's: an id is nobody's to choose twice
        raise TooLate() from error
    return first


def _refuse_unsayable(wish: Wish) -> None:
    if (wish.text is None) == (wish.template is None):
        raise TextMissing()
    if wish.text is not None and not wish.text.strip():
        raise TextMissing()
    if any(not button.title.strip() for button in wish.buttons):
        raise TextMissing()
    longest = max((len(button.title) for button in wish.buttons), default=0)
    if len(wish.text or "") > LONGEST_TEXT or longest > LONGEST_BUTTON or len(wish.buttons) > MOST_BUTTONS:
        raise TextTooLong()
    if wish.template is not None:
        _refuse_incomplete(wish.template)


def _refuse_incomplete(template: Template) -> None:
    if not template.name.strip() or not template.language.strip():
        raise TemplateIncomplete()
    said = (template.name, template.language, *template.values)
    if any(len(word) > LONGEST_TEXT for word in said) or len(template.name) > LONGEST_NAME:
        raise TextTooLong()
    if len(template.values) > MOST_VALUES:
        raise TextTooLong()


def _plain(template: Template | None) -> dict[str, Any] | None:
    if template is None:
        return None
    return {
        "name": template.name,
        "language": template.language,
        "values": list(template.values),
        "options": dict(template.options),
    }


def answered(row: Sending) -> str | None:
    """The provider's id of the message it answers; none for one that only a chat export told of."""
    if row.answers_id is None:
        return None
    found = Message.objects.filter(pk=row.answers_id, chat=row.chat_id, chat_import=None)
    return found.values_list("provider_id", flat=True).first()
