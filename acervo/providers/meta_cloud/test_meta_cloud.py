"""Meta's Cloud API keeps every promise of the contract, and Meta's own oddities are met."""

import base64
import copy
import hashlib
import hmac
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acervo.base.errors import AcervoError
from acervo.providers.conformance import ProviderConformance
from acervo.providers.contract import (
    AccessLost,
    AnnouncedFile,
    Credentials,
    ForgedWebhook,
    Identity,
    Kind,
    MediaGone,
    Outcome,
    ProviderBusy,
    Resolved,
    Webhook,
)
from acervo.providers.evidence import plain
from acervo.providers.meta_cloud import errors, files, outgoing
from acervo.providers.meta_cloud.adapter import GRAPH_API_VERSION, AddressTooLong, MetaCloud
from acervo.providers.scrambling import scrambled
from acervo.providers.scripted import BUSY_FOR_S, Answer, Scene, http_stage
from acervo.providers.sending import Button, NotSent, Outgoing, OutsideWindow, Template
from acervo.providers.sending_conformance import Reply, SendingConformance

HERE = Path(__file__).parent
CREDENTIALS = Credentials(
    "106500000000001",
    {
        "token": "EAAfixtureToken0001",
        "app_secret": "fixture_app_secret_0123456789abcdef",
        "verify_token": "fixture-verify",
    },
)
VOICE = AnnouncedFile("900000000000001", Kind.VOICE)


def recorded(name):
    """One of `media/`, as an answer: error files carry status, headers and body; the others are the body."""
    told = json.loads((HERE / "media" / f"{name}.json").read_text())
    if "http_status" not in told:
        return Answer(body=json.dumps(told).encode())
    return Answer(told["http_status"], told.get("headers", {}), json.dumps(told.get("body", {})).encode())


def graph_error(code, status=400, **headers):
    return Answer(
        status, headers, json.dumps({"error": {"code": code, "message": "EAAfixtureToken0001"}}).encode()
    )


def promised(name):
    told = json.loads((HERE / "media" / f"{name}.json").read_text())
    return Resolved(told["url"], sha256=told["sha256"], size_bytes=told["file_size"])


EXPIRED = recorded("error_expired_or_unknown_id_400")
SCRIPTS = {
    Scene.FOUND: [recorded("get_media_voice")],
    Scene.LOST: [EXPIRED, EXPIRED],
    Scene.BUSY: [graph_error(80007, **{"Retry-After": str(BUSY_FOR_S)})],
    Scene.REVOKED: [recorded("error_token_expired_401")],
    Scene.UNWELL: [Answer(500, body=b"<html>")],
    Scene.NONSENSE: [Answer(200, body=b"<html>")],
    Scene.SILENT: [Answer(hangs_up=True)],
    Scene.ALIVE: [
        Answer(body=b'{"id":"106500000000001","quality_rating":"GREEN","throughput":{"level":"STANDARD"}}'),
        Answer(body=b'{"storage_configuration":{"status":"DEFAULT"}}'),
        Answer(body=b'{"status":"CONNECTED","account_mode":"LIVE","id":"106500000000001"}'),
        Answer(body=b'{"data":{"expires_at":1893456000,"scopes":["whatsapp_business_messaging"]}}'),
    ],
    Scene.DEAD: [recorded("error_token_expired_401")],
    Scene.SICK: [graph_error(2, status=503)],
    Scene.MUTE: [Answer(hangs_up=True)],
}


def sent_back(name):
    return Answer(body=(HERE / "media" / f"{name}.json").read_bytes())


