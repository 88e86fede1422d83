"""Bird's Channels API keeps every promise of the contract, and its own oddities are met."""

import base64
import copy
import dataclasses
import hashlib
import hmac
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acervo.base import clock
from acervo.providers import links
from acervo.providers.bird.adapter import HOSTS, Bird
from acervo.providers.conformance import ProviderConformance, held_at
from acervo.providers.contract import (
    AccessLost,
    AnnouncedFile,
    Announcement,
    Credentials,
    ForgedWebhook,
    Kind,
    MediaGone,
    Outcome,
    ProviderBusy,
    Resolved,
    Webhook,
)
from acervo.providers.recovery import Recovers, Registers
from acervo.providers.scrambling import scrambled
from acervo.providers.scripted import BUSY_FOR_S, Answer, Scene, http_stage
from acervo.providers.sending import Outgoing, Template
from acervo.providers.sending_conformance import MARINA, Reply, SendingConformance

HERE = Path(__file__).parent
KEY, SIGNING = "fixture-bird-access-key-0001", "fixture-bird-signing-key-0001"
WORKSPACE = "11111111-1111-4111-8111-111111111111"
CHANNEL = "22222222-2222-4222-8222-222222222222"
ORGANIZATION = "99999999-9999-4999-8999-999999999999"
CREDENTIALS = Credentials(CHANNEL, {"access_key": KEY, "signing_key": SIGNING}, {"workspace_id": WORKSPACE})
URL = "https://hooks.example.test/hooks/bird/01J?a=1"
REDIRECT = json.loads((HERE / "media" / "media_redirect_302.json").read_text())
STORE = REDIRECT["step1"]["response"]["headers"]["Location"]
PLACE = REDIRECT["step1"]["request"]["url"].removeprefix("https://media.api.bird.com")
VOICE = AnnouncedFile("66666666-6666-4666-8666-000000000004", Kind.VOICE, "audio/ogg")
MESSAGES = f"/workspaces/{WORKSPACE}/channels/{CHANNEL}/messages"
TO_STORE = Answer(302, {"Location": STORE})
BUSY = Answer(429, {"Retry-After": str(BUSY_FOR_S)})
MUTE = Answer(hangs_up=True)


def refused(code, status):
    return Answer(status, body=json.dumps({"code": code, "message": f"no: {KEY}"}).encode())


def results(*items, token=None):
    return Answer(body=json.dumps({"results": list(items), "nextPageToken": token}).encode())


REVOKED = refused("AuthenticationFailure", 401)
SCRIPTS = {
    Scene.FOUND: [TO_STORE],
    Scene.LOST: [refused("NotFound", 404)],
    Scene.BUSY: [BUSY],
    Scene.REVOKED: [REVOKED],
    Scene.UNWELL: [Answer(500, body=b"<html>")],
    Scene.NONSENSE: [Answer(200, {"Content-Type": "text/html"}, b"<html>")],
    Scene.SILENT: [MUTE],
    Scene.ALIVE: [results(), Answer(body=b'{"status": "active"}')],
    Scene.DEAD: [REVOKED],
    Scene.SICK: [Answer(503)],
    Scene.MUTE: [MUTE],
}


def knock(body, secret, url=URL, at=None):
    """Signed here, by other code than the adapter's."""
    timestamp = str(int((at or clock.now()).timestamp()))
    signed = f"{timestamp}\n{url}\n".encode() + hashlib.sha256(body).digest()
    made = base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()
    headers = {"messagebird-signature": made, "messagebird-request-timestamp": timestamp}
    return Webhook("POST", headers, body, url=url)


@asynccontextmanager
async def stage_with(provider, answers, promised=STORE, credentials=CREDENTIALS):
    async with http_stage(provider, credentials, VOICE, answers, promised=Resolved(promised)) as stage:
        stage.file = dataclasses.replace(VOICE, url=f"{stage.provider._base}{PLACE}")
        yield stage


