"""360dialog keeps every promise of the contract, and its own oddities are met."""

import json
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from acervo.base.errors import AcervoError
from acervo.providers.asking import host_of
from acervo.providers.conformance import ProviderConformance
from acervo.providers.contract import (
    AccessLost,
    AnnouncedFile,
    Announcement,
    Credentials,
    Kind,
    MediaGone,
    Outcome,
    ProviderBusy,
    Resolved,
    Webhook,
)
from acervo.providers.dialog360 import reading
from acervo.providers.dialog360.adapter import API, BLOCKED_FOR, HOST, Dialog360
from acervo.providers.meta_cloud.test_meta_cloud import SENDING_REPLIES, TAKEN_ID, TEMPLATE, graph_error
from acervo.providers.scripted import BUSY_FOR_S, LOOPBACK, Answer, Scene, http_stage
from acervo.providers.sending_conformance import SendingConformance

HERE = Path(__file__).parent
SECRETS = {
    "api_key": "fixtureD360Key000000001",
    "hook_secret": "fixture-secret",
    "path_key": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
}
CREDENTIALS = Credentials("106500000000001", SECRETS)
ADDRESS = f"https://archive.example.test/hooks/dialog360/01kfixture/{SECRETS['path_key']}"
VOICE = AnnouncedFile("900000000000001", Kind.VOICE)
HEALTHY = {
    "health_status": {
        "can_send_message": "LIMITED",
        "entities": [
            {"entity_type": "PHONE_NUMBER", "id": "106500000000001", "can_send_message": "AVAILABLE"},
            {"entity_type": "WABA", "id": "102900000000001", "can_send_message": "LIMITED"},
        ],
    }
}


def recorded(name):
    """One of `media/`: error files carry status and body; the others are the body."""
    told = json.loads((HERE / "media" / f"{name}.json").read_text())
    if "http_status" not in told:
        return Answer(body=json.dumps(told).encode())
    body = told["body_text"].encode() if "body_text" in told else json.dumps(told["body"]).encode()
    return Answer(told["http_status"], told.get("headers", {}), body)


FOUND = json.loads((HERE / "media" / "get_media.json").read_text())
EXPIRED = recorded("error_expired_or_unknown_id_400")
BLOCKED = recorded("error_media_blocked_429")
SCRIPTS = {
    Scene.FOUND: [recorded("get_media")],
    Scene.LOST: [EXPIRED],
    Scene.BUSY: [Answer(429, {"Retry-After": str(BUSY_FOR_S)}, b"Too Many Requests")],
    Scene.REVOKED: [Answer(401, body=b'{"error": "unauthorized"}')],
    Scene.UNWELL: [Answer(502, body=b"<html>")],
    Scene.NONSENSE: [Answer(200, body=b"<html>")],
    Scene.SILENT: [Answer(hangs_up=True)],
    Scene.ALIVE: [Answer(body=json.dumps(HEALTHY).encode())],
    Scene.DEAD: [Answer(403, body=b'{"meta": {"success": false}}')],
    Scene.SICK: [Answer(503)],
    Scene.MUTE: [Answer(hangs_up=True)],
}


class TestDialog360(SendingConformance, ProviderConformance):
    provider = Dialog360
    folder = HERE
    account_id = CREDENTIALS.account_id
    secrets = SECRETS
    signing_secret = "hook_secret"
    lost_payload = "legacy_image_undownloaded"
    replies = SENDING_REPLIES
    taken_id = TAKEN_ID
    template = TEMPLATE

    def sign(self, body, secret):
        return Webhook("POST", {"x-hook-secret": secret}, body, url=ADDRESS)

    def is_batched(self, document):
        return isinstance(document, dict) and "object" in document

    def join(self, documents):
        entries = [
            document.get("entry") if isinstance(document, dict) else document for document in documents
        ]
        flat = [entry for found in entries for entry in (found if isinstance(found, list) else [found])]
        return {"object": "whatsapp_business_account", "entry": flat}

    def vector_webhook(self, vector):
        headers = {name.lower(): value for name, value in vector["received_headers"].items()}
        return Webhook("POST", headers, b"{}", url=ADDRESS)

    def vector_secret(self, vector):
        return json.loads((HERE / "signatures.json").read_text())["secret"]

    @asynccontextmanager
    async def stage(self, scene):
        async with http_stage(self.provider, CREDENTIALS, VOICE, SCRIPTS[scene]) as stage:
            here = stage.provider.download_request(Resolved(FOUND["url"])).url
            assert here.endswith(FOUND["url"].removeprefix("https://lookaside.fbsbx.com"))
            assert host_of(here) == LOOPBACK
            stage.promised = Resolved(here, sha256=FOUND["sha256"], size_bytes=FOUND["file_size"])
            yield stage

    def sending(self, answers):
        return http_stage(self.provider, CREDENTIALS, VOICE, answers)