TAKEN_ID = "wamid.HBgLMTU1NTU1NTAxNDIVAgARGBIzRUIwMDAwMDAwMDAwQjAwMzYA"
TEMPLATE = Template("media_consent", "pt_BR", ("Empresa Teste",))
SENDING_REPLIES = {
    Reply.TAKEN: [sent_back("send_response_ok")],
    Reply.LATE: [graph_error(131047)],
    Reply.REFUSED: [graph_error(131026)],
    Reply.BUSY: [graph_error(130429, **{"Retry-After": str(BUSY_FOR_S)})],
    Reply.REVOKED: [recorded("error_token_expired_401")],
    Reply.UNWELL: [graph_error(131016, status=500)],
    Reply.NONSENSE: [Answer(200, body=b"<html>")],
    Reply.SILENT: [Answer(hangs_up=True)],
}
"""Graph's answers to a message; 360dialog passes the same on."""


class TestMetaCloud(SendingConformance, ProviderConformance):
    provider = MetaCloud
    folder = HERE
    account_id = CREDENTIALS.account_id
    secrets = CREDENTIALS.secrets
    signing_secret = "app_secret"
    lost_payload = "image_lost_131052"
    replies = SENDING_REPLIES
    taken_id = TAKEN_ID
    template = TEMPLATE

    def sign(self, body, secret):
        digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        return Webhook("POST", {"x-hub-signature-256": f"sha256={digest}"}, body)

    def handshake_with(self, token):
        query = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": token}
        return Webhook("GET", {}, b"", query)

    def join(self, documents):
        entries = [
            document.get("entry") if isinstance(document, dict) else document for document in documents
        ]
        flat = [entry for found in entries for entry in (found if isinstance(found, list) else [found])]
        return {"object": "whatsapp_business_account", "entry": flat}

    def vector_webhook(self, vector):
        headers = {name.lower(): value for name, value in vector["header"].items()}
        return Webhook("POST", headers, base64.b64decode(vector["body_base64"]))

    def vector_secret(self, vector):
        return vector["app_secret"]

    def stage(self, scene):
        return http_stage(
            self.provider, CREDENTIALS, VOICE, SCRIPTS[scene], promised=promised("get_media_voice")
        )

    def sending(self, answers):
        return http_stage(self.provider, CREDENTIALS, VOICE, answers)


def test_every_handshake_vector_is_answered_as_recorded():
    for vector in json.loads((HERE / "signatures.json").read_text())["handshake"]:
        query = {name: values[0] for name, values in parse_qs(vector["query"]).items()}
        adapter = MetaCloud(Credentials("1", {"verify_token": vector["verify_token"]}))
        if vector["status"] == 200:
            assert adapter.handshake(Webhook("GET", {}, b"", query)) == vector["body"]
        else:
            with pytest.raises(ForgedWebhook):
                adapter.handshake(Webhook("GET", {}, b"", query))


@settings(max_examples=150, deadline=None, database=None)
@given(st.data())
def test_a_scrambled_message_never_costs_the_messages_beside_it(data):
    suite = TestMetaCloud()
    changes = [document["entry"][0]["changes"][0]["value"] for document in suite.documents()]
    broken = data.draw(
        scrambled(data.draw(st.sampled_from([c["messages"] for c in changes if "messages" in c])))
    )
    whole = json.loads(suite.payloads()["batch_multi_entry_with_duplicate"])
    beside = copy.deepcopy(whole)
    beside["entry"][0]["changes"][0]["value"]["messages"] += broken
    wanted = Counter(repr(plain(event)) for event in suite.read(json.dumps(whole).encode()).events)
    reading = suite.read(json.dumps(beside).encode())
    assert wanted <= Counter(repr(plain(event)) for event in reading.events)
    assert not [unread for unread in reading.unread if "reader failed" in unread.reason]


async def test_the_number_is_named_first_and_left_out_once_before_a_file_is_given_up():
    async with http_stage(MetaCloud, CREDENTIALS, VOICE, [EXPIRED, recorded("get_media_voice")]) as stage:
        resolved = await stage.provider.resolve(stage.session, VOICE)
    assert resolved.size_bytes == 311
    assert resolved.expires_at == datetime(2026, 1, 1, 0, 5, tzinfo=UTC)
    assert [dict(request.query) for request in stage.requests] == [
        {"phone_number_id": CREDENTIALS.account_id},
        {},
    ]
    assert {request.path for request in stage.requests} == {f"/{GRAPH_API_VERSION}/{VOICE.provider_id}"}
    assert {request.headers["Authorization"] for request in stage.requests} == {"Bearer EAAfixtureToken0001"}


