"""MessageBird's Conversations API keeps every promise of the contract, and its own oddities are met."""

import base64
import copy
import dataclasses
import hashlib
import hmac
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

import pytest

from acervo.base import clock
from acervo.providers import links
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
from acervo.providers.messagebird import errors
from acervo.providers.messagebird.adapter import HOSTS, MessageBird
from acervo.providers.recovery import Registers
from acervo.providers.scripted import BUSY_FOR_S, Answer, Scene, http_stage
from acervo.providers.sending import Outgoing, Template
from acervo.providers.sending_conformance import MARINA, Reply, SendingConformance

HERE = Path(__file__).parent
KEY, SIGNING = "fixture-messagebird-access-key", "fixture-messagebird-signing-key-0001"
CREDENTIALS = Credentials("b0000000000000000000000000000001", {"access_key": KEY, "signing_key": SIGNING})
URL = "https://hooks.example.test/hooks/messagebird/01J?b=2&a=1"
PLACE = "/v1/media/00000000-0000-4000-8000-000000000003"
VOICE = AnnouncedFile("00000000-0000-4000-8000-000000000003", Kind.AUDIO)
STORE = "https://media-fixture.s3.eu-west-1.amazonaws.com/o?X-Amz-Expires=900&X-Amz-Signature=fixture"
BYTES = Answer(206, {"Content-Type": "audio/ogg"}, b"O")
BUSY = Answer(429, {"Retry-After": str(BUSY_FOR_S)})


def recorded(name, status=200):
    return Answer(status, body=(HERE / "media" / f"{name}.json").read_bytes())


def refused(code, status):
    told = {"errors": [{"code": code, "description": f"no: {KEY}", "parameter": None}]}
    return Answer(status, body=json.dumps(told).encode())


def webhooks(*items):
    return Answer(body=json.dumps({"offset": 0, "items": list(items)}).encode())


REVOKED = recorded("error", 401)
SCRIPTS = {
    Scene.FOUND: [Answer(401), BYTES],
    Scene.LOST: [Answer(404)],
    Scene.BUSY: [BUSY],
    Scene.REVOKED: [REVOKED, REVOKED],
    Scene.UNWELL: [Answer(500, body=b"<html>")],
    Scene.NONSENSE: [Answer(200, {"Content-Type": "text/html"}, b"<html>")],
    Scene.SILENT: [Answer(hangs_up=True)],
    Scene.ALIVE: [webhooks()],
    Scene.DEAD: [REVOKED],
    Scene.SICK: [Answer(503)],
    Scene.MUTE: [Answer(hangs_up=True)],
}


