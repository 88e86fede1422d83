"""The simulated 360dialog against our own adapter: key, moved links, registration, and the block that must not trip."""

import json

import aiohttp
import pytest

from acervo.providers.contract import (
    AccessLost,
    Credentials,
    Identity,
    MediaGone,
    Outcome,
    ProviderBusy,
    Webhook,
)
from acervo.providers.dialog360.adapter import Dialog360
from acervo.providers.sending import Outgoing, OutsideWindow, Template
from sandbox.dialog360 import Dialog360Sandbox, Number, envelope, headed, legacy
from sandbox.people import MARINA
from sandbox.whatsapp import Fault, FaultKind, Side, message, webhook
from sandbox.whatsapp.coexistence import history

NUMBER = Number()
SECRETS = {"api_key": NUMBER.access_token, "hook_secret": "hook", "path_key": "path"}
ADDRESS = "https://archive.example.test/hooks/dialog360/01kfixture/path"


@pytest.fixture
async def sandbox():
    async with Dialog360Sandbox() as running:
        yield running


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as opened:
        yield opened


def adapter(sandbox, **secrets):
    credentials = Credentials(
        NUMBER.phone_number_id,
        {**SECRETS, **secrets},
        api_base=sandbox.base_url,
        allowed_hosts=("127.0.0.1",),
    )
    return Dialog360(credentials)


async def fetched(session, provider, media_id):
    file = provider.read(Webhook("POST", {}, announcement(media_id).body)).events[0].files[0]
    request = provider.download_request(await provider.resolve(session, file))
    async with session.get(request.url, headers=request.headers) as answer:
        if answer.status != 200:
            raise provider.download_refusal(answer.status, answer.headers, await answer.read())
        return await answer.read()


def announcement(media_id):
    from sandbox.whatsapp.shelf import Announced

    told = Announced(media_id, "audio/ogg; codecs=opus", "ab" * 32, 5, "https://lookaside.fbsbx.com/x")
    return headed(webhook([message(MARINA, file=told)]), {})


async def test_a_file_is_fetched_through_the_moved_link(sandbox, session):
    media_id = sandbox.shelf.add(b"OggS!", "audio/ogg", phone=NUMBER)
    assert sandbox.shelf.url(media_id).startswith("https://lookaside.fbsbx.com/whatsapp_business/")
    assert await fetched(session, adapter(sandbox), media_id) == b"OggS!"
    assert sandbox.statistics.downloads == {media_id: 1}


async def test_another_key_opens_nothing(sandbox, session):
    media_id = sandbox.shelf.add(b"OggS!", "audio/ogg", phone=NUMBER)
    with pytest.raises(AccessLost):
        await fetched(session, adapter(sandbox, api_key="another"), media_id)
    health = await adapter(sandbox, api_key="another").check(session)
    assert (health.is_alive, health.code) == (False, Outcome.TOKEN_REVOKED)
    assert (await adapter(sandbox).check(session)).facts == {
        "can_send": "AVAILABLE",
        "can_send_phone_number": "AVAILABLE",
        "can_send_waba": "AVAILABLE",
    }


async def test_five_failures_within_an_hour_block_for_an_hour(sandbox, session):
    provider = adapter(sandbox)
    media_id = sandbox.shelf.add(b"OggS!", "audio/ogg", phone=NUMBER)
    for _ in range(5):
        with pytest.raises(MediaGone):
            await fetched(session, provider, "404")
    assert sandbox.block.tripped == 1
    with pytest.raises(ProviderBusy) as refusal:
        await fetched(session, provider, media_id)
    assert (refusal.value.code, refusal.value.after_s) == (Outcome.RATE_LIMITED, 3600)
    sandbox.shelf.forward(refusal.value.after_s)
    assert await fetched(session, provider, media_id) == b"OggS!"
    assert sandbox.block.refused == 1