@pytest.mark.parametrize(
    ("code", "status", "family", "outcome"),
    [
        (100, 400, MediaGone, Outcome.EXPIRED),
        (100, 500, ProviderBusy, Outcome.UNAVAILABLE),
        (190, 401, AccessLost, Outcome.TOKEN_REVOKED),
        (0, 401, AccessLost, Outcome.TOKEN_REVOKED),
        (10, 403, AccessLost, Outcome.FORBIDDEN),
        (200, 403, AccessLost, Outcome.FORBIDDEN),
        (299, 400, AccessLost, Outcome.FORBIDDEN),
        (131005, 403, AccessLost, Outcome.FORBIDDEN),
        (3, 400, AccessLost, Outcome.FORBIDDEN),
        (4, 400, ProviderBusy, Outcome.RATE_LIMITED),
        (80007, 400, ProviderBusy, Outcome.RATE_LIMITED),
        (130429, 429, ProviderBusy, Outcome.RATE_LIMITED),
        (368, 400, AccessLost, Outcome.BLOCKED),
        (131031, 403, AccessLost, Outcome.BLOCKED),
        (130497, 403, AccessLost, Outcome.BLOCKED),
        *((code, 500, ProviderBusy, Outcome.UNAVAILABLE) for code in (1, 2, 131000, 131016, 131057, 133004)),
        (None, 401, AccessLost, Outcome.TOKEN_REVOKED),
        (None, 403, AccessLost, Outcome.FORBIDDEN),
        (None, 404, ProviderBusy, Outcome.UNKNOWN),
        (None, 429, ProviderBusy, Outcome.RATE_LIMITED),
        (None, 502, ProviderBusy, Outcome.UNAVAILABLE),
        (987654, 400, ProviderBusy, Outcome.UNKNOWN),
    ],
)
def test_metas_error_codes_mean_what_the_table_says(code, status, family, outcome):
    refusal = errors.refusal(status, {}, graph_error(code).body)
    assert (type(refusal), refusal.code) == (family, outcome)


def test_a_dead_link_is_resolved_again_and_a_page_instead_of_a_file_is_not_taken():
    refusal = MetaCloud(CREDENTIALS).download_refusal
    assert refusal(404, {"Content-Type": "text/html"}, b"").code == Outcome.URL_DIED
    assert refusal(200, {}, b"<html>").code == Outcome.NOT_MEDIA


def test_usage_is_the_worst_of_what_meta_reports():
    usage = MetaCloud(CREDENTIALS).usage(recorded("get_media_200_headers").headers)
    assert (usage.percent, usage.regain_after_s) == (1, 0)
    limit = {"102900000000001": [{"call_count": 12, "total_time": 95, "estimated_time_to_regain_access": 3}]}
    headers = {"X-Business-Use-Case-Usage": json.dumps(limit), "X-Ad-Api-Version-Warning": "old"}
    usage = MetaCloud(CREDENTIALS).usage(headers)
    assert (usage.percent, usage.regain_after_s) == (95, 180)
    assert usage.facts == {"api_version_is_ending": True}
    assert errors.refusal(400, headers, graph_error(80007).body).after_s == 180
    assert errors.usage(recorded("error_app_rate_limit_4").headers).percent == 100


def test_the_bearer_goes_to_metas_two_hosts_and_to_the_one_the_operator_named():
    adapter = MetaCloud(
        Credentials("1", CREDENTIALS.secrets, api_base="http://127.0.0.1:8080", allowed_hosts=("media.test",))
    )
    for url in (
        "https://lookaside.fbsbx.com/a",
        "https://graph.facebook.com/a",
        "http://127.0.0.1:9/a",
        "http://media.test/a",
    ):
        assert (
            adapter.download_request(Resolved(url)).headers["Authorization"] == "Bearer EAAfixtureToken0001"
        )
    assert (
        "127.0.0.1"
        not in MetaCloud(CREDENTIALS)
        .download_request(Resolved("https://lookaside.fbsbx.com/a"))
        .allowed_hosts
    )


