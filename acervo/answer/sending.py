"""One message leaves, once: it is marked before it goes, and what may have arrived is never repeated by us."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, InterfaceError, OperationalError, transaction

from acervo.answer import statuses, window
from acervo.answer.asking import NumberUnusable, answered, record, refuse_unusable, template_of
from acervo.base import clock, ids
from acervo.base.database import in_thread
from acervo.base.errors import AcervoError, TryLater
from acervo.base.http import media_session
from acervo.keep import credentials
from acervo.models import Connection, Direction, MediaFile, Message, PersonIdentifier, Sending
from acervo.models.sending import TIMED_OUT
from acervo.providers.contract import Identity, Outcome
from acervo.providers.sending import Button, NotSent, Outgoing, OutsideWindow, Sends, Sent

log = logging.getLogger(__name__)

BY: Final = "system:answer"
PATIENCE_S: Final = (5, 15, 60, 300, 900)
"""Seconds before the next try of what was surely not taken, where the provider does not say."""
MOST_TRIES: Final = 10
REASON_LENGTH: Final = 32
PAUSES_S: Final = (0.1, 1.0, 5.0, 15.0, 30.0)


@dataclass(frozen=True, slots=True)
class _Leaving:
    """A message in our hands, marked as tried."""

    id: UUID
    provider: Sends
    message: Outgoing = field(repr=False)


async def send(sending_id: UUID) -> None:
    """Safe to run twice and by two workers at once: whoever marks it sends it. Nothing is raised for what a provider
    answers; what was put off is due again, and the clock looks for it."""
    leaving = await in_thread(_mark, sending_id)
    if leaving is None:
        return
    try:
        async with media_session(settings.ACERVO_ALLOW_PRIVATE_HOSTS, limit=1) as session:
            sent = await leaving.provider.send(session, leaving.message)
    except AcervoError as error:
        await _write_down(_refuse, leaving.id, error)
    except Exception as error:  # noqa: BLE001  (ours, and whether it left nobody knows; its text may quote the message)
        log.error("answer.fault", extra={"sending": ids.text(sending_id), "reason": type(error).__name__})
        await _write_down(_refuse, leaving.id, TryLater(code=TIMED_OUT))
    else:
        await _write_down(_accept, leaving.id, sent)


async def _write_down(what: Callable[..., None], *told: Any) -> None:
    """What cannot be asked for again is written down with patience: the database may be away, or two met crosswise."""
    for pause_s in (*PAUSES_S, None):
        try:
            await in_thread(what, *told)
        except (OperationalError, InterfaceError, IntegrityError):
            if pause_s is None:
                raise
            await asyncio.sleep(pause_s)
        else:
            return


def _mark(sending_id: UUID) -> _Leaving | None:
    """Committed before anything leaves. What cannot go says so instead."""
    with transaction.atomic():
        row = _lock(sending_id)
        if row is None or row.tried_at or row.failed_at or row.due_at > clock.now():
            return None
        try:
            leaving = _prepare(row)
        except AcervoError as error:
            _fail(row, error)
            return None
        row.tried_at, row.attempts = clock.now(), row.attempts + 1
        row.save(update_fields=["tried_at", "attempts"])
        return leaving


def _prepare(row: Sending) -> _Leaving:
    """Raises NumberUnusable, OutsideWindow, NotSent and SealedElsewhere."""
    connection = Connection.objects.get(pk=row.connection_id)
    refuse_unusable(connection)
    chat = row.chat
    if (
        chat.connection_id != connection.pk
        or not chat.workspace_id == connection.workspace_id == row.workspace_id
    ):
        raise NumberUnusable("This chat is not of this number.")
    if row.template is None and not window.is_open(chat.pk):
        raise OutsideWindow()
    provider: Any = credentials.provider(connection)
    if not hasattr(provider, "send"):
        raise NotSent("This provider sends nothing.")
    message = Outgoing(
        to=_identity(chat.person_id),
        text=row.text,
        buttons=tuple(Button(button["id"], button["title"]) for button in row.buttons),
        template=template_of(row.template) if row.template else None,
        reply_to=answered(row),
    )
    return _Leaving(row.pk, provider, message)


def _identity(person_id: UUID) -> Identity:
    """By what they were last known as."""
    known = PersonIdentifier.objects.filter(person=person_id).order_by("id").values_list("kind", "value")
    newest = dict(known)
    kinds = PersonIdentifier.Kind
    return Identity(user_id=newest.get(kinds.USER_ID), phone=newest.get(kinds.PHONE))


def _accept(sending_id: UUID, sent: Sent) -> None:
    """It has its place in the chat, and what was told of it before we knew its id is not lost. In the order in which
    webhooks are written down: messages, files, sendings, the audit trail."""
    with transaction.atomic():
        message = _in_the_chat(Sending.objects.get(pk=sending_id), sent.message_id[:256])
        row = _lock(sending_id)
        if row is None or row.accepted_at:
            return
        row.accepted_at, row.provider_id, row.message = clock.now(), message.provider_id, message
        row.failed_at = row.refusal = row.refused_at = None
        statuses.apply_early(row)
        row.save()
        record(row, "answer.sent", BY)
    log.info("answer.sent", extra={"sending": ids.text(sending_id)})


def _in_the_chat(row: Sending, provider_id: str) -> Message:
    """Its message, which an echo of the provider's may have told before."""
    kind = "template" if row.template else "interactive" if row.buttons else "text"
    extra: dict[str, Any] = {"template": row.template["name"]} if row.template else {}
    if row.buttons:
        extra["buttons"] = [button["title"] for button in row.buttons]
    message = Message(
        workspace_id=row.workspace_id, connection_id=row.connection_id, chat_id=row.chat_id,
        provider_id=provider_id, direction=Direction.OUTBOUND, type=kind, text=row.text,
        sent_at=row.tried_at or clock.now(), reply_to=answered(row), extra=extra,
    )  # fmt: skip
    Message.objects.bulk_create([message], ignore_conflicts=True)
    return Message.objects.get(connection=row.connection_id, provider_id=provider_id)


