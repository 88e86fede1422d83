"""Taken back or changed: written down whether it comes after its message, before it, or in the same breath."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import transaction

from acervo.models import AuditEntry, Connection, MediaFile, Message, Person, Receipt
from acervo.providers.contract import Reading, Revocation
from acervo.providers.meta_cloud.adapter import MetaCloud
from acervo.receive import reader
from tests.receive.test_history import receipt

pytestmark = pytest.mark.django_db

SENT, REVOKED = 1767225600, 1767225700
CUSTOMER, OWN = "15555550142", "15555550100"


def photo(**more: Any) -> dict[str, Any]:
    content = {"id": "900", "mime_type": "image/jpeg", "caption": "primeira"}
    frame = {"from": CUSTOMER, "id": "wamid.1", "timestamp": str(SENT), "type": "image"}
    return {"messages": [{**frame, "image": content, **more}]}


def revoke(at: int = REVOKED) -> dict[str, Any]:
    told = {"original_message_id": "wamid.1"}
    frame = {"from": CUSTOMER, "id": f"wamid.r{at}", "timestamp": str(at), "type": "revoke"}
    return {"messages": [{**frame, "revoke": told}]}


def edit(text: str | None, at: int) -> dict[str, Any]:
    image = {"id": "900", "mime_type": "image/jpeg", **({"caption": text} if text else {})}
    told = {"original_message_id": "wamid.1", "message": {"type": "image", "image": image}}
    frame = {"from": CUSTOMER, "id": f"wamid.e{at}", "timestamp": str(at), "type": "edit"}
    return {"messages": [{**frame, "edit": told}]}


FIRST, SECOND = edit("segunda", SENT + 10), edit("terceira", SENT + 20)


def drain(limit: int) -> None:
    while Receipt.objects.waiting().exists():
        with transaction.atomic():
            reader.drain(limit)


def moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@pytest.mark.parametrize("limit", [1, 200])
@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_in_any_order_the_newest_form_is_shown_and_every_form_is_kept(
    connection: Connection, order: tuple[int, ...], limit: int
) -> None:
    told = [photo(), FIRST, SECOND, revoke()]
    for number in order:
        receipt(connection, told[number])
    receipt(connection, told[order[0]])  # and one of them twice
    drain(limit)
    message = Message.objects.get()
    assert (message.type, message.text, message.sent_at) == ("image", "terceira", moment(SENT))
    assert message.revoked_at == moment(REVOKED)
    assert message.extra["first_text"] == "primeira"
    assert [form["text"] for form in message.extra["edits"]] == ["segunda", "terceira"]
    media = MediaFile.objects.get()
    assert (media.provider_id, media.caption, media.message) == ("900", "terceira", message)
    assert Person.objects.count() == 1
    actions = [entry.action for entry in AuditEntry.objects.filter(subject_type="message")]
    assert sorted(actions) == ["message.edited", "message.edited", "message.revoked"]
    assert not Receipt.objects.unread().exists()


def test_a_caption_that_was_removed_is_gone_from_the_file_and_kept_in_the_message(
    connection: Connection,
) -> None:
    for value in (photo(), edit(None, SENT + 10)):
        receipt(connection, value)
    drain(200)
    assert (MediaFile.objects.get().caption, Message.objects.get().text) == (None, None)
    assert Message.objects.get().extra["first_text"] == "primeira"


def test_a_message_taken_back_before_its_placeholder_and_its_file_ends_as_all_three(
    connection: Connection,
) -> None:
    frame = {"from": CUSTOMER, "id": "wamid.1", "timestamp": str(SENT), "type": "media_placeholder"}
    thread = {"id": CUSTOMER, "messages": [frame]}
    receipt(connection, revoke())
    drain(1)
    assert (Message.objects.get().type, MediaFile.objects.count()) == ("unseen", 0)
    receipt(connection, {"history": [{"threads": [thread]}]}, "history")
    drain(1)
    assert Message.objects.get().type == "media_placeholder"
    receipt(connection, photo(), "history")
    drain(1)
    message = Message.objects.get()
    assert (message.type, message.sent_at, message.revoked_at) == ("image", moment(SENT), moment(REVOKED))
    assert MediaFile.objects.get().provider_id == "900"


def test_an_echo_of_ours_that_was_taken_back_first_stays_ours(connection: Connection) -> None:
    revoked = {"from": OWN, "to": CUSTOMER, "id": "wamid.9", "timestamp": str(REVOKED), "type": "revoke"}
    revoked["revoke"] = {"original_message_id": "wamid.8"}
    shown = {"from": OWN, "to": CUSTOMER, "id": "wamid.8", "timestamp": str(SENT), "type": "text"}
    shown["text"] = {"body": "Segue a proposta"}
    for echo in (revoked, shown):
        receipt(connection, {"message_echoes": [echo]}, "smb_message_echoes")
    drain(1)
    message = Message.objects.get()
    assert (message.direction, message.text, message.revoked_at) == (
        "out",
        "Segue a proposta",
        moment(REVOKED),
    )


def test_a_withdrawal_that_names_nobody_waits_on_its_receipt(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    nameless = Reading((Revocation(connection.account_id, "wamid.1", moment(REVOKED)),))
    monkeypatch.setattr(MetaCloud, "read", lambda self, webhook: nameless)
    kept = receipt(connection, revoke())
    drain(1)
    kept.refresh_from_db()
    assert [part["reason"] for part in kept.unread] == ["its message is not known yet"]
    monkeypatch.undo()
    receipt(connection, photo())
    drain(1)
    monkeypatch.setattr(MetaCloud, "read", lambda self, webhook: nameless)
    Receipt.objects.filter(pk=kept.pk).update(read_at=None)  # read again, as `acervo receipts replay` does
    drain(1)
    kept.refresh_from_db()
    assert kept.unread == []
    assert Message.objects.get().revoked_at == moment(REVOKED)


def test_the_group_of_a_message_is_kept(connection: Connection) -> None:
    receipt(connection, photo(group_id="Y2FwaV9ncm91cDpmaXh0dXJl"))
    drain(1)
    assert Message.objects.get().extra["group_id"] == "Y2FwaV9ncm91cDpmaXh0dXJl"