class TestBird(SendingConformance, ProviderConformance):
    provider = Bird
    folder = HERE
    account_id = CHANNEL
    secrets = CREDENTIALS.secrets
    signing_secret = "signing_key"
    lost_payload = "file_without_link"
    replies = {
        Reply.TAKEN: [
            Answer(202, body=b'{"id": "33333333-3333-4333-8333-000000000099", "status": "accepted"}')
        ],
        Reply.LATE: [refused("131047", 422)],
        Reply.REFUSED: [refused("InvalidPayload", 422)],
        Reply.BUSY: [BUSY],
        Reply.REVOKED: [REVOKED],
        Reply.UNWELL: [Answer(500, body=b"<html>")],
        Reply.NONSENSE: [Answer(200, body=b"<html>")],
        Reply.SILENT: [MUTE],
    }
    taken_id = "33333333-3333-4333-8333-000000000099"
    template = Template(
        "77777777-7777-4777-8777-777777777777", "pt-BR", ("Empresa Teste",), {"keys": "company"}
    )

    def is_batched(self, document):
        return False

    def sign(self, body, secret):
        return knock(body, secret)

    def vector_webhook(self, vector):
        return Webhook("POST", vector["header"], base64.b64decode(vector["body_base64"]), url=vector["url"])

    def vector_secret(self, vector):
        return vector["signing_key"]

    def vector_moment(self, vector):
        """As a repeat: hours after the first try, whose timestamp it keeps."""
        first = datetime.fromtimestamp(int(vector["header"]["messagebird-request-timestamp"]), UTC)
        return first + timedelta(hours=4)

    def stage(self, scene):
        return stage_with(self.provider, SCRIPTS[scene])

    def sending(self, answers):
        return stage_with(self.provider, answers)


BODY = b'{"service": "channels"}'


def accepts(webhook):
    try:
        Bird(CREDENTIALS).verify(webhook)
    except ForgedWebhook:
        return False
    return True


def test_a_repeat_keeps_its_first_timestamp_and_is_accepted_for_a_day():
    first = datetime(2026, 6, 1, 12, tzinfo=UTC)
    webhook = knock(BODY, SIGNING, at=first)
    for age, is_accepted in (
        (timedelta(0), True),
        (timedelta(hours=4), True),
        (timedelta(hours=24, minutes=59), True),
        (timedelta(hours=25, minutes=1), False),
        (timedelta(minutes=-4), True),
        (timedelta(minutes=-6), False),
    ):
        with held_at(first + age):
            assert accepts(webhook) is is_accepted, age


def test_a_timestamp_that_is_no_number_of_seconds_is_refused_even_when_signed():
    for timestamp in ("", "soon", "1e9", "-5", "１７６７２２５６００", " 1767225600", "9" * 40):
        signed = f"{timestamp}\n{URL}\n".encode() + hashlib.sha256(BODY).digest()
        made = base64.b64encode(hmac.new(SIGNING.encode(), signed, hashlib.sha256).digest()).decode()
        headers = {"messagebird-signature": made, "messagebird-request-timestamp": timestamp}
        assert not accepts(Webhook("POST", headers, BODY, url=URL)), timestamp


def test_files_are_told_apart_by_their_type():
    document = json.loads((HERE / "payloads" / "document.json").read_text())

    def kind(mime, word=None):
        told = copy.deepcopy(document)
        told["payload"]["body"]["file"]["files"][0]["contentType"] = mime
        told["payload"]["meta"] = {"extraInformation": {"whatsapp.media.type": word}}
        (event,) = TestBird().read(json.dumps(told).encode()).events
        return event.files[0].kind

    assert kind("audio/ogg; codecs=opus") is Kind.VOICE
    assert kind("audio/mpeg") is Kind.AUDIO
    assert kind("VIDEO/mp4") is Kind.VIDEO
    assert kind("image/webp") is Kind.STICKER
    assert kind("image/jpeg") is Kind.IMAGE
    assert kind("application/pdf") is kind(None) is kind(7) is kind("") is Kind.DOCUMENT
    assert kind("application/octet-stream", "video") is Kind.VIDEO
    assert kind("audio/ogg", "audio") is Kind.VOICE
    assert kind("image/webp", "document") is Kind.DOCUMENT
    assert kind("audio/ogg", ["odd"]) is Kind.VOICE


def test_a_message_without_a_moment_or_a_channel_is_taken_all_the_same():
    document = json.loads((HERE / "payloads" / "audio.json").read_text())
    document["payload"] |= {"createdAt": None, "lastStatusAt": "logo", "channelId": None}
    (event,) = TestBird().read(json.dumps(document).encode()).events
    assert isinstance(event, Announcement)
    assert event.extra["sent_at_is_guessed"] is True
    assert event.account_id == CHANNEL
    assert event.files


