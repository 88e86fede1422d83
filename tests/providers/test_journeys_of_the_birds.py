"""Bird and MessageBird from the knock to the vault: the real door, journal, reader and capture over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings

from acervo import journey
from acervo.base import clock, ids
from acervo.base.database import conninfo
from acervo.fetch.capture import capture_due
from acervo.hooks.app import HookApp
from acervo.keep import vault
from acervo.models import Connection, MediaFile, Message, Receipt, Workspace
from acervo.receive.journal import Journal
from sandbox import bird, messagebird, samples
from sandbox.people import EVERYONE
from sandbox.whatsapp import Fault
from sandbox.whatsapp.messages import SignedWebhook
from tests.conftest import make_connection

pytestmark = pytest.mark.django_db(transaction=True)

BIRD, MESSAGEBIRD = bird.Channel(), messagebird.Channel()
VOICE, MIME = samples.read("voz-entrega.ogg")
Knock = Callable[[str, SignedWebhook], Awaitable[int]]


@pytest.fixture
async def knock(db: None) -> AsyncIterator[Knock]:
    """`await knock(url, webhook)`: what the provider is answered."""
    journal = Journal(await sync_to_async(conninfo)())
    await journal.open()
    app = HookApp(journal)

    async def post(url: str, webhook: SignedWebhook) -> int:
        parts = urlsplit(url)
        scope = {
            "type": "http", "method": "POST", "path": parts.path, "raw_path": parts.path.encode(),
            "query_string": parts.query.encode(),
            "headers": [(k.lower().encode(), v.encode()) for k, v in webhook.headers.items()],
        }  # fmt: skip
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": webhook.body, "more_body": False}

        async def send(event: Any) -> None:
            sent.append(event)

        await app(scope, receive, send)
        return int(sent[0]["status"])

    yield post
    await journal.close()


def connect(workspace: Workspace, kind: str, base: str) -> tuple[Connection, str]:
    channel = BIRD if kind == "bird" else MESSAGEBIRD
    connection = make_connection(
        workspace,
        kind,
        purpose="provider",
        account_id=channel.channel_id,
        api_base=base,
        secrets={"access_key": channel.access_key, "signing_key": channel.signing_key},
        options={"workspace_id": BIRD.workspace_id} if kind == "bird" else {},
    )
    return connection, f"{settings.ACERVO_BASE_URL}/hooks/{kind}/{ids.text(connection.pk)}?tenant=7&a=%20b"


async def read_and_capture() -> None:
    while await sync_to_async(journey.read, thread_sensitive=False)():
        pass
    await MediaFile.objects.awaited().aupdate(due_at=clock.now())
    await capture_due(lambda files: None, concurrency=8)


@pytest.mark.parametrize("trouble", [None, "cut", "url_died", "server_error"])
async def test_a_file_of_birds_is_kept_even_when_its_first_try_fails(
    workspace: Workspace, knock: Knock, trouble: str | None
) -> None:
    async with bird.BirdServer([BIRD]) as server:
        _, url = await sync_to_async(connect)(workspace, "bird", server.base_url)
        held = server.shelf.announce(server.shelf.add(VOICE, MIME, phone=BIRD.as_phone()))
        said = bird.message(EVERYONE[0], base_url=server.base_url, files=(held,))
        for _ in range(2):
            assert await knock(url, bird.webhook(said, url)) == 200
        if trouble:
            server.plan.add(Fault(trouble, count=1))
        await read_and_capture()
        await read_and_capture()
    media = await MediaFile.objects.aget()
    assert (media.kind, media.stored_at is not None, media.url) == ("voice", True, None)
    assert await vault.read_all(media) == VOICE
    assert (await Message.objects.aget()).extra["wamid"].startswith("wamid.")
    if trouble is None:
        assert server.statistics.requests["lookup"] == server.statistics.requests["download"] == 1
    assert not server.statistics.refusals["two_permissions"]


@pytest.mark.parametrize("trouble", [None, "cut", "server_error"])
async def test_a_file_of_messagebirds_is_kept_even_when_its_first_try_fails(
    workspace: Workspace, knock: Knock, trouble: str | None
) -> None:
    async with messagebird.MessageBirdServer([MESSAGEBIRD]) as server:
        _, url = await sync_to_async(connect)(workspace, "messagebird", server.base_url)
        held = server.shelf.announce(server.shelf.add(VOICE, MIME, phone=MESSAGEBIRD.as_phone()))
        said = messagebird.message(EVERYONE[0], base_url=server.base_url, file=held)
        for _ in range(2):
            assert await knock(url, messagebird.signed(said, url)) == 200
        if trouble:
            server.plan.add(Fault(trouble, count=1))
        await read_and_capture()
        await read_and_capture()
    media = await MediaFile.objects.aget()
    assert (media.kind, media.stored_at is not None) == ("audio", True)
    assert await vault.read_all(media) == VOICE


async def test_a_revoked_key_pauses_the_connection_and_costs_no_file(
    workspace: Workspace, knock: Knock
) -> None:
    async with bird.BirdServer([BIRD]) as server:
        connection, url = await sync_to_async(connect)(workspace, "bird", server.base_url)
        held = server.shelf.announce(server.shelf.add(VOICE, MIME, phone=BIRD.as_phone()))
        await knock(
            url, bird.webhook(bird.message(EVERYONE[0], base_url=server.base_url, files=(held,)), url)
        )
        server.state.revoke(BIRD.access_key)
        await read_and_capture()
        await connection.arefresh_from_db()
        assert connection.pause_reason == "token_revoked"
        server.state.restore(BIRD.access_key)
        await sync_to_async(connection.resume)()
        await read_and_capture()
    assert (await MediaFile.objects.aget()).stored_at is not None


async def test_a_signature_for_another_address_or_host_is_refused_and_noted(
    workspace: Workspace, knock: Knock
) -> None:
    for kind in ("bird", "messagebird"):
        _, url = await sync_to_async(connect)(workspace, kind, "http://127.0.0.1:9")
        for other in (
            url.replace("tenant=7", "tenant=8"),
            url.partition("?")[0],
            f"https://attacker.test{urlsplit(url).path}",
        ):
            if kind == "bird":
                forged = bird.webhook(bird.message(EVERYONE[0], text="oi"), other)
            else:
                forged = messagebird.signed(messagebird.message(EVERYONE[0], text="oi"), other)
            assert await knock(url, forged) == 401
    assert not await Receipt.objects.aexists()


async def test_another_channels_message_at_our_door_is_listed_and_nothing_of_it_written(
    workspace: Workspace, knock: Knock
) -> None:
    _, url = await sync_to_async(connect)(workspace, "bird", "http://127.0.0.1:9")
    other = bird.Channel(channel_id="22222222-2222-4222-8222-000000000000")
    said = bird.message(EVERYONE[0], channel=other, text="oi")
    assert await knock(url, bird.webhook(said, url)) == 200
    await read_and_capture()
    assert not await Message.objects.aexists()
    assert (await Receipt.objects.aget()).unread[0]["reason"] == "unknown_account"
