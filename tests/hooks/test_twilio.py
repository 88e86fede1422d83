"""A simulated Twilio knocks at the real door: journalled, read, captured and proven, and found again when it did not knock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from asgiref.sync import sync_to_async

from acervo import journey
from acervo.base import clock, ids
from acervo.base.database import conninfo
from acervo.fetch.capture import capture_due
from acervo.hooks.app import HookApp
from acervo.keep import credentials, vault
from acervo.models import Connection, MediaFile, Message, Receipt, Workspace
from acervo.receive.journal import Journal
from sandbox import samples
from sandbox.twilio import Account, TwilioServer, message, status, webhook
from sandbox.twilio.messages import signed
from sandbox.twilio.server import DESK
from sandbox.whatsapp import Customer, Fault
from sandbox.whatsapp.messages import SignedWebhook
from tests.conftest import make_connection

pytestmark = pytest.mark.django_db(transaction=True)

ACCOUNT = Account()
MARINA = Customer("Marina Duarte", phone="15555550142", user_id="US.10000000000000000142")
BODY, MIME = samples.read("voz-entrega.ogg")


@pytest.fixture
async def twilio() -> AsyncIterator[TwilioServer]:
    async with TwilioServer([ACCOUNT]) as server:
        yield server


@pytest.fixture
def sender(workspace: Workspace, twilio: TwilioServer) -> Connection:
    return make_connection(
        workspace, "twilio", purpose="provider", account_id=ACCOUNT.number, api_base=twilio.base_url,
        secrets={"auth_token": ACCOUNT.auth_token}, options={"account_sid": ACCOUNT.account_sid},
    )  # fmt: skip


class Door:
    """The app with its real journal."""

    def __init__(self, sender: Connection, base_url: str, journal: Journal) -> None:
        self.path = f"/hooks/twilio/{ids.text(sender.pk)}"
        self.url = base_url + self.path
        self._app = HookApp(journal)

    async def knock(self, made: SignedWebhook) -> int:
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": made.body}

        async def send(event: Any) -> None:
            sent.append(event)

        headers = [(name.lower().encode(), value.encode()) for name, value in made.headers.items()]
        scope = {"type": "http", "method": "POST", "path": self.path, "query_string": b"", "headers": headers}
        await self._app(scope, receive, send)
        return int(sent[0]["status"])


@pytest.fixture
async def door(sender: Connection, settings: Any) -> AsyncIterator[Door]:
    settings.ACERVO_BASE_URL = "https://archive.example.test"
    journal = Journal(await sync_to_async(conninfo)())
    await journal.open()
    yield Door(sender, settings.ACERVO_BASE_URL, journal)
    await journal.close()


def spoken(twilio: TwilioServer, **options: Any) -> dict[str, Any]:
    """A voice note that Twilio holds and lists."""
    held = twilio.shelf.announce(twilio.shelf.add(BODY, MIME, phone=ACCOUNT.as_phone()))
    made = message(MARINA, account=ACCOUNT, base_url=twilio.base_url, files=(held,), **options)
    twilio._runner.app[DESK].said[made["said"]["MessageSid"]] = made
    return made


async def read_everything() -> None:
    while await sync_to_async(journey.read, thread_sensitive=False)():
        pass


async def test_a_voice_note_is_journalled_read_captured_and_proven(twilio: TwilioServer, door: Door) -> None:
    made = spoken(twilio, text="ouça")
    knock = webhook(made, door.url, account=ACCOUNT)
    assert [await door.knock(knock) for _ in range(3)] == [200, 200, 200]
    await read_everything()
    await capture_due(lambda files: None, concurrency=4)
    media = await MediaFile.objects.select_related("person", "message").aget()
    assert (media.kind, media.size_bytes, media.announced_sha256) == ("voice", len(BODY), None)
    assert await vault.read_all(media) == BODY
    assert media.message.sent_at == (await Receipt.objects.order_by("id").afirst()).received_at
    assert twilio.statistics.refusals == {}


async def test_a_stranger_and_another_accounts_token_are_refused(twilio: TwilioServer, door: Door) -> None:
    made = spoken(twilio)
    stranger = Account(auth_token="another-token-0123456789")
    assert await door.knock(webhook(made, door.url, account=stranger)) == 401
    assert await door.knock(webhook(made, door.url + "x", account=ACCOUNT)) == 401
    assert not await Receipt.objects.aexists()


async def test_a_message_to_a_number_that_is_not_connected_is_listed_and_starts_nothing(
    twilio: TwilioServer, door: Door
) -> None:
    made = spoken(twilio)
    said = {**made["said"], "To": "whatsapp:+15555550199"}
    assert await door.knock(signed(said, door.url, account=ACCOUNT)) == 200
    await read_everything()
    receipt = await Receipt.objects.aget()
    assert [part["reason"] for part in receipt.unread] == ["unknown_account"]
    assert not await MediaFile.objects.aexists()


async def test_trouble_on_the_way_costs_no_file(twilio: TwilioServer, door: Door) -> None:
    for kind, side in (("gone", "graph"), ("server_error", "graph"), ("url_died", "media"), ("cut", "media")):
        twilio.plan.add(Fault(kind, side=side, count=1))
    await door.knock(webhook(spoken(twilio), door.url, account=ACCOUNT))
    await read_everything()
    for _ in range(5):
        await MediaFile.objects.aupdate(due_at=clock.now())
        await capture_due(lambda files: None, concurrency=1)
    media = await MediaFile.objects.select_related("person").aget()
    assert await vault.read_all(media) == BODY


async def test_what_was_never_told_is_found_in_the_list_and_is_the_same(
    twilio: TwilioServer, door: Door, sender: Connection
) -> None:
    told, dropped = spoken(twilio), spoken(twilio)
    await door.knock(webhook(told, door.url, account=ACCOUNT))
    await read_everything()
    adapter: Any = await sync_to_async(credentials.provider)(sender)
    async with aiohttp.ClientSession() as session:
        since = clock.now() - timedelta(hours=1)
        found = [event async for page in adapter.missed(session, since) for event in page.events]
    sids = {made["said"]["MessageSid"] for made in (told, dropped)}
    assert {event.message_id for event in found} == sids
    known = await Message.objects.aget()
    file = await MediaFile.objects.aget()
    (same,) = [event for event in found if event.message_id == known.provider_id]
    assert [one.provider_id for one in same.files] == [file.provider_id]
    assert same.sender.phone == "+15555550142"


async def test_a_status_of_ours_and_the_debugger_are_read_without_a_word_left_over(
    twilio: TwilioServer, door: Door
) -> None:
    sent = {"sid": "SM" + "0" * 32, "to": "whatsapp:+15555550142", "from": f"whatsapp:{ACCOUNT.number}", "account_sid": ACCOUNT.account_sid}  # fmt: skip
    debugger = {
        "AccountSid": ACCOUNT.account_sid, "Sid": "NO" + "0" * 32, "Level": "ERROR", "PayloadType": "application/json",
        "Payload": '{"error_code": "63019", "resource_sid": "MM1"}', "Timestamp": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    for said in (status(sent, "delivered"), debugger):
        assert await door.knock(signed(said, door.url, account=ACCOUNT)) == 200
    await read_everything()
    assert not await Receipt.objects.unread().aexists()
