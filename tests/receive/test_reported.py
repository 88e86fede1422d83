"""What providers report about accounts is kept once, whoever reads it and however often it is told."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from django.db import transaction

from acervo import journey
from acervo.base import clock
from acervo.base.database import in_thread
from acervo.models import AccountEvent, AuditEntry, Connection, Receipt
from acervo.providers.contract import AccountEvent as Told
from acervo.providers.contract import Reading
from acervo.receive import reader
from tests.conftest import make_connection

AT = 1_764_072_000


def receipt(connection: Connection, *changes: tuple[str, dict[str, Any]], time: int | None = AT) -> Receipt:
    entry: dict[str, Any] = {"id": "1029", "changes": [{"field": f, "value": v} for f, v in changes]}
    if time is not None:
        entry["time"] = time
    body = {"object": "whatsapp_business_account", "entry": [entry]}
    return Receipt.objects.create(
        workspace=connection.workspace, connection=connection, received_at=clock.now(),
        body=json.dumps(body).encode(),
    )  # fmt: skip


BANNED = ("account_update", {"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": "DISABLE"}})
FLAGGED = ("phone_number_quality_update", {"event": "FLAGGED", "current_limit": "TIER_1K"})


def drain() -> None:
    with transaction.atomic():
        reader.drain()


def told_in_audit() -> int:
    return AuditEntry.objects.filter(action="account.event").count()


@pytest.mark.django_db
def test_an_event_is_kept_with_its_facts_and_its_severity(connection: Connection) -> None:
    receipt(connection, BANNED, FLAGGED)
    drain()
    ban, flag = AccountEvent.objects.order_by("type")
    assert (ban.type, ban.severity, ban.connection) == ("account_update", "critical", connection)
    assert ban.facts["waba_ban_state"] == "DISABLE"
    assert ban.at == clock.from_unix(AT)
    assert (flag.severity, flag.facts["current_limit"]) == ("warning", "TIER_1K")
    assert set(AccountEvent.objects.pressing()) == {ban, flag}


@pytest.mark.django_db
def test_a_receipt_read_again_tells_nothing_twice(connection: Connection) -> None:
    pk = receipt(connection, BANNED, time=None).pk
    drain()
    journey.replay_receipts([pk], by="test")
    drain()
    assert (AccountEvent.objects.count(), told_in_audit()) == (1, 1)


@pytest.mark.django_db
def test_a_webhook_the_provider_repeats_tells_nothing_twice(connection: Connection) -> None:
    for _ in range(2):
        receipt(connection, BANNED)
    drain()
    receipt(connection, BANNED)
    drain()
    assert (AccountEvent.objects.count(), told_in_audit()) == (1, 1)


@pytest.mark.django_db
def test_the_same_words_at_another_moment_are_another_event(connection: Connection) -> None:
    receipt(connection, BANNED)
    receipt(connection, BANNED, time=AT + 60)
    drain()
    assert AccountEvent.objects.count() == 2


@pytest.mark.django_db
def test_an_event_about_another_number_is_kept_with_that_number(connection: Connection) -> None:
    other = make_connection(connection.workspace, "meta_cloud", account_id="106500000000002", name="Vendas")
    metadata = {"phone_number_id": other.account_id, "display_phone_number": "15555550102"}
    receipt(connection, ("account_alerts", {"metadata": metadata, "alert_info": {"alert_type": "LIMIT"}}))
    drain()
    assert AccountEvent.objects.get().connection == other


@pytest.mark.django_db
def test_an_address_book_fills_the_audit_trail_alone(connection: Connection) -> None:
    metadata = {"phone_number_id": connection.account_id, "display_phone_number": "15555550100"}
    contact = {
        "type": "contact",
        "contact": {"full_name": "X"},
        "action": "add",
        "metadata": {"timestamp": str(AT)},
    }
    receipt(connection, ("smb_app_state_sync", {"metadata": metadata, "state_sync": [contact]}))
    drain()
    assert (AccountEvent.objects.count(), told_in_audit()) == (0, 1)


@pytest.mark.django_db
def test_what_a_list_tells_is_kept_too(connection: Connection) -> None:
    event = Told(None, "error", "warning", "error 4", facts={"code": 4})
    with transaction.atomic():
        reader.write_reading(connection, Reading((event,)))
    kept = AccountEvent.objects.get()
    assert (kept.type, kept.at) == ("error", kept.received_at)


@pytest.mark.django_db(transaction=True)
async def test_two_readers_that_hear_the_same_write_it_once(connection: Connection) -> None:
    def told() -> None:
        for number in range(20):
            for _ in range(2):
                receipt(connection, BANNED, FLAGGED, time=AT + number)

    await in_thread(told)

    async def read() -> None:
        for _ in range(30):
            if not await in_thread(Receipt.objects.waiting().exists):
                return
            try:
                await in_thread(lambda: journey.read())
            except reader.LATER:
                continue

    await asyncio.gather(read(), read())
    assert await in_thread(AccountEvent.objects.count) == 40
    assert await in_thread(told_in_audit) == 40