@settings(max_examples=100, deadline=None, database=None)
@given(st.data())
def test_a_scrambled_file_or_message_never_costs_the_one_beside_it(data):
    document = json.loads((HERE / "payloads" / "document.json").read_text())
    files = document["payload"]["body"]["file"]["files"]
    whole = files[0]
    broken = data.draw(scrambled([{**whole, "mediaUrl": "https://media.api.bird.com/x"}]))
    document["payload"]["body"]["file"]["files"] = [*broken, whole]
    (event,) = TestBird().read(json.dumps(document).encode()).events
    assert event.files[-1].url == whole["mediaUrl"]

    victim = data.draw(scrambled(data.draw(st.sampled_from(TestBird().documents()))["payload"]))
    page = Bird(CREDENTIALS)._frame()
    from acervo.providers.bird import reading

    told = reading.page([victim, document["payload"]], page)
    assert event in told.events
    assert not [unread for unread in told.unread if "reader failed" in unread.reason]


async def test_the_key_goes_to_bird_and_never_to_the_store():
    async with stage_with(Bird, [TO_STORE]) as stage:
        resolved = await stage.provider.resolve(stage.session, stage.file)
        assert [r.headers.get("Authorization") for r in stage.requests] == [f"AccessKey {KEY}"]
        request = stage.provider.download_request(resolved)
        assert request.url == STORE
        assert "Authorization" not in request.headers
        assert request.allowed_hosts == ("bird-media-fixture.s3.eu-west-1.amazonaws.com",)
        assert request.credential_hosts == ()
        unopened = dataclasses.replace(resolved, is_open=False)
        assert "Authorization" not in stage.provider.download_request(unopened).headers


async def test_a_link_that_is_already_the_stores_is_not_asked_for_with_a_key():
    async with stage_with(Bird, [TO_STORE]) as stage:
        straight = await stage.provider.resolve(stage.session, dataclasses.replace(VOICE, url=STORE))
        assert (straight.url, straight.is_open, stage.requests) == (STORE, True, [])
        presigned = f"{stage.file.url}?X-Amz-Signature=fixture"
        await stage.provider.resolve(stage.session, dataclasses.replace(VOICE, url=presigned))
        assert [r.headers.get("Authorization") for r in stage.requests] == [None]


def test_the_stores_link_says_when_it_dies():
    from acervo.providers import stores

    url = f"{STORE}&X-Amz-Date=20260101T000000Z"
    assert stores.expiry(url) == datetime(2026, 1, 1, 0, 15, tzinfo=UTC)
    with held_at(datetime(2026, 1, 1, tzinfo=UTC)):
        for odd in (
            "https://x.test/a",
            f"{STORE}&X-Amz-Date=soon",
            "not a url",
            "https://[/?X-Amz-Expires=9",
        ):
            assert stores.expiry(odd) == datetime(2026, 1, 1, 0, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "https://example.test/obj?X-Amz-Signature=fixture",
        "https://bucket.s3.eu-west-1.amazonaws.com.example.test/obj?X-Amz-Signature=fixture",
        "https://xs3.eu-west-1.amazonaws.com/obj?X-Amz-Signature=fixture",
        "https://s3.eu-west-1.amazonaws.com@example.test/obj?X-Amz-Signature=fixture",
        "https://bucket.s3.eu-west-1.amazonaws.com:8443/obj?X-Amz-Signature=fixture",
        STORE.replace("https", "http"),
        STORE.partition("?")[0],
        "",
        "//",
        "https://[",
    ],
)
async def test_a_redirect_anywhere_else_is_refused(location):
    async with stage_with(Bird, [Answer(302, {"Location": location})]) as stage:
        stage.provider._trusted_besides = frozenset()
        stage.provider._is_ours = lambda url: True
        with pytest.raises(MediaGone) as refusal:
            await stage.provider.resolve(stage.session, stage.file)
        assert refusal.value.code == Outcome.FORBIDDEN_HOST


async def test_a_file_of_another_workspace_or_host_is_not_asked_for():
    async with stage_with(Bird, []) as stage:
        other = stage.file.url.replace(WORKSPACE, "11111111-1111-4111-8111-111111111112")
        for url in (other, f"{other}?/workspaces/{WORKSPACE}/", f"{other}#/workspaces/{WORKSPACE}/"):
            with pytest.raises(AccessLost) as refusal:
                await stage.provider.resolve(stage.session, dataclasses.replace(VOICE, url=url))
            assert refusal.value.code == Outcome.FORBIDDEN
        for url in ("https://example.test" + PLACE, "http://media.api.bird.com" + PLACE, "file:///x", ""):
            with pytest.raises(MediaGone):
                await stage.provider.resolve(stage.session, dataclasses.replace(VOICE, url=url))
        assert not stage.requests


