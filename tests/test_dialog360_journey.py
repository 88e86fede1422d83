"""Whole journeys through 360dialog: registered by its API, knocking without a signature, fetched below its block."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from asgiref.sync import sync_to_async

from acervo import journey
from acervo.base.database import conninfo, in_thread
from acervo.fetch.capture import capture_due
from acervo.govern import connections, registration
from acervo.hooks.app import HookApp
from acervo.keep import vault
from acervo.models import AuditEntry, Connection, MediaFile, Receipt, Workspace
from acervo.receive.journal import Journal
from sandbox import samples
from sandbox.dialog360 import Dialog360Sandbox, Number, headed
from sandbox.people import EVERYONE
from sandbox.whatsapp import Announced, message, webhook

pytestmark = pytest.mark.django_db(transaction=True)

NUMBER = Number()


@pytest.fixture
async def vendor() -> AsyncIterator[Dialog360Sandbox]:
    async with Dialog360Sandbox() as running:
        yield running


@pytest.fixture
async def connection(workspace: Workspace, vendor: Dialog360Sandbox) -> Connection:
    made = await in_thread(
        lambda: connections.connect(
            workspace, kind="dialog360", name="Suporte", account_id=NUMBER.phone_number_id,
            secrets={"api_key": NUMBER.access_token}, api_base=vendor.base_url, by="test",
        )
    )  # fmt: skip
    await registration.register(made, by="test")
    return made


@pytest.fixture
async def app() -> AsyncIterator[HookApp]:
    journal = Journal(await sync_to_async(conninfo)())
    await journal.open()
    yield HookApp(journal)
    await journal.close()


async def knock(app: HookApp, vendor: Dialog360Sandbox, *files: Announced) -> int:
    """As 360dialog does: at the registered address, showing the registered headers."""
    told = vendor.registered[NUMBER.phone_number_id]
    items = [message(EVERYONE[number % 9], file=file) for number, file in enumerate(files)]
    body, headers = headed(webhook(items, phone=NUMBER), told["headers"])
    scope = {
        "type": "http", "method": "POST", "path": urlsplit(told["url"]).path, "query_string": b"",
        "headers": [(k.lower().encode(), v.encode()) for k, v in headers.items()],
    }  # fmt: skip
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(event: Any) -> None:
        sent.append(event)

    await app(scope, receive, send)
    return int(sent[0]["status"])


async def read_everything() -> None:
    while await sync_to_async(journey.read, thread_sensitive=False)():
        pass


async def test_a_voice_note_is_kept_and_no_secret_is_on_its_receipt(
    app: HookApp, vendor: Dialog360Sandbox, connection: Connection
) -> None:
    body, mime = samples.read("voz-entrega.ogg")
    announced = vendor.shelf.announce(vendor.shelf.add(body, mime, phone=NUMBER))
    assert await knock(app, vendor, announced) == 200
    await read_everything()
    assert await capture_due(lambda files: None, concurrency=4) == 1
    media = await MediaFile.objects.select_related("person").aget()
    assert media.kind == "voice"
    assert await vault.read_all(media) == body
    assert await registration.is_registered(connection)
    kept = str(await sync_to_async(lambda: list(Receipt.objects.values("headers")))())
    kept += str(await sync_to_async(lambda: list(AuditEntry.objects.values("reason", "details")))())
    told = vendor.registered[NUMBER.phone_number_id]
    for secret in (*told["headers"].values(), told["url"].rpartition("/")[2]):
        assert secret not in kept


async def test_files_that_are_gone_never_trip_the_block(
    app: HookApp, vendor: Dialog360Sandbox, connection: Connection
) -> None:
    body, mime = samples.read("foto-cadeira.jpg")
    dead = [
        Announced(str(number), mime, "ab" * 32, 9, "https://lookaside.fbsbx.com/x") for number in range(9)
    ]
    living = [
        vendor.shelf.announce(media_id) for media_id in vendor.shelf.add_copies(body, mime, 3, phone=NUMBER)
    ]
    assert await knock(app, vendor, *dead, *living) == 200
    await read_everything()
    hours = 0
    while await MediaFile.objects.awaited().aexists():
        assert hours < 24, "the breaker never closes"
        await capture_due(lambda files: None, concurrency=8)
        hours += 1
        vendor.shelf.forward(3601)
        await Connection.objects.filter(pk=connection.pk).aupdate(breaker_open_until=None, failures=[])
    assert vendor.block.tripped == vendor.block.refused == 0
    assert await MediaFile.objects.kept().acount() == len(living)
    assert await MediaFile.objects.lost().acount() == len(dead)
    assert vendor.statistics.requests["lookup"] == len(dead) + len(living), (
        "an expired id was asked for again"
    )
