"""A customer whose file could not be kept is told so, once a message, where the workspace wants that."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import F

from acervo.answer import asking, window, wording
from acervo.answer.sending import BY
from acervo.base import clock
from acervo.base.errors import Refused
from acervo.models import AnswerPolicy, Direction, MediaFile, Sending, SendingPurpose

PER_RUN: Final = 100
TOLD_AFTER: Final = timedelta(minutes=2)
"""Somebody who asks for the file again at once is faster than an answer that would be wrong."""


def ask_for_all() -> list[UUID]:
    """Ask for what is to be said now; returns the new sendings. Must run inside a transaction, whose caller starts them.
    Safe to run twice: the database lets a message be told once."""
    asked: list[UUID] = []
    for policy in AnswerPolicy.objects.filter(tells_not_taken_since__isnull=False):
        asked += _of_workspace(policy)
    return asked


def _of_workspace(policy: AnswerPolicy) -> list[UUID]:
    at = clock.now()
    lost = (
        MediaFile.objects.lost()
        .filter(
            workspace=policy.workspace_id,
            gone_at__gte=F("workspace__answer_policy__tells_not_taken_since"),
            gone_at__gt=at - window.LASTS,
            gone_at__lte=at - TOLD_AFTER,
            direction=Direction.INBOUND,
            hidden_at=None,
            message__sent_at__gt=at - window.LASTS,
            message__revoked_at=None,
            message__chat_import=None,
            connection__paused_at=None,
            connection__removed_at=None,
        )
        .exclude(message__answered_by__purpose=SendingPurpose.FILE_NOT_TAKEN)
        .select_related("chat")
        .order_by("message_id", "position")
        .distinct("message_id")
    )
    found = (_tell(policy, media) for media in lost[:PER_RUN])
    return [sending.pk for sending in found if sending is not None]


def _tell(policy: AnswerPolicy, media: MediaFile) -> Sending | None:
    language = wording.language_for(media.person_id, media.workspace_id)
    wish = asking.Wish(
        media.chat,
        text=wording.text(policy, SendingPurpose.FILE_NOT_TAKEN, language),
        purpose=SendingPurpose.FILE_NOT_TAKEN,
        media=media,
    )
    try:
        with transaction.atomic():
            return asking.ask(wish, BY)
    except Refused:  # the window closed just now, or somebody told them: then nothing is left to say
        return None
