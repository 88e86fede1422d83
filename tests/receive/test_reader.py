"""The reader: no receipt, however broken, keeps those behind it waiting."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction

from acervo import journey
from acervo.base import clock
from acervo.management.commands import worker
from acervo.models import Connection, MediaFile, Message, Receipt, Workspace
from acervo.providers.contract import Announcement, Direction, Identity
from acervo.providers.meta_cloud.adapter import MetaCloud
from acervo.receive import announced, reader
from acervo.receive.announced import Announced
from tests.conftest import make_connection


def receipt(connection: Connection, number: int, account_id: str | None = None) -> Receipt:
    message = {
        "id": f"wamid.{number}", "from": "15555550142", "timestamp": "1764072000", "type": "image",
        "image": {"id": str(9000 + number), "mime_type": "image/jpeg"},
    }  # fmt: skip
    metadata = {"phone_number_id": account_id or connection.account_id, "display_phone_number": "15555550100"}
    value = {"messaging_product": "whatsapp", "metadata": metadata, "messages": [message]}
    change = {"field": "messages", "value": value}
    body = {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]}
    return Receipt.objects.create(
        workspace=connection.workspace, connection=connection, received_at=clock.now(),
        body=json.dumps(body).encode(),
    )  # fmt: skip


def drain() -> reader.Drained:
    with transaction.atomic():
        return reader.drain()


@pytest.mark.django_db
def test_a_receipt_that_cannot_be_written_is_listed_and_its_neighbours_are_read(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    receipts = [receipt(connection, number) for number in range(3)]
    write = reader.write

    def chokes(workspace_id: Any, owned: Any) -> Any:
        if any(item.event.message_id == "wamid.1" for item, _ in owned):
            raise UnicodeEncodeError("utf-8", "x", 0, 1, "our fault")
        return write(workspace_id, owned)

    monkeypatch.setattr(reader, "write", chokes)
    drained = drain()
    assert (drained.receipts, len(drained.new_files)) == (3, 2)
    receipts[1].refresh_from_db()
    assert receipts[1].read_at
    assert receipts[1].unread[0]["reason"] == "could not be written down (UnicodeEncodeError)"
    assert not Receipt.objects.waiting().exists()


@pytest.mark.django_db
def test_a_batch_is_bounded_by_bytes_and_yet_the_largest_is_read(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        receipt(connection, number)
    monkeypatch.setattr(reader, "BATCH_BYTES", 10)
    assert [drain().receipts for _ in range(4)] == [1, 1, 1, 0]


@pytest.mark.django_db
def test_a_file_is_announced_although_the_secrets_of_its_number_do_not_open(
    workspace: Workspace, connection: Connection
) -> None:
    other = make_connection(workspace, "meta_cloud", account_id="2")
    Connection.objects.filter(pk=other.pk).update(sealed_secrets=b"of another key")
    receipt(connection, 1, account_id="2")
    receipt(other, 2)
    drained = drain()
    assert (drained.receipts, len(drained.new_files)) == (2, 1)
    assert MediaFile.objects.get().connection == other
    assert Message.objects.count() == 1
    assert not Receipt.objects.waiting().exists()


def item(connection: Connection, **facts: Any) -> Announced:
    sent_at = datetime(2026, 11, 1, tzinfo=UTC)
    event = Announcement("1", "m", Direction.INBOUND, Identity(phone="+15555550142"), sent_at, "image")
    received_at = sent_at + timedelta(days=10)
    return Announced(connection.pk, connection, MetaCloud.capabilities, replace(event, **facts), received_at)


def test_a_file_of_the_past_has_its_days_from_the_offer_and_a_late_webhook_an_hour() -> None:
    number = Connection(options={})
    history, late = item(number, is_history=True), item(number)
    assert announced.fetch_before(history) == history.received_at + timedelta(days=7)
    assert announced.fetch_before(late) == late.received_at + announced.LEAST_PATIENCE


@pytest.mark.django_db(transaction=True)
async def test_the_reader_outlives_a_fault_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def fails_first() -> int:
        calls.append(1)
        if len(calls) == 1:
            raise KeyError("ours")
        return 0

    monkeypatch.setattr(worker, "AWAY_S", 0.0)
    monkeypatch.setattr(worker, "IDLE_S", 0.0)
    monkeypatch.setattr(journey, "read", fails_first)
    reading = asyncio.create_task(worker.read_forever())
    for _ in range(500):
        if len(calls) > 2 or reading.done():
            break
        await asyncio.sleep(0.01)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    assert len(calls) > 2
