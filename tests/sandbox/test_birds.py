"""The two simulated birds behave as the vendor does, seen through our own adapters and over real sockets."""

import asyncio
import dataclasses
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from acervo.providers.bird.adapter import Bird
from acervo.providers.contract import (
    AccessLost,
    Announcement,
    Credentials,
    ForgedWebhook,
    Identity,
    MediaGone,
    Outcome,
    ProviderBusy,
    StatusUpdate,
    Webhook,
)
from acervo.providers.messagebird.adapter import MessageBird
from acervo.providers.scripted import local_session
from acervo.providers.sending import Button, Outgoing, Template
from sandbox import bird, messagebird
from sandbox.whatsapp import Customer, Fault
from sandbox.whatsapp.sender import UndeliveredError

MARINA = Customer("Marina <Duarte> & filhos", "15555550142", "US.10000000000000000142", "marina.d")
HIDDEN = Customer("Nilo", None, "US.10000000000000000177", "nilo")
URL = "https://acervo.example.test/hooks/x/01J?b=2&a=1"
SONG = b"OggS" + bytes(range(256)) * 8


def heard(made, url=URL):
    return Webhook("POST", {name.lower(): value for name, value in made.headers.items()}, made.body, url=url)


async def fetched(adapter, session, resolved):
    """As `fetch` asks: redirects are not followed, and headers stay with the hosts that may see them."""
    asked = adapter.download_request(resolved)
    assert "127.0.0.1" in asked.allowed_hosts
    async with session.get(asked.url, headers=asked.headers, allow_redirects=False) as answer:
        body = await answer.read()
        if answer.status != 200:
            raise adapter.download_refusal(answer.status, answer.headers, body)
        return body


@asynccontextmanager
async def at_bird():
    channel = bird.Channel()
    async with bird.BirdServer([channel]) as server, local_session() as session:
        adapter = Bird(
            Credentials(
                channel.channel_id,
                {"access_key": channel.access_key, "signing_key": channel.signing_key},
                {"workspace_id": channel.workspace_id, "organization_id": channel.organization_id},
                api_base=server.base_url,
            )
        )
        async with bird.RemoteBird(server.base_url) as remote:
            yield server, remote, adapter, session


@asynccontextmanager
async def at_messagebird():
    channel = messagebird.Channel()
    async with messagebird.MessageBirdServer([channel]) as server, local_session() as session:
        secrets = {"access_key": channel.access_key, "signing_key": channel.signing_key}
        adapter = MessageBird(Credentials(channel.channel_id, secrets, api_base=server.base_url))
        async with messagebird.RemoteSandbox(server.base_url) as remote:
            yield server, remote, adapter, session


async def bird_file(server, remote, adapter, mime="audio/ogg", **options):
    held = await remote.add(SONG, mime, phone=bird.Channel().as_phone())
    payload = bird.message(MARINA, base_url=server.base_url, files=(held,), **options)
    made = bird.webhook(payload, URL)
    adapter.verify(heard(made))
    (event,) = adapter.read(heard(made)).events
    assert isinstance(event, Announcement)
    return payload, event


async def messagebird_file(server, remote, adapter, mime="audio/ogg", **options):
    held = await remote.add(SONG, mime, phone=messagebird.Channel().as_phone())
    made = messagebird.signed(
        messagebird.message(MARINA, base_url=server.base_url, file=held, **options), URL
    )
    adapter.verify(heard(made))
    (event,) = adapter.read(heard(made)).events
    assert isinstance(event, Announcement)
    return event


async def test_a_file_of_birds_is_signed_announced_redirected_and_fetched():
    async with at_bird() as (server, remote, adapter, session):
        _, event = await bird_file(server, remote, adapter, text="olha")
        resolved = await adapter.resolve(session, event.files[0])
        assert await fetched(adapter, session, resolved) == SONG
        assert resolved.expires_at is not None
        assert abs(resolved.expires_at - datetime.now(UTC) - timedelta(minutes=15)) < timedelta(minutes=1)
        assert event.sender == Identity(MARINA.user_id, phone="+15555550142", username="marina.d")