def test_both_spellings_of_a_hash_are_the_same_hash():
    spelled_hex = "237d040b9f06f3758dd351d268aee45b03fb0300395106641696657c4606e78b"
    spelled_base64 = "I30EC58G83WN01HSaK7kWwP7AwA5UQZkFpZlfEYG54s="
    for spelling in (
        spelled_hex,
        spelled_hex.upper(),
        spelled_base64,
        spelled_base64.rstrip("="),
        spelled_base64.replace("/", "_"),
    ):
        assert files.sha256_hex(spelling) == spelled_hex
    for wrong in (None, "", "zz" * 32, spelled_hex[:-1], 12, "=" * 44):
        assert files.sha256_hex(wrong) is None


def test_a_customer_cannot_merge_with_another_by_the_name_they_choose():
    document = json.loads((HERE / "payloads" / "system_user_changed_user_id.json").read_text())
    system = document["entry"][0]["changes"][0]["value"]["messages"][0]["system"]
    for name in ("Eve changed from US.666 to US.10000000000000000999", "US.666", "from US.666 to"):
        system["body"] = f"User {name} changed from US.10000000000000000142 to US.10000000000000000999"
        change = TestMetaCloud().read(json.dumps(document).encode()).events[1]
        assert change.before.user_id == "US.10000000000000000142"
    system["body"] = "Eve changed from US.666 to US.10000000000000000999 (texto em outra língua)"
    assert TestMetaCloud().read(json.dumps(document).encode()).events[1].before.user_id is None


# Saying something ourselves

MARINA = Identity(phone="+15555550142")


def test_a_message_is_written_as_in_metas_own_samples():
    said = {
        "request_text_to_bsuid": Outgoing(Identity(user_id="US.10000000000000000142"), text="Olá"),
        "request_reply_context": Outgoing(
            MARINA,
            text="recebido",
            reply_to="wamid.HBgLMTU1NTU1NTAxNDIVAgASGBQzQTAwMDAwMDAwMDAwMDBBMDAzQQA=",
        ),
        "request_template_consent": Outgoing(
            MARINA, template=TEMPLATE, buttons=(Button("consent:accept:v3", "Concordo"),)
        ),
        "request_consent_buttons": Outgoing(
            MARINA,
            text="Podemos guardar os arquivos que você enviar?",
            buttons=(
                Button("consent:accept:v3", "Concordo"),
                Button("consent:decline:v3", "Não concordo"),
            ),
        ),
    }
    for name, message in said.items():
        sample = json.loads((HERE / "media" / f"send_{name}.json").read_text())
        sample.get("interactive", {}).pop("footer", None)  # ours have none
        assert outgoing.as_graph(message) == sample, name


@pytest.mark.parametrize(
    ("code", "family", "outcome"),
    [
        (131047, OutsideWindow, "outside_window"),
        (470, OutsideWindow, "outside_window"),
        *(
            (code, NotSent, "not_sent")
            for code in (100, 131008, 131026, 131049, 131050, 131062, 132001, 132015)
        ),
        *((code, ProviderBusy, Outcome.RATE_LIMITED) for code in (4, 80007, 130429, 131048, 131056)),
        *((code, AccessLost, Outcome.BLOCKED) for code in (368, 131031)),
        (190, AccessLost, Outcome.TOKEN_REVOKED),
        (10, AccessLost, Outcome.FORBIDDEN),
        (131000, ProviderBusy, Outcome.UNAVAILABLE),
    ],
)
async def test_metas_refusals_of_a_message_mean_what_the_table_says(code, family, outcome):
    async with http_stage(MetaCloud, CREDENTIALS, VOICE, [graph_error(code)]) as stage:
        with pytest.raises(AcervoError) as refusal:
            await stage.provider.send(stage.session, Outgoing(MARINA, text="Olá"))
    assert (type(refusal.value), refusal.value.code) == (family, outcome)