def _refuse(sending_id: UUID, error: AcervoError) -> None:
    with transaction.atomic():
        row = _lock(sending_id)
        if row is None or row.accepted_at or row.failed_at:
            return
        if not isinstance(error, TryLater):
            _fail(row, error)
        elif was_not_taken(error) and row.attempts < MOST_TRIES:
            _put_off(row, error)
        elif was_not_taken(error):
            _fail(row, error)
        else:
            _leave_unknown(row, error)
    log.info("answer.not_sent", extra={"sending": ids.text(sending_id), "reason": str(error.code)})


def was_not_taken(error: TryLater) -> bool:
    """Whether it is certain that nobody got the message: the provider said that it is too much, or was never reached.
    An error of its server, a silence or a broken line leave it open."""
    is_answered = error.facts.get("http_status") is not None
    return error.code == Outcome.RATE_LIMITED or (error.code == Outcome.UNAVAILABLE and not is_answered)


def _put_off(row: Sending, error: TryLater) -> None:
    wait_s = (
        error.after_s if error.after_s is not None else PATIENCE_S[min(row.attempts, len(PATIENCE_S)) - 1]
    )
    row.tried_at, row.due_at = None, clock.now() + timedelta(seconds=float(wait_s))
    _say_why(row, error)
    row.save()


def _leave_unknown(row: Sending, error: TryLater) -> None:
    _say_why(row, error)
    row.save()
    record(row, "answer.unknown", BY, str(error.code))


def _fail(row: Sending, error: AcervoError) -> None:
    row.failed_at = clock.now()
    _say_why(row, error)
    row.save()
    record(row, "answer.failed", BY, str(error.code))


def _say_why(row: Sending, error: AcervoError) -> None:
    row.refusal, row.refused_at = str(error.code)[:REASON_LENGTH], clock.now()
    row.vendor_code = str(error.facts.get("vendor_code") or "")[:REASON_LENGTH]


def _lock(sending_id: UUID) -> Sending | None:
    """Ours until the transaction ends. Open pages of the file it is about look again."""
    MediaFile.objects.filter(sendings=sending_id).update(changed_at=clock.now())
    found = Sending.objects.select_related("chat").select_for_update(no_key=True, of=("self",))
    return found.filter(pk=sending_id).first()