async def test_failures_that_our_breaker_allows_do_not_block(sandbox, session):
    for _ in range(Dialog360.capabilities.download_failures_per_hour * 3):
        with pytest.raises(MediaGone):
            await fetched(session, adapter(sandbox), "404")
        sandbox.shelf.forward(3600 / Dialog360.capabilities.download_failures_per_hour)
    assert sandbox.block.tripped == 0


@pytest.mark.parametrize(
    ("kind", "side", "outcome"),
    [
        (FaultKind.TOKEN_REVOKED, Side.GRAPH, Outcome.TOKEN_REVOKED),
        (FaultKind.RATE_LIMITED, Side.GRAPH, Outcome.RATE_LIMITED),
        (FaultKind.SERVER_ERROR, Side.GRAPH, Outcome.UNAVAILABLE),
        (FaultKind.GONE, Side.GRAPH, Outcome.EXPIRED),
        (FaultKind.URL_DIED, Side.MEDIA, Outcome.URL_DIED),
    ],
)
async def test_a_fault_on_demand_means_what_it_should(sandbox, session, kind, side, outcome):
    media_id = sandbox.shelf.add(b"OggS!", "audio/ogg", phone=NUMBER)
    sandbox.plan.add(Fault(kind, count=1, side=side))
    with pytest.raises((AccessLost, MediaGone, ProviderBusy)) as refusal:
        await fetched(session, adapter(sandbox), media_id)
    assert refusal.value.code == outcome


async def test_it_knocks_where_it_was_told_with_what_it_was_told(sandbox, session):
    provider = adapter(sandbox)
    assert await provider.registered(session) is None
    await provider.register(session, ADDRESS)
    assert await provider.registered(session) == ADDRESS
    told = sandbox.registered[NUMBER.phone_number_id]
    knock = headed(webhook([message(MARINA, text="oi")]), told["headers"])
    headers = {name.lower(): value for name, value in knock.headers.items()}
    provider.verify(Webhook("POST", headers, knock.body, url=told["url"]))
    assert "x-hub-signature-256" not in headers


async def test_every_shape_it_sends_is_read(sandbox):
    provider = adapter(sandbox)
    told = [message(MARINA, text="oi"), message(MARINA, text="tudo bem?")]
    (chunk,) = history(told, phone=NUMBER)
    assert json.loads(envelope(chunk, {}, event_id="E1").body)["event"] == "history"
    for knock in (headed(webhook(told), {}), envelope(chunk, {}, event_id="E1"), legacy(told, {})):
        reading = provider.read(Webhook("POST", {}, knock.body))
        said = [event.text for event in reading.events if hasattr(event, "text")]
        assert said == ["oi", "tudo bem?"]
        assert not reading.unread


async def test_a_voice_note_of_the_ended_product_is_a_stated_loss(sandbox):
    media_id = sandbox.shelf.add(b"OggS!", "audio/ogg; codecs=opus", phone=NUMBER)
    announced = sandbox.shelf.announce(media_id)
    knock = legacy([message(MARINA, file=announced)], {})
    assert json.loads(knock.body)["messages"][0]["type"] == "voice"
    (file,) = adapter(sandbox).read(Webhook("POST", {}, knock.body)).events[0].files
    assert (file.kind, file.refusal, file.sha256) == ("voice", Outcome.EXPIRED, announced.sha256)


async def test_a_message_of_ours_is_taken_or_late(sandbox, session):
    provider, to = adapter(sandbox), Identity(phone="+15555550142")
    sent = await provider.send(session, Outgoing(to, text="Recebido."))
    assert [said["id"] for said in sandbox.state.sent] == [sent.message_id]
    sandbox.state.late.add("+15555550142")
    with pytest.raises(OutsideWindow):
        await provider.send(session, Outgoing(to, text="Recebido."))
    await provider.send(session, Outgoing(to, template=Template("media_consent", "pt_BR")))
    assert len(sandbox.state.sent) == 2