# Where the key goes


def test_a_link_of_the_look_up_is_asked_for_at_360dialogs_host_byte_for_byte():
    told = json.loads((HERE / "media" / "download_rewrite.json").read_text())
    request = Dialog360(CREDENTIALS).download_request(Resolved(told["resolved_url"]))
    assert request.url == told["must_request_instead"]
    assert request.headers["D360-API-KEY"] == SECRETS["api_key"]
    assert request.credential_hosts == request.allowed_hosts == (HOST,)


@pytest.mark.parametrize(
    "url",
    [
        "http://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1",
        "https://lookaside.fbsbx.com:8443/whatsapp_business/attachments/?mid=1",
        "https://lookaside.fbsbx.com/elsewhere/?mid=1",
        "https://lookaside.fbsbx.com/whatsapp_business/attachments/../../v1/configs/webhook",
        "https://lookaside.fbsbx.com/whatsapp_business/attachments",
        "https://x.lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1",
        "https://lookaside.fbsbx.com.example.test/whatsapp_business/attachments/?mid=1",
        "https://user@lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1",
        "https://graph.facebook.com/whatsapp_business/attachments/?mid=1",
        "https://169.254.169.254/whatsapp_business/attachments/?mid=1",
        "https://[::1/",
        "",
    ],
)
async def test_any_other_link_is_refused_before_it_is_rewritten(url):
    request = Dialog360(CREDENTIALS).download_request(Resolved(url))
    assert SECRETS["api_key"] not in str(request.headers)
    assert request.url == url
    assert host_of(url) not in request.allowed_hosts
    answer = Answer(body=json.dumps({**FOUND, "url": url or "x"}).encode())
    async with http_stage(Dialog360, CREDENTIALS, VOICE, [answer]) as stage:
        with pytest.raises(MediaGone) as refusal:
            await stage.provider.resolve(stage.session, VOICE)
    assert refusal.value.code == Outcome.FORBIDDEN_HOST


async def test_every_request_shows_the_key_in_its_own_header_and_no_bearer():
    for scene in (Scene.FOUND, Scene.ALIVE):
        async with TestDialog360().stage(scene) as stage:
            asked = stage.provider.resolve(stage.session, VOICE) if scene is Scene.FOUND else None
            await (asked or stage.provider.check(stage.session))
            assert [request.headers["D360-API-KEY"] for request in stage.requests] == [SECRETS["api_key"]]
            assert not [request for request in stage.requests if "Authorization" in request.headers]


# The block


async def test_an_id_that_is_refused_is_asked_for_once():
    async with http_stage(Dialog360, CREDENTIALS, VOICE, [EXPIRED]) as stage:
        with pytest.raises(MediaGone):
            await stage.provider.resolve(stage.session, VOICE)
    assert [request.path for request in stage.requests] == ["/900000000000001"]


async def test_while_it_blocks_us_we_stay_away_for_an_hour():
    async with http_stage(Dialog360, CREDENTIALS, VOICE, [BLOCKED]) as stage:
        with pytest.raises(ProviderBusy) as refusal:
            await stage.provider.resolve(stage.session, VOICE)
    assert (refusal.value.code, refusal.value.after_s) == (
        Outcome.RATE_LIMITED,
        BLOCKED_FOR.total_seconds(),
    )
    dead = Dialog360(CREDENTIALS).download_refusal(404, {}, b"")
    assert (dead.code, dead.after_s) == (Outcome.URL_DIED, 600)


def test_our_breaker_rests_before_the_stricter_of_the_two_documented_blocks():
    assert Dialog360.capabilities.download_failures_per_hour < 5
    assert timedelta(hours=1) <= BLOCKED_FOR