@pytest.mark.parametrize(
    "message",
    [
        Outgoing(MARINA, text=" "),
        Outgoing(MARINA, text="x" * 4097),
        Outgoing(MARINA, text="x" * 1025, buttons=(Button("a", "Sim"),)),
        Outgoing(Identity(name="Marina"), text="Olá"),
    ],
)
def test_what_cannot_be_sent_is_refused_without_asking(message):
    with pytest.raises(NotSent):
        outgoing.as_graph(message)


# Registering

ADDRESS = "https://archive.example.test/hooks/meta_cloud/01kfixture"
DONE = Answer(body=b'{"success":true}')


async def test_the_number_alone_is_told_our_address_and_the_app_is_subscribed():
    credentials = Credentials(
        CREDENTIALS.account_id, CREDENTIALS.secrets, options={"waba_id": "102900000000001"}
    )
    told = {"application": "https://app.example.test/", "phone_number": ADDRESS}
    now = Answer(body=json.dumps({"webhook_configuration": told, "id": "106500000000001"}).encode())
    async with http_stage(MetaCloud, credentials, VOICE, [DONE, DONE, now]) as stage:
        await stage.provider.register(stage.session, ADDRESS)
        assert await stage.provider.registered(stage.session) == ADDRESS
        assert [(request.method, request.path) for request in stage.requests] == [
            ("POST", f"/{GRAPH_API_VERSION}/102900000000001/subscribed_apps"),
            ("POST", f"/{GRAPH_API_VERSION}/106500000000001"),
            ("GET", f"/{GRAPH_API_VERSION}/106500000000001"),
        ]
        assert json.loads(stage.bodies[1]) == {
            "webhook_configuration": {"override_callback_uri": ADDRESS, "verify_token": "fixture-verify"}
        }


async def test_without_an_address_of_its_own_the_apps_counts_and_none_is_none():
    for told, found in (({"application": "https://a.test/"}, "https://a.test/"), ({}, None)):
        body = json.dumps({"webhook_configuration": told}).encode()
        async with http_stage(MetaCloud, CREDENTIALS, VOICE, [Answer(body=body)]) as stage:
            assert await stage.provider.registered(stage.session) == found


async def test_the_numbers_own_address_ends_and_only_if_it_is_ours():
    def now(address):
        told = {"application": "https://app.example.test/", "phone_number": address}
        return Answer(body=json.dumps({"webhook_configuration": told}).encode())

    async with http_stage(MetaCloud, CREDENTIALS, VOICE, [now(ADDRESS), DONE]) as stage:
        await stage.provider.unregister(stage.session, ADDRESS)
        assert [request.method for request in stage.requests] == ["GET", "POST"]
        assert json.loads(stage.bodies[1]) == {"webhook_configuration": {"override_callback_uri": ""}}
    async with http_stage(MetaCloud, CREDENTIALS, VOICE, [now("https://crm.example.test/in")]) as stage:
        await stage.provider.unregister(stage.session, ADDRESS)
        assert [request.method for request in stage.requests] == ["GET"]


async def test_registering_fails_in_words():
    for answer, family in (
        (EXPIRED, AccessLost),
        (recorded("error_token_expired_401"), AccessLost),
        (graph_error(2, status=503), ProviderBusy),
        (Answer(200, body=b"<html>"), ProviderBusy),
    ):
        async with http_stage(MetaCloud, CREDENTIALS, VOICE, [answer]) as stage:
            with pytest.raises(family):
                await stage.provider.register(stage.session, ADDRESS)
    async with http_stage(MetaCloud, CREDENTIALS, VOICE, []) as stage:
        with pytest.raises(AddressTooLong):
            await stage.provider.register(stage.session, ADDRESS + "x" * 200)