async def test_birds_store_refuses_a_second_permission_and_a_dead_link():
    async with at_bird() as (server, remote, adapter, session):
        _, event = await bird_file(server, remote, adapter)
        resolved = await adapter.resolve(session, event.files[0])
        async with session.get(resolved.url, headers={"Authorization": "AccessKey x"}) as answer:
            assert (answer.status, "Only one auth mechanism allowed" in await answer.text()) == (400, True)
        await remote.forward(901)
        with pytest.raises(ProviderBusy) as refusal:
            await fetched(adapter, session, resolved)
        assert refusal.value.code == Outcome.URL_DIED
        again = await adapter.resolve(session, event.files[0])
        assert await fetched(adapter, session, again) == SONG
        await remote.forward(31 * 86_400)
        with pytest.raises(MediaGone):
            await adapter.resolve(session, event.files[0])


@pytest.mark.parametrize("place", [at_bird, at_messagebird])
async def test_faults_of_the_plan_reach_the_adapter_in_the_vendors_words(place):
    async with place() as (server, remote, adapter, session):
        if place is at_bird:
            _, event = await bird_file(server, remote, adapter)
        else:
            event = await messagebird_file(server, remote, adapter)
        (file,) = event.files
        for kind, family, code in (
            ("rate_limited", ProviderBusy, Outcome.RATE_LIMITED),
            ("server_error", ProviderBusy, Outcome.UNAVAILABLE),
            ("host_down", ProviderBusy, Outcome.TIMED_OUT),
            ("html", ProviderBusy, Outcome.NOT_MEDIA),
            ("redirect", MediaGone, Outcome.FORBIDDEN_HOST),
            ("gone", MediaGone, Outcome.EXPIRED),
        ):
            await remote.clear_faults()
            await remote.fault(Fault(kind, side="graph"))
            with pytest.raises(family) as refusal:
                await adapter.resolve(session, file)
            assert refusal.value.code == code, kind
            assert refusal.value.facts.get("http_status") != 429 or refusal.value.after_s == 7
        await remote.clear_faults()
        await remote.fault(Fault("altered", count=1))
        assert await fetched(adapter, session, await adapter.resolve(session, file)) != SONG
        await remote.fault(Fault("cut", count=1))
        with pytest.raises(aiohttp.ClientPayloadError):
            await fetched(adapter, session, await adapter.resolve(session, file))
        assert await fetched(adapter, session, await adapter.resolve(session, file)) == SONG
        await remote.revoke(server.state.phones[adapter._credentials.account_id].access_token)
        with pytest.raises(AccessLost):
            await adapter.resolve(session, file)
        assert (await adapter.check(session)).code == Outcome.TOKEN_REVOKED


async def test_what_birds_webhooks_dropped_is_found_in_its_list_with_the_same_events():
    async with at_bird() as (server, remote, adapter, session):
        told = []
        for number in range(230):
            payload = bird.message(
                HIDDEN if number % 2 else MARINA, text=f"oi {number}", at=1_780_000_000 + number
            )
            await remote.say(payload)
            told += adapter.read(heard(bird.webhook(payload, URL))).events
        since = datetime.fromtimestamp(1_780_000_000 + 15, UTC)
        found = [event async for page in adapter.missed(session, since) for event in page.events]
        assert found == list(reversed(told[15:]))
        assert server.statistics.requests["list"] == 3


async def test_bird_takes_messages_and_tells_what_became_of_them():
    async with at_bird() as (_, remote, adapter, session):
        to = Identity(phone="+15555550142")
        sent = await adapter.send(session, Outgoing(to, text="Oi", buttons=(Button("a", "Sim"),)))
        await adapter.send(session, Outgoing(Identity(user_id="US.1"), template=Template("p", "pt-BR")))
        kept = (await remote.desk())["messages"]
        assert next(message["id"] for message in kept) == sent.message_id
        made = bird.webhook(bird.status(kept[0], "delivery_failed", reason="131047"), URL)
        adapter.verify(heard(made))
        events = adapter.read(heard(made)).events
        assert [type(event) for event in events] == [Announcement, StatusUpdate]
        assert (events[1].message_id, events[1].status, events[1].error_code) == (
            sent.message_id,
            "failed",
            "131047",
        )