def files_of(name, read=reading.read):
    body = (HERE / "payloads" / f"{name}.json").read_bytes()
    events = [event for event in read(body, "106500000000001").events if isinstance(event, Announcement)]
    return [file for event in events for file in event.files]


def test_a_webhooks_own_link_is_used_only_where_somebody_has_seen_it_work(monkeypatch):
    assert [file.url for file in files_of("audio_voice_note")] == [None]
    monkeypatch.setattr(reading, "TAKES_READY_LINKS", True)
    (file,) = files_of("audio_voice_note")
    assert Dialog360(CREDENTIALS).download_request(Resolved(file.url)).url.startswith(f"{API}/whatsapp")


# Its own shapes


@pytest.mark.parametrize("name", ["voice", "audio", "image", "document"])
def test_a_file_of_the_ended_product_is_announced_as_lost_and_keeps_its_facts(name):
    (file,) = files_of(f"legacy_{name}")
    assert file.refusal == Outcome.EXPIRED
    assert file.kind == name
    assert file.provider_id
    assert file.sha256


def test_the_partners_envelope_says_what_metas_own_would_say():
    body = json.loads((HERE / "payloads" / "partner_history_envelope.json").read_text())
    value = {key: part for key, part in body["data"].items() if key != "id"}
    entry = {"id": body["data"]["id"], "changes": [{"field": "history", "value": value}]}
    metas = {"object": "whatsapp_business_account", "entry": [entry]}
    assert reading.read(json.dumps(body).encode(), "1") == reading.read(json.dumps(metas).encode(), "1")


# Registering


async def test_the_address_is_registered_with_the_secret_in_both_spellings():
    told = json.loads((HERE / "media" / "set_webhook_request.json").read_text())
    answer = Answer(body=json.dumps(told).encode())
    async with http_stage(Dialog360, CREDENTIALS, VOICE, [answer, answer]) as stage:
        await stage.provider.register(stage.session, told["url"])
        assert await stage.provider.registered(stage.session) == told["url"]
        assert [(r.method, r.path) for r in stage.requests] == [
            ("POST", "/v1/configs/webhook"),
            ("GET", "/v1/configs/webhook"),
        ]
        assert json.loads(stage.bodies[0]) == told
    for name, value in told["headers"].items():
        hook = Webhook("POST", {name.lower(): value}, b"", url=ADDRESS)
        Dialog360(CREDENTIALS).verify(hook)


async def test_a_key_that_may_not_register_needs_a_person():
    for status, body in ((401, b""), (403, b""), (400, EXPIRED.body)):
        async with http_stage(Dialog360, CREDENTIALS, VOICE, [Answer(status, body=body)]) as stage:
            with pytest.raises(AccessLost):
                await stage.provider.register(stage.session, ADDRESS)


@pytest.mark.parametrize("status", [500, 302, 200])
async def test_an_answer_that_is_not_360dialogs_registers_nothing(status):
    async with http_stage(Dialog360, CREDENTIALS, VOICE, [Answer(status, body=b"<html>")]) as stage:
        with pytest.raises(AcervoError) as refusal:
            await stage.provider.registered(stage.session)
    assert isinstance(refusal.value, ProviderBusy)


def test_metas_codes_mean_the_same_here():
    refusal = Dialog360(CREDENTIALS).download_refusal
    assert isinstance(refusal(400, {}, graph_error(100).body), MediaGone)
    assert isinstance(refusal(401, {}, graph_error(190).body), AccessLost)
    assert "360dialog" in str(refusal(500, {}, b""))


async def test_a_check_tells_by_code_why_something_cannot_send():
    entities = [
        {
            "entity_type": "WABA",
            "can_send_message": "BLOCKED",
            "errors": [{"error_code": 141006}, {"error_code": "x"}],
        },
        "nonsense",
    ]
    told = {"health_status": {"can_send_message": "BLOCKED", "entities": entities}}
    async with http_stage(Dialog360, CREDENTIALS, VOICE, [Answer(body=json.dumps(told).encode())]) as stage:
        health = await stage.provider.check(stage.session)
    assert health.facts == {
        "can_send": "BLOCKED",
        "can_send_waba": "BLOCKED",
        "error_codes": [141006],
        "unwell": ["can_send", "can_send_waba"],
    }
