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

from acervo.providers.conformance import ProviderConformance
from acervo.providers.contract import (
    AccessLost,
    AnnouncedFile,
    Credentials,
    ForgedWebhook,
    Kind,
    MediaGone,
    Outcome,
    ProviderBusy,
    Resolved,
    Webhook,
)
from acervo.providers.evidence import plain
from acervo.providers.meta_cloud import errors, files
from acervo.providers.meta_cloud.adapter import GRAPH_API_VERSION, MetaCloud
from acervo.providers.scrambling import scrambled
from acervo.providers.scripted import BUSY_FOR_S, Answer, Scene, http_stage

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
        Answer(body=b'{"id":"106500000000001","quality_rating":"GREEN","throughput":{"level":"STANDARD"}}')
    ],
    Scene.DEAD: [recorded("error_token_expired_401")],
    Scene.SICK: [graph_error(2, status=503)],
    Scene.MUTE: [Answer(hangs_up=True)],
}


class TestMetaCloud(ProviderConformance):
    provider = MetaCloud
    folder = HERE
    account_id = CREDENTIALS.account_id
    secrets = CREDENTIALS.secrets
    signing_secret = "app_secret"
    lost_payload = "image_lost_131052"

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