async def test_bird_is_told_our_address_and_key_and_never_tells_the_key():
    async with at_bird() as (_, remote, adapter, session):
        url = "https://acervo.example.test/hooks/bird/01J"
        for _ in range(2):
            await adapter.register(session, url)
        kept = (await remote.desk())["subscriptions"]
        assert [one["event"] for one in kept] == [
            "whatsapp.inbound",
            "whatsapp.outbound",
            "whatsapp.interaction",
        ]
        assert {one["signingKey"] for one in kept} == {bird.Channel().signing_key}
        assert await adapter.registered(session) == url


@pytest.mark.parametrize("needs_key", [True, False])
async def test_a_file_of_messagebirds_is_fetched_with_and_without_the_key(needs_key):
    async with at_messagebird() as (server, remote, adapter, session):
        await remote._call("POST", "desk", json={"needs_key": needs_key})
        event = await messagebird_file(server, remote, adapter, "application/pdf", text="recibo.pdf")
        assert (event.files[0].file_name, event.text) == ("recibo.pdf", None)
        resolved = await adapter.resolve(session, event.files[0])
        assert resolved.is_open is not needs_key
        assert await fetched(adapter, session, resolved) == SONG


async def test_messagebird_takes_messages_and_our_address():
    async with at_messagebird() as (_, remote, adapter, session):
        sent = await adapter.send(session, Outgoing(Identity(phone="+15555550142"), text="Oi"))
        url = "https://acervo.example.test/hooks/messagebird/01J"
        for _ in range(2):
            await adapter.register(session, url)
        desk = await remote._call("GET", "desk")
        assert [message["id"] for message in desk["sent"]] == [sent.message_id]
        assert [one["url"] for one in desk["webhooks"]] == [url]
        assert await adapter.registered(session) == url
        made = messagebird.signed(messagebird.status(MARINA, sent.message_id, "delivered"), URL)
        adapter.verify(heard(made))
        assert adapter.read(heard(made)).events[-1].status == "delivered"


def test_whoever_serialises_again_breaks_both_signatures():
    for made, adapter in (
        (
            bird.webhook(bird.message(MARINA, text="<b> & ação"), URL),
            Bird(Credentials("c", {"signing_key": bird.Channel().signing_key})),
        ),
        (
            messagebird.signed(messagebird.message(MARINA, text="<b> & ação"), URL),
            MessageBird(Credentials("c", {"signing_key": messagebird.Channel().signing_key})),
        ),
    ):
        adapter.verify(heard(made))
        again = json.dumps(json.loads(made.body), separators=(",", ":"), ensure_ascii=False).encode()
        with pytest.raises(ForgedWebhook):
            adapter.verify(dataclasses.replace(heard(made), body=again))
        with pytest.raises(ForgedWebhook):
            adapter.verify(heard(made, url=URL.replace("b=2&a=1", "a=1&b=2")))


async def test_messagebirds_sender_signs_each_knock_anew():
    tokens = []

    async def hear(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        tokens.append(
            next(line for line in head.splitlines() if line.lower().startswith(b"messagebird-signature-jwt"))
        )
        writer.write(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(hear, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        options = {"first_wait_s": 0.01, "longest_wait_s": 0.01, "give_up_after_s": 0.05}
        async with messagebird.SigningSender(f"http://127.0.0.1:{port}/", **options) as sender:
            with pytest.raises(UndeliveredError):
                await sender.deliver(messagebird.signed(messagebird.message(MARINA, text="oi"), "x"))
    assert len(set(tokens)) == len(tokens) >= 2
