"""The simulated Twilio behaves as the vendor does, seen through our own adapter and over real sockets."""

import asyncio
import sys
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from acervo.providers.contract import (
    AccessLost,
    Credentials,
    Identity,
    Kind,
    MediaGone,
    Outcome,
    ProviderBusy,
    StatusUpdate,
    Webhook,
)
from acervo.providers.scripted import local_session
from acervo.providers.sending import Button, Outgoing
from acervo.providers.twilio import sending
from acervo.providers.twilio.adapter import Twilio
from sandbox import twilio
from sandbox.whatsapp import Customer, Fault, Sender

ACCOUNT = twilio.Account()
MARINA = Customer("Marina <Duarte> & filhos", "15555550142", "US.10000000000000000142", "@marina.d")
HIDDEN = Customer("Nilo", None, "US.10000000000000000177", "nilo")
URL = "https://acervo.example.test/hooks/twilio/01J"
SONG = b"OggS" + bytes(range(256)) * 8


def heard(made, url=URL):
    return Webhook("POST", {name.lower(): value for name, value in made.headers.items()}, made.body, url=url)


@asynccontextmanager
async def at_twilio(**options):
    async with twilio.TwilioServer([ACCOUNT], **options) as server, local_session() as session:
        credentials = Credentials(
            ACCOUNT.number,
            {"auth_token": ACCOUNT.auth_token},
            {"account_sid": ACCOUNT.account_sid},
            api_base=server.base_url,
        )
        async with twilio.RemoteTwilio(server.base_url) as remote:
            yield server, remote, Twilio(credentials), session


async def announced(server, remote, adapter, customer=MARINA, mime="audio/ogg; codecs=opus", **options):
    """One file that Twilio holds, as its webhook announces it."""
    held = await remote.add(SONG, mime, phone=ACCOUNT.as_phone())
    made = twilio.message(customer, account=ACCOUNT, base_url=server.base_url, files=(held,), **options)
    await remote.say(made)
    knock = twilio.webhook(made, URL, account=ACCOUNT)
    adapter.verify(heard(knock))
    (event,) = adapter.read(heard(knock)).events
    return made, event


async def fetched(adapter, session, resolved):
    """As `fetch` asks: redirects are not followed, and headers stay with the hosts that may see them."""
    asked = adapter.download_request(resolved)
    async with session.get(asked.url, headers=asked.headers, allow_redirects=False) as answer:
        body = await answer.read()
        if answer.status != 200:
            raise adapter.download_refusal(answer.status, answer.headers, body)
        return body


async def test_a_file_is_signed_announced_redirected_and_fetched():
    async with at_twilio() as (server, remote, adapter, session):
        _, event = await announced(server, remote, adapter, text="ouça")
        (file,) = event.files
        assert (file.kind, event.text, event.account_id) == (Kind.VOICE, "ouça", ACCOUNT.number)
        assert event.sender.phone == "+15555550142"
        assert event.sender.username == "marina.d"
        resolved = await adapter.resolve(session, file)
        assert await fetched(adapter, session, resolved) == SONG
        assert abs(resolved.expires_at - datetime.now(UTC) - timedelta(hours=4)) < timedelta(minutes=1)
        assert not server.statistics.refusals


async def test_the_cdn_refuses_credentials_and_links_whose_time_is_over():
    async with at_twilio() as (server, remote, adapter, session):
        _, event = await announced(server, remote, adapter)
        resolved = await adapter.resolve(session, event.files[0])
        async with session.get(resolved.url, headers={"Authorization": "Basic x"}) as answer:
            assert answer.status == 400
        await remote.forward(4 * 3600 + 1)
        with pytest.raises(ProviderBusy) as refusal:
            await fetched(adapter, session, resolved)
        assert refusal.value.code == Outcome.URL_DIED
        assert await fetched(adapter, session, await adapter.resolve(session, event.files[0])) == SONG


async def test_a_stranger_and_a_revoked_token_are_refused():
    async with at_twilio() as (server, remote, adapter, session):
        _, event = await announced(server, remote, adapter)
        await remote.revoke(ACCOUNT.as_phone().access_token)
        with pytest.raises(AccessLost):
            await adapter.resolve(session, event.files[0])
        assert (await adapter.check(session)).code == Outcome.TOKEN_REVOKED
        await remote.restore(ACCOUNT.as_phone().access_token)
        assert (await adapter.check(session)).is_alive


async def test_faults_of_the_plan_reach_the_adapter_in_twilios_words():
    async with at_twilio() as (server, remote, adapter, session):
        _, event = await announced(server, remote, adapter, at=time.time() - 3600)
        (file,) = event.files
        for kind, family, code in (
            ("rate_limited", ProviderBusy, Outcome.RATE_LIMITED),
            ("server_error", ProviderBusy, Outcome.UNAVAILABLE),
            ("host_down", ProviderBusy, Outcome.TIMED_OUT),
            ("html", ProviderBusy, Outcome.NOT_MEDIA),
            ("redirect", MediaGone, Outcome.FORBIDDEN_HOST),
            ("token_revoked", AccessLost, Outcome.TOKEN_REVOKED),
            ("gone", MediaGone, Outcome.EXPIRED),
        ):
            await remote.clear_faults()
            await remote.fault(Fault(kind, side="graph"))
            with pytest.raises(family) as refusal:
                await adapter.resolve(session, file)
            assert refusal.value.code == code, kind
            assert refusal.value.facts.get("http_status") != 429 or refusal.value.after_s == 7
        await remote.clear_faults()
        for kind, code in (("url_died", Outcome.URL_DIED), ("server_error", Outcome.UNAVAILABLE)):
            await remote.fault(Fault(kind, side="media", count=1))
            with pytest.raises(ProviderBusy) as refusal:
                await fetched(adapter, session, await adapter.resolve(session, file))
            assert refusal.value.code == code
        await remote.fault(Fault("altered", count=1))
        assert await fetched(adapter, session, await adapter.resolve(session, file)) != SONG
        await remote.fault(Fault("cut", count=1))
        with pytest.raises(aiohttp.ClientPayloadError):
            await fetched(adapter, session, await adapter.resolve(session, file))
        assert await fetched(adapter, session, await adapter.resolve(session, file)) == SONG


