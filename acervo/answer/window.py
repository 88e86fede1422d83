"""The 24 hours after a customer wrote, in which WhatsApp lets us answer in our own words."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db.models import Max

from acervo.base import clock
from acervo.models import Direction, Message

LASTS: Final = timedelta(hours=24)
NOT_SAID: Final = ("unseen", "system")
"""Types of messages that we only heard of, or that WhatsApp itself wrote into the chat."""


def closes_at(chat_id: UUID) -> datetime | None:
    """When the window of a chat closes, or closed; None where the customer never wrote to this number."""
    return of_chats([chat_id]).get(chat_id)


def of_chats(chats: Collection[UUID]) -> dict[UUID, datetime]:
    """Of each the moment its window closes. What a chat export claims opens none, nor does a clock that runs ahead."""
    said = Message.objects.filter(
        chat__in=chats, direction=Direction.INBOUND, chat_import=None, sent_at__lte=clock.now()
    ).exclude(type__in=NOT_SAID)
    return {chat: at + LASTS for chat, at in said.values_list("chat").annotate(Max("sent_at")).order_by()}


def is_open(chat_id: UUID) -> bool:
    """At the very end of the 24 hours it is closed: the provider's clock may be ahead of ours."""
    closing = closes_at(chat_id)
    return closing is not None and clock.now() < closing
