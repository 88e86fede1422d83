"""Messages their senders took back or changed, whether or not the message itself has come yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from acervo.base import clock
from acervo.models import Connection, Deed, Direction, MediaFile, Message, OnRevoke
from acervo.providers.contract import Announcement, Capabilities, Revocation
from acervo.receive.announced import RANK, UNSEEN, Announced
from acervo.receive.people import keys

REVOKED = "message.revoked"
ON_REVOKE = "on_revoke"
"""In `Message.extra`: what the number did about it, when it heard that the message was taken back."""
WORDS = ("edits", "first_text")
"""What `extra` repeats of what a message said."""


@dataclass(frozen=True, slots=True, eq=False)
class Withdrawal:
    """One revocation or edit with what is needed to write it down."""

    receipt_id: UUID | None
    account: Connection
    capabilities: Capabilities
    event: Revocation
    received_at: datetime

    def heard_of(self) -> Announced | None:
        """The message it speaks of, as far as it tells: written down like any other, it holds the place until the
        message comes. None where the provider does not say whose chat it is."""
        event = self.event
        if event.sender is None or not keys(event.sender):
            return None
        unseen = Announcement(
            event.account_id, event.message_id, event.direction, event.sender, event.at, UNSEEN
        )
        return Announced(self.receipt_id, self.account, self.capabilities, unseen, self.received_at)


def withdraw(withdrawals: list[Withdrawal]) -> tuple[list[Deed], list[Withdrawal]]:
    """Write them down; what then happens to files says `taken_back`. Returns the deeds, and the withdrawals of messages
    we never heard of. Must run inside a transaction, after the batch's messages are written."""
    deeds: list[Deed] = []
    unknown: list[Withdrawal] = []
    for item in sorted(withdrawals, key=_order):
        found = Message.objects.select_for_update(no_key=True)
        row = found.filter(connection=item.account, provider_id=item.event.message_id[:256]).first()
        if row is None:
            unknown.append(item)
        elif item.event.edited is not None:
            deeds += _edit(row, item.event.at, item.event.edited)
        elif row.revoked_at is None:
            _revoke(row, item)
            deeds.append(Deed(REVOKED, "message", row.pk))
    return deeds, unknown


def _order(item: Withdrawal) -> tuple[UUID, str, datetime]:
    """By the key of the row, so that two writers wait for each other instead of locking crosswise."""
    return (item.account.pk, item.event.message_id, item.event.at)


def _revoke(row: Message, item: Withdrawal) -> None:
    """What the number does about it is settled now, also for what comes late. A company that deletes a message of its own
    does not thereby empty its archive."""
    row.revoked_at = item.event.at
    if row.direction == Direction.INBOUND:
        row.extra = {**row.extra, ON_REVOKE: str(item.account.on_revoke)}
    if is_unsaid(row):
        row.text = None
        row.extra = {name: value for name, value in row.extra.items() if name not in WORDS}
    row.save(update_fields=["revoked_at", "text", "extra"])


def is_unsaid(row: Message) -> bool:
    """Taken back where that means that everything goes."""
    return bool(row.extra.get(ON_REVOKE) == OnRevoke.DELETE)


def _edit(row: Message, at: datetime, form: Announcement) -> list[Deed]:
    """The newest form is the text; every form stays in `extra`, in the order people made them."""
    if is_unsaid(row):
        return []
    edit: dict[str, Any] = {"at": at.isoformat(), "text": form.text}
    edits = row.extra.get("edits", [])
    if edit in edits:
        return []
    first = {} if "first_text" in row.extra or row.type in RANK else {"first_text": row.text}
    edits = sorted([*edits, edit], key=lambda one: str(one["at"]))
    row.extra = {**row.extra, **first, "edits": edits}
    row.text = edits[-1]["text"]
    row.save(update_fields=["text", "extra"])
    MediaFile.objects.filter(message=row).update(caption=row.text, changed_at=clock.now())
    return [Deed("message.edited", "message", row.pk)]