async def test_a_file_that_is_late_is_waited_for():
    async with at_twilio() as (server, remote, adapter, session):
        _, event = await announced(server, remote, adapter)
        await remote.fault(Fault("gone", side="graph", count=1))
        with pytest.raises(ProviderBusy):
            await adapter.resolve(session, event.files[0])
        assert await fetched(adapter, session, await adapter.resolve(session, event.files[0])) == SONG


async def test_dropped_webhooks_are_found_in_the_list_with_the_same_ids_and_files():
    async with at_twilio() as (server, remote, adapter, session):
        began, told = time.time() - 5000, {}
        for number in range(230):
            customer = HIDDEN if number % 2 else MARINA
            if number % 10 == 0:
                _, event = await announced(server, remote, adapter, customer, at=began + number)
            else:
                made = twilio.message(customer, account=ACCOUNT, text=f"oi {number}", at=began + number)
                await remote.say(made)
                (event,) = adapter.read(heard(twilio.webhook(made, URL, account=ACCOUNT))).events
            told[event.message_id] = event
        await adapter.send(session, Outgoing(Identity(phone="+15555550142"), text="oi"))
        since = datetime.fromtimestamp(int(began) + 15, UTC)
        found = [event async for page in adapter.missed(session, since) for event in page.events]
        assert len(found) == 215
        for event in found:
            webhook = told[event.message_id]
            assert (event.files, event.text, event.type) == (webhook.files, webhook.text, webhook.type)
            assert event.sender.user_id in (None, webhook.sender.user_id)
            assert event.sender.phone == webhook.sender.phone
        assert server.statistics.requests["list"] == 3


async def test_a_deleted_copy_is_gone_and_deleting_twice_is_well():
    async with at_twilio() as (server, remote, adapter, session):
        _, event = await announced(server, remote, adapter, at=time.time() - 3600)
        for _ in range(2):
            await adapter.forget(session, event.files[0])
        with pytest.raises(MediaGone):
            await adapter.resolve(session, event.files[0])


async def test_messages_are_taken_and_what_became_of_them_is_told():
    sending.contents.clear()
    async with at_twilio() as (_, remote, adapter, session):
        to = Identity(phone="+15555550142")
        await remote.say(twilio.message(MARINA, account=ACCOUNT, text="oi"))
        sent = await adapter.send(
            session, Outgoing(to, text="Podemos guardar?", buttons=(Button("a", "Sim"),))
        )
        late = await adapter.send(session, Outgoing(Identity(user_id=HIDDEN.user_id), text="oi"))
        desk = await remote.desk()
        assert [row["sid"] for row in desk["sent"]] == [sent.message_id, late.message_id]
        assert desk["sent"][0]["content"] == desk["contents"][0]["sid"]
        told = twilio.status(desk["sent"][1], "failed", error_code=str(desk["sent"][1]["error_code"]))
        knock = twilio.signed(told, URL, account=ACCOUNT)
        adapter.verify(heard(knock))
        (event,) = adapter.read(heard(knock)).events
        assert isinstance(event, StatusUpdate)
        assert (event.message_id, event.status, event.error_code) == (late.message_id, "failed", "63016")


async def test_our_address_is_told_to_the_sender():
    async with at_twilio() as (_, remote, adapter, session):
        assert await adapter.registered(session) is None
        for _ in range(2):
            await adapter.register(session, URL)
        assert await adapter.registered(session) == URL
        (webhook,) = (await remote.desk())["webhooks"].values()
        assert webhook["status_callback_url"] == URL


async def test_the_sender_of_every_sandbox_knocks_for_twilio_too():
    """A form reaches a real server as it was signed."""
    heard_at = []

    async def take(request):
        heard_at.append((dict(request.headers), await request.read()))
        return aiohttp.web.Response(text="<Response/>", content_type="text/xml")

    runner = aiohttp.web.ServerRunner(aiohttp.web.Server(take))
    await runner.setup()
    try:
        await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/hooks/twilio/01J"
        made = twilio.message(MARINA, account=ACCOUNT, text="olá & até já = 10%")
        async with Sender(url) as sender:
            assert await sender.knock(twilio.webhook(made, url, account=ACCOUNT)) == 200
    finally:
        await runner.cleanup()
    ((headers, body),) = heard_at
    adapter = Twilio(Credentials(ACCOUNT.number, {"auth_token": ACCOUNT.auth_token}))
    adapter.verify(Webhook("POST", {k.lower(): v for k, v in headers.items()}, body, url=url))


async def test_the_command_prints_its_address_and_ends_when_asked():
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sandbox.twilio", "--port", "0", stdout=asyncio.subprocess.PIPE
    )
    try:
        line = (await process.stdout.readline()).decode().strip()
        assert line.startswith("http://127.0.0.1:")
        async with twilio.RemoteTwilio(line) as remote:
            assert await remote.desk() == {"sent": [], "contents": [], "webhooks": {}}
    finally:
        process.terminate()
        assert await process.wait() == 0