def test_without_a_workspace_the_key_goes_to_no_file():
    for options in ({}, {"workspace_id": ""}, {"workspace_id": "a/b"}, {"workspace_id": None}):
        adapter = Bird(dataclasses.replace(CREDENTIALS, options=options))
        for url in (
            f"https://{HOSTS[0]}{PLACE}",
            f"https://{HOSTS[0]}/workspaces//messages",
            f"https://{HOSTS[0]}/",
        ):
            assert "Authorization" not in adapter.download_request(Resolved(url)).headers
    own = Bird(CREDENTIALS).download_request(Resolved(f"https://{HOSTS[0]}{PLACE}"))
    assert own.headers["Authorization"] == f"AccessKey {KEY}"
    assert own.credential_hosts == (HOSTS[0],)


def test_a_dead_link_of_the_store_is_asked_about_again():
    refusal = Bird(CREDENTIALS).download_refusal
    assert {refusal(status, {}, b"<Error>").code for status in (400, 403, 404, 410)} == {Outcome.URL_DIED}


def listed(number, at):
    message = json.loads((HERE / "payloads" / "audio.json").read_text())["payload"]
    return {**message, "id": f"33333333-3333-4333-8333-{number:012d}", "createdAt": at, "lastStatusAt": at}


async def missed(stage, since):
    readings = [reading async for reading in stage.provider.missed(stage.session, since)]
    return [event for reading in readings for event in reading.events]


async def test_what_no_webhook_told_is_read_from_the_list_with_the_same_ids():
    assert isinstance(Bird(CREDENTIALS), Recovers)
    since = datetime(2026, 1, 1, 12, tzinfo=UTC)
    first = results(listed(3, "2026-01-01T15:00:00Z"), listed(2, "2026-01-01T14:00:00Z"), token="p2")
    second = results(listed(1, "2026-01-01T13:00:00Z"), listed(0, "2026-01-01T11:00:00Z"), token="p3")
    third = results(listed(9, "2026-01-01T10:00:00Z"), token="p4")
    async with stage_with(Bird, [first, second, third]) as stage:
        found = await missed(stage, since)
        assert [event.message_id[-1] for event in found] == ["3", "2", "1"]
        assert [r.path for r in stage.requests] == [MESSAGES] * 3
        assert [r.query.get("pageToken") for r in stage.requests] == [None, "p2", "p3"]
    document = json.loads((HERE / "payloads" / "audio.json").read_text())
    (told,) = TestBird().read(json.dumps(document).encode()).events
    async with stage_with(Bird, [results(document["payload"])]) as stage:
        assert await missed(stage, datetime(2025, 1, 1, tzinfo=UTC)) == [told]


async def test_a_list_that_goes_in_circles_or_breaks_off_ends():
    since = datetime(2025, 1, 1, tzinfo=UTC)
    page = results(listed(1, "2026-01-01T13:00:00Z"), token="again")
    async with stage_with(Bird, [page] * 5) as stage:
        assert len(await missed(stage, since)) == 2
    async with stage_with(Bird, [results(None, 7, {"id": []}, listed(1, "?"))]) as stage:
        assert len(await missed(stage, since)) == 1
    for answer, family in ((REVOKED, AccessLost), (BUSY, ProviderBusy), (Answer(body=b"{}"), ProviderBusy)):
        async with stage_with(Bird, [page, answer]) as stage:
            with pytest.raises(family):
                await missed(stage, since)


async def test_what_is_sent_is_what_bird_documents():
    suite = TestBird()
    bodies = [await sent_body(message) for message in suite.messages()]
    text, hidden, template, _, buttons = bodies
    assert await sent_body(Outgoing(MARINA, text="Olá")) == recorded("send_text_request")
    assert template == recorded("send_template_request")
    assert text["replyTo"] == {"id": "wamid.fixtureReply", "type": "message"}
    contact = {"identifierKey": "whatsappbsuid", "identifierValue": "US.10000000000000000142"}
    assert hidden["receiver"]["contacts"] == [contact]
    documented = recorded("send_consent_buttons_request")["body"]["text"]["actions"]
    assert buttons["body"]["text"]["actions"] == [
        documented[0],
        {"type": "reply", "reply": {"text": "Agora não"}},
    ]
    unnamed = Template("7", "pt-BR", ("a", "b"), {"keys": "x", "version": "v9"})
    told = (await sent_body(Outgoing(MARINA, template=unnamed)))["template"]
    assert ([one["key"] for one in told["parameters"]], told["version"]) == (["x", "2"], "v9")


def recorded(name):
    return json.loads((HERE / "media" / f"{name}.json").read_text())