@pytest.mark.parametrize(
    ("settings_answer", "keeps_files"),
    [
        (
            Answer(body=b'{"storage_configuration":{"status":"NO_STORAGE_ENABLED","retention_minutes":60}}'),
            False,
        ),
        (Answer(body=b'{"storage_configuration":{"status":"DEFAULT"}}'), True),
        (Answer(body=b"{}"), None),
        (Answer(403), None),
        (Answer(hangs_up=True), None),
    ],
)
async def test_a_check_tells_whether_meta_keeps_files_and_lives_without_knowing(settings_answer, keeps_files):
    async with http_stage(MetaCloud, CREDENTIALS, VOICE, [SCRIPTS[Scene.ALIVE][0], settings_answer]) as stage:
        health = await stage.provider.check(stage.session)
    assert (health.code, health.facts.get("keeps_files")) == ("ok", keeps_files)


def test_an_edit_whose_new_form_cannot_be_read_revokes_nothing():
    document = json.loads((HERE / "payloads" / "edit_image_caption_coexistence.json").read_text())
    edit = document["entry"][0]["changes"][0]["value"]["messages"][0]["edit"]
    for form in (None, {}, {"type": "new_kind"}, {"type": "revoke"}, {"type": "edit"}, []):
        edit["message"] = form
        reading = TestMetaCloud().read(json.dumps(document).encode())
        assert not reading.events
        assert len(reading.unread) == 1


NUMBER = Answer(
    body=b'{"id":"1","quality_rating":"YELLOW","whatsapp_business_manager_messaging_limit":"TIER_1K"}'
)
KEEPS = Answer(body=b'{"storage_configuration":{"status":"DEFAULT"}}')
STATUS = Answer(
    body=b'{"status":"FLAGGED","account_mode":"SANDBOX","code_verification_status":"EXPIRED","id":"1"}'
)


async def test_a_check_tells_how_the_number_and_its_token_are():
    ends = {"expires_at": 1_893_456_000, "data_access_expires_at": 1_890_000_000}
    token = {"data": {**ends, "scopes": ["whatsapp_business_messaging", "public_profile"]}}
    answers = [NUMBER, KEEPS, STATUS, Answer(body=json.dumps(token).encode())]
    async with http_stage(MetaCloud, CREDENTIALS, VOICE, answers) as stage:
        health = await stage.provider.check(stage.session)
        asked = [(request.method, request.path) for request in stage.requests]
        assert json.loads(stage.bodies[-1]) == {"input_token": CREDENTIALS.secrets["token"], "method": "get"}
    assert asked[-1] == ("POST", "/v25.0/debug_token")
    assert health.facts == {
        "quality_rating": "YELLOW",
        "messaging_limit": "TIER_1K",
        "status": "FLAGGED",
        "account_mode": "SANDBOX",
        "code_verification_status": "EXPIRED",
        "token_expires_at": "2029-11-22T00:00:00+00:00",
        "permissions_missing": ["whatsapp_business_management"],
        "keeps_files": True,
        "unwell": ["status", "account_mode"],
    }


@pytest.mark.parametrize(
    ("told", "facts"),
    [
        ({"expires_at": 0, "data_access_expires_at": 0}, {"token_never_expires": True}),
        (
            {"expires_at": 0, "data_access_expires_at": 1_890_000_000},
            {"token_expires_at": "2029-11-22T00:00:00+00:00"},
        ),
        ({"expires_at": "soon", "scopes": "all"}, {}),
        ([], {}),
        (None, {}),
    ],
)
async def test_what_meta_does_not_tell_of_a_token_is_not_made_up(told, facts):
    answers = [NUMBER, KEEPS, Answer(400), Answer(body=json.dumps({"data": told}).encode())]
    async with http_stage(MetaCloud, CREDENTIALS, VOICE, answers) as stage:
        health = await stage.provider.check(stage.session)
    assert (health.code, {name: fact for name, fact in health.facts.items() if "token" in name}) == (
        "ok",
        facts,
    )