def segment(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def jwt(body, secret, url=URL, algorithm="HS256", head=None, **changed):
    """Signed here, by other code than the adapter's; a claim given as None is left out."""
    now = clock.now().timestamp()
    claims = {
        "iss": "MessageBird",
        "nbf": int(now) - 1,
        "exp": int(now) + 59,
        "jti": "00000000-0000-4000-8000-000000000001",
        "url_hash": hashlib.sha256(url.encode()).hexdigest(),
        "payload_hash": hashlib.sha256(body).hexdigest() if body else None,
        **changed,
    }
    claims = {name: value for name, value in claims.items() if value is not None}
    signed = f"{segment(head or {'alg': algorithm, 'typ': 'JWT'})}.{segment(claims)}"
    made = hmac.new(secret.encode(), signed.encode(), f"sha{algorithm[2:]}")
    return f"{signed}.{base64.urlsafe_b64encode(made.digest()).decode().rstrip('=')}"


def knock(body, token, url=URL):
    return Webhook("POST", {"messagebird-signature-jwt": token}, body, url=url)


@asynccontextmanager
async def stage_with(provider, answers, place=PLACE):
    promised = Resolved("")
    async with http_stage(provider, CREDENTIALS, VOICE, answers, promised=promised) as stage:
        url = f"{stage.provider._base}{place}"
        stage.file = dataclasses.replace(VOICE, url=url)
        stage.promised = Resolved(url)
        yield stage


class TestMessageBird(SendingConformance, ProviderConformance):
    provider = MessageBird
    folder = HERE
    account_id = CREDENTIALS.account_id
    secrets = CREDENTIALS.secrets
    signing_secret = "signing_key"
    lost_payload = "image_without_link"
    replies = {
        Reply.TAKEN: [recorded("send_response_202", 202)],
        Reply.LATE: [refused(470, 422)],
        Reply.REFUSED: [refused(21, 422)],
        Reply.BUSY: [BUSY],
        Reply.REVOKED: [REVOKED],
        Reply.UNWELL: [Answer(500, body=b"<html>")],
        Reply.NONSENSE: [Answer(200, body=b"<html>")],
        Reply.SILENT: [Answer(hangs_up=True)],
    }
    taken_id = "d0000000000000000000000000000099"
    template = Template("consent_v3", "pt_BR", ("Empresa Teste",), {"namespace": "fixture_namespace"})

    def is_batched(self, document):
        return False

    def sign(self, body, secret):
        return knock(body, jwt(body, secret))

    def vector_webhook(self, vector):
        headers = {name.lower(): value for name, value in vector["header"].items()}
        return Webhook("POST", headers, base64.b64decode(vector["body_base64"]), url=vector["url"])

    def vector_secret(self, vector):
        return vector["signing_key"]

    def vector_moment(self, vector):
        return datetime.fromtimestamp(vector["now"], UTC)

    def stage(self, scene):
        return stage_with(self.provider, SCRIPTS[scene])

    def sending(self, answers):
        return stage_with(self.provider, answers)


def accepts(webhook):
    try:
        MessageBird(CREDENTIALS).verify(webhook)
    except ForgedWebhook:
        return False
    return True


BODY = b'{"type": "message.created"}'


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_the_three_algorithms_of_messagebird_are_accepted(algorithm):
    assert accepts(knock(BODY, jwt(BODY, SIGNING, algorithm=algorithm)))


@pytest.mark.parametrize(
    "head",
    [
        {"alg": "none"},
        {"alg": "RS256"},
        {"alg": "hs256"},
        {"alg": ["HS256"]},
        {"alg": "HS256", "crit": []},
        {},
    ],
)
def test_any_other_algorithm_is_refused_even_when_the_signature_would_fit(head):
    assert not accepts(knock(BODY, jwt(BODY, SIGNING, head=head or {"typ": "JWT"})))


def test_a_token_without_a_signature_is_refused():
    start = f"{segment({'alg': 'none'})}.{jwt(BODY, SIGNING).split('.')[1]}"
    for token in (f"{start}.", start, f"{start}.{'A' * 43}", "", ".", "..", "." * 50, "é.é.é"):
        assert not accepts(knock(BODY, token))


@pytest.mark.parametrize("name", ["iss", "nbf", "exp", "jti", "url_hash", "payload_hash"])
def test_every_claim_is_required_and_must_be_of_its_kind(name):
    for value in (None, "", 5 if name not in ("nbf", "exp") else "5", [], {}, True):
        assert not accepts(knock(BODY, jwt(BODY, SIGNING, **{name: value}))), value


def test_a_body_that_was_not_signed_is_refused_and_so_is_a_missing_one():
    assert accepts(knock(b"", jwt(b"", SIGNING)))
    assert not accepts(knock(BODY, jwt(b"", SIGNING)))
    assert not accepts(knock(b"", jwt(BODY, SIGNING)))
    assert not accepts(knock(b"", jwt(b"", SIGNING, payload_hash=hashlib.sha256(b"").hexdigest())))


def test_the_query_counts_in_its_own_order():
    token = jwt(BODY, SIGNING)
    assert accepts(knock(BODY, token))
    assert not accepts(knock(BODY, token, url=URL.replace("b=2&a=1", "a=1&b=2")))
    assert not accepts(knock(BODY, token, url=URL.partition("?")[0]))


def test_a_token_lives_for_its_minute_and_no_clock_far_off_is_believed():
    now = datetime(2026, 6, 1, 12, tzinfo=UTC)
    with held_at(now):
        token = jwt(BODY, SIGNING, nbf=int(now.timestamp()), exp=int(now.timestamp()) + 60)
        issued_later = jwt(BODY, SIGNING, iat=int(now.timestamp()) + 30)
        assert not accepts(knock(BODY, issued_later))
    for seconds, is_accepted in ((-2, False), (-1, True), (0, True), (60, True), (61, False), (3600, False)):
        with held_at(now + timedelta(seconds=seconds)):
            assert accepts(knock(BODY, token)) is is_accepted, seconds


def legacy(body, secret, timestamp, query):
    signed = f"{timestamp}\n{urlencode(sorted(query.items()))}\n".encode() + hashlib.sha256(body).digest()
    made = base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()
    headers = {"messagebird-signature": made, "messagebird-request-timestamp": str(timestamp)}
    return Webhook("POST", headers, body, query=query, url=URL)


def test_the_older_signature_is_judged_as_recorded_and_within_its_window():
    vectors = json.loads((HERE / "signatures.json").read_text())["legacy"]
    for vector in vectors:
        headers = {name.lower(): value for name, value in vector["header"].items()}
        body = base64.b64decode(vector["body_base64"])
        webhook = Webhook("POST", headers, body, query=vector["query"], url=URL)
        sent_at = datetime.fromtimestamp(int(headers["messagebird-request-timestamp"]), UTC)
        for seconds, is_accepted in ((0, True), (99, True), (-99, True), (101, False), (-101, False)):
            with held_at(sent_at + timedelta(seconds=seconds)):
                assert accepts(webhook) is is_accepted, (vector["name"], seconds)
        with held_at(sent_at):
            assert not accepts(dataclasses.replace(webhook, body=body + b" "))
            assert not accepts(dataclasses.replace(webhook, query={**vector["query"], "x": "1"}))


def test_the_older_signature_does_not_help_a_bad_token():
    now = int(clock.now().timestamp())
    webhook = legacy(BODY, SIGNING, now, {})
    assert accepts(webhook)
    assert not accepts(
        dataclasses.replace(webhook, headers={**webhook.headers, "messagebird-signature-jwt": "x"})
    )
    assert not accepts(legacy(BODY, "", now, {}))
    assert not accepts(legacy(BODY, SIGNING, "soon", {}))


def test_a_message_without_a_moment_or_a_channel_is_taken_all_the_same():
    document = json.loads((HERE / "payloads" / "audio.json").read_text())
    for name in ("createdDatetime", "updatedDatetime", "channelId"):
        document["message"][name] = "ontem" if name == "createdDatetime" else None
    (event,) = TestMessageBird().read(json.dumps(document).encode()).events
    assert isinstance(event, Announcement)
    assert event.extra == {"sent_at_is_guessed": True}
    assert event.account_id == CREDENTIALS.account_id
    assert event.files


async def test_the_key_is_shown_only_when_the_file_asks_for_one_and_then_remembered():
    async with stage_with(MessageBird, [BYTES, Answer(401), BYTES, BYTES]) as stage:
        opened = await stage.provider.resolve(stage.session, stage.file)
        locked = await stage.provider.resolve(stage.session, stage.file)
        again = await stage.provider.resolve(stage.session, stage.file)
        shown = [request.headers.get("Authorization") for request in stage.requests]
        assert shown == [None, None, f"AccessKey {KEY}", f"AccessKey {KEY}"]
        assert (opened.is_open, locked.is_open, again.is_open) == (True, False, False)
        assert "Authorization" not in stage.provider.download_request(opened).headers
        assert stage.provider.download_request(opened).credential_hosts == ()
        request = stage.provider.download_request(locked)
        assert request.headers["Authorization"] == f"AccessKey {KEY}"
        assert request.credential_hosts == ("127.0.0.1",)


async def test_a_redirect_into_the_store_is_taken_without_the_key_and_no_other_is():
    async with stage_with(MessageBird, [Answer(302, {"Location": STORE})]) as stage:
        resolved = await stage.provider.resolve(stage.session, stage.file)
        request = stage.provider.download_request(resolved)
        assert (resolved.url, resolved.is_open) == (STORE, True)
        assert "Authorization" not in request.headers
        assert (request.allowed_hosts, request.credential_hosts) == (
            ("media-fixture.s3.eu-west-1.amazonaws.com",),
            (),
        )
    for elsewhere in (
        "http://169.254.169.254/latest/meta-data/",
        STORE.replace("https", "http"),
        "https://x.test/",
    ):
        async with stage_with(MessageBird, [Answer(302, {"Location": elsewhere})]) as stage:
            with pytest.raises(MediaGone) as refusal:
                await stage.provider.resolve(stage.session, stage.file)
            assert refusal.value.code == Outcome.FORBIDDEN_HOST


async def test_a_link_to_another_host_is_never_asked_for():
    async with stage_with(MessageBird, []) as stage:
        for url in (
            "https://example.test/a",
            "http://media.messagebird.com/a",
            "https://media.messagebird.com:8443/a",
            "https://key@media.messagebird.com/a",
            "http://169.254.169.254/",
            "file:///etc/passwd",
            "",
        ):
            with pytest.raises(MediaGone):
                await stage.provider.resolve(stage.session, dataclasses.replace(VOICE, url=url))
        assert not stage.requests


def test_the_key_goes_to_messagebirds_two_hosts_and_to_the_one_the_operator_named():
    adapter = MessageBird(dataclasses.replace(CREDENTIALS, api_base="http://127.0.0.1:8080"))
    for url in (*(f"https://{host}/a" for host in HOSTS), "http://127.0.0.1:9/a"):
        request = adapter.download_request(Resolved(url))
        assert request.headers["Authorization"] == f"AccessKey {KEY}"
        assert "Authorization" not in adapter.download_request(Resolved(url, is_open=True)).headers
    assert (
        "127.0.0.1" not in MessageBird(CREDENTIALS).download_request(Resolved("https://a.test")).allowed_hosts
    )


@pytest.mark.parametrize(
    ("code", "status", "family", "outcome"),
    [
        (2, 401, AccessLost, Outcome.TOKEN_REVOKED),
        (2, 422, AccessLost, Outcome.TOKEN_REVOKED),
        (25, 402, AccessLost, Outcome.BLOCKED),
        (99, 500, ProviderBusy, Outcome.UNAVAILABLE),
        (None, 403, AccessLost, Outcome.FORBIDDEN),
        (None, 404, MediaGone, Outcome.EXPIRED),
        (None, 410, MediaGone, Outcome.EXPIRED),
        (None, 429, ProviderBusy, Outcome.RATE_LIMITED),
        (777, 418, ProviderBusy, Outcome.UNKNOWN),
    ],
)
def test_messagebirds_refusals_mean_what_the_table_says(code, status, family, outcome):
    from acervo.providers.asking import Reply as Told

    body = refused(code, status).body if code else b""
    refusal = errors.refusal(Told(status, {}, body), by_status=errors.MEDIA_BY_STATUS)
    assert (type(refusal), refusal.code) == (family, outcome)


def test_a_dead_link_is_asked_about_again():
    refusal = MessageBird(CREDENTIALS).download_refusal
    assert {refusal(status, {}, b"").code for status in (400, 403, 404, 410)} == {Outcome.URL_DIED}


async def test_what_is_sent_is_what_messagebird_documents():
    recorded_body = json.loads((HERE / "media" / "send_request.json").read_text())
    del recorded_body["reportUrl"]
    assert await sent_body(Outgoing(MARINA, text="Olá")) == recorded_body
    suite = TestMessageBird()
    bodies = [await sent_body(message) for message in suite.messages()]
    assert {body["from"] for body in bodies} == {CREDENTIALS.account_id}
    assert [body["type"] for body in bodies] == ["text", "text", "hsm", "hsm", "interactive"]
    assert bodies[1]["to"] == "US.10000000000000000142"
    assert bodies[0]["replyTo"] == {"id": "wamid.fixtureReply"}
    assert bodies[2]["content"]["hsm"]["params"] == [{"default": "Empresa Teste"}]
    buttons = bodies[4]["content"]["interactive"]["action"]["buttons"]
    assert buttons[0] == {"id": "consent:accept:v3", "type": "reply", "title": "Concordo"}


async def sent_body(message):
    bodies = []
    async with stage_with(MessageBird, [recorded("send_response_202", 202)]) as stage:
        hear_bodies(stage, bodies)
        await stage.provider.send(stage.session, message)
        assert [request.path for request in stage.requests] == ["/v1/send"]
    return bodies[0]


def hear_bodies(stage, bodies):
    """Notes what is posted; the stage itself keeps requests, whose bodies are gone afterwards."""
    request = stage.session.request

    def hear(*args, json=None, **options):
        bodies.append(copy.deepcopy(json))
        return request(*args, json=json, **options)

    stage.session = type("Heard", (), {"request": staticmethod(hear)})()


async def test_our_address_is_registered_once():
    url = "https://acervo.example.test/hooks/messagebird/01J"
    ours = {
        "id": "w1",
        "url": url,
        "channelId": CREDENTIALS.account_id,
        "events": ["message.created", "message.updated"],
    }
    theirs = {**ours, "id": "w2", "url": "https://crm.example.test/in"}
    another = {
        **ours,
        "id": "w3",
        "channelId": "c0",
        "url": "https://acervo.example.test/hooks/messagebird/02J",
    }
    assert isinstance(MessageBird(CREDENTIALS), Registers)
    bodies = []
    async with stage_with(MessageBird, [webhooks(theirs, another), Answer(201, body=b"{}")]) as stage:
        hear_bodies(stage, bodies)
        await stage.provider.register(stage.session, url)
        assert [(r.method, r.path) for r in stage.requests] == [
            ("GET", "/v1/webhooks"),
            ("POST", "/v1/webhooks"),
        ]
        assert bodies[-1] == {"events": ours["events"], "channelId": CREDENTIALS.account_id, "url": url}
    async with stage_with(MessageBird, [webhooks(theirs, ours), webhooks(theirs, ours), webhooks()]) as stage:
        await stage.provider.register(stage.session, url)
        assert {request.method for request in stage.requests} == {"GET"}
        assert await stage.provider.registered(stage.session) == url
        assert await stage.provider.registered(stage.session) is None
    async with stage_with(
        MessageBird, [webhooks(theirs, ours, {**ours, "id": "../../x"}), Answer(204, body=b"")]
    ) as stage:
        await stage.provider.unregister(stage.session, url)
        assert [(r.method, r.path) for r in stage.requests[1:]] == [("DELETE", "/v1/webhooks/w1")]


async def test_a_file_whose_link_was_forgotten_is_found_by_its_id():
    document = json.loads((HERE / "payloads" / "audio.json").read_text())
    (event,) = TestMessageBird().read(json.dumps(document).encode()).events
    assert links.address(event.files[0].provider_id) == event.files[0].url
    async with stage_with(MessageBird, SCRIPTS[Scene.FOUND]) as stage:
        forgotten = dataclasses.replace(stage.file, provider_id=stage.file.url, url=None)
        assert (await stage.provider.resolve(stage.session, forgotten)).url == stage.file.url
    assert links.identifier("https://" + "x" * 300, otherwise="m-0") == "m-0"
    assert links.address("m-0") is None