async def sent_body(message):
    bodies = []
    async with stage_with(Bird, TestBird.replies[Reply.TAKEN]) as stage:
        hear_bodies(stage, bodies)
        await stage.provider.send(stage.session, message)
        assert [(r.method, r.path) for r in stage.requests] == [("POST", MESSAGES)]
    return bodies[0]


def hear_bodies(stage, bodies):
    """Notes what is posted; the stage itself keeps requests, whose bodies are gone afterwards."""
    request = stage.session.request

    def hear(*args, json=None, **options):
        bodies.append(copy.deepcopy(json))
        return request(*args, json=json, **options)

    stage.session = type("Heard", (), {"request": staticmethod(hear)})()


async def test_our_address_is_registered_for_each_event_and_gets_the_key_again():
    assert isinstance(Bird(CREDENTIALS), Registers)
    url, path = "https://acervo.example.test/hooks/bird/01J", f"/workspaces/{WORKSPACE}/webhook-subscriptions"
    asked = {**recorded("create_subscription_request"), "url": url, "signingKey": SIGNING}
    theirs = {**asked, "id": "s2", "url": "https://crm.example.test/in"}
    other = {**asked, "id": "s3", "eventFilters": [{"key": "channelId", "value": "other"}]}
    done = Answer(200, body=b"{}")
    bodies = []
    async with stage_with(Bird, [results(theirs, other), done, done, done]) as stage:
        hear_bodies(stage, bodies)
        await stage.provider.register(stage.session, url)
        assert [r.method for r in stage.requests] == ["GET", "POST", "POST", "POST"]
        assert {r.path for r in stage.requests} == {path}
        assert bodies[1] == asked
        assert [body["event"] for body in bodies[1:]] == [
            f"whatsapp.{e}" for e in ("inbound", "outbound", "interaction")
        ]
    ours = {**asked, "id": "s1"}
    scoped = dataclasses.replace(
        CREDENTIALS, options={**CREDENTIALS.options, "organization_id": ORGANIZATION}
    )
    async with stage_with(Bird, [results(theirs, ours), done, done, done], credentials=scoped) as stage:
        await stage.provider.register(stage.session, url)
        assert [(r.method, r.path) for r in stage.requests[:2]] == [
            ("GET", f"/organizations/{ORGANIZATION}{path}"),
            ("PATCH", f"/organizations/{ORGANIZATION}{path}/s1"),
        ]
    async with stage_with(Bird, [results(theirs, ours), results(other)]) as stage:
        assert await stage.provider.registered(stage.session) == url
        assert await stage.provider.registered(stage.session) is None
    gone = [Answer(204, body=b""), Answer(404, body=b"{}")]
    async with stage_with(Bird, [results(theirs, ours, {**ours, "id": "s4"}, other), *gone]) as stage:
        await stage.provider.unregister(stage.session, url)
        assert [(r.method, r.path) for r in stage.requests[1:]] == [
            ("DELETE", f"{path}/s1"),
            ("DELETE", f"{path}/s4"),
        ]
    async with stage_with(Bird, [results(ours), Answer(403, body=b"{}")]) as stage:
        with pytest.raises(AccessLost):
            await stage.provider.unregister(stage.session, url)


async def test_a_file_whose_link_was_forgotten_is_found_by_its_id():
    document = json.loads((HERE / "payloads" / "audio.json").read_text())
    (event,) = TestBird().read(json.dumps(document).encode()).events
    assert links.address(event.files[0].provider_id) == event.files[0].url
    async with stage_with(Bird, SCRIPTS[Scene.FOUND]) as stage:
        forgotten = dataclasses.replace(stage.file, provider_id=stage.file.url, url=None)
        assert (await stage.provider.resolve(stage.session, forgotten)).url == STORE
    assert links.identifier("https://" + "x" * 300, otherwise="m-0") == "m-0"
    assert links.address("m-0") is None


@pytest.mark.parametrize(
    ("told", "facts"),
    [
        (Answer(body=b'{"status": "inactive"}'), {"status": "inactive", "unwell": ["status"]}),
        (Answer(body=b'{"status": "active"}'), {"status": "active"}),
        (Answer(403), {}),
        (Answer(body=b"<html>"), {}),
        (MUTE, {}),
    ],
)
async def test_a_check_tells_the_channels_own_status_where_it_may(told, facts):
    async with http_stage(Bird, CREDENTIALS, VOICE, [results(), told]) as stage:
        health = await stage.provider.check(stage.session)
        assert stage.requests[1].path.endswith(f"/channels/{CREDENTIALS.account_id}")
    assert (health.code, health.facts) == ("ok", facts)
