"""Twilio keeps every promise of the contract, and Twilio's own oddities are met."""

import base64
import hashlib
import hmac
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, urlencode

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acervo.base import clock
from acervo.providers.conformance import ProviderConformance
from acervo.providers.contract import (
    AccessLost,
    AccountEvent,
    AnnouncedFile,
    Announcement,
    Credentials,
    Identity,
    Kind,
    MediaGone,
    Outcome,
    ProviderBusy,
    Resolved,
    StatusUpdate,
    UnreadableWebhook,
    Webhook,
)
from acervo.providers.recovery import Forgets, Recovers, Registers
from acervo.providers.scripted import BUSY_FOR_S, LOOPBACK, Answer, Scene, http_stage
from acervo.providers.sending import Button, NotSent, Outgoing, OutsideWindow, Template
from acervo.providers.sending_conformance import Reply, SendingConformance
from acervo.providers.twilio import errors, files, sending
from acervo.providers.twilio.adapter import APPEARS_WITHIN, CDN_HOSTS, Twilio

HERE = Path(__file__).parent
ACCOUNT = "AC00000000000000000000000000000001"
MESSAGE = "MM00000000000000000000000000000001"
MEDIA = "ME00000000000000000000000000000001"
TOKEN = "fixture_twilio_auth_token_32chars"
NUMBER = "+15555550123"
CREDENTIALS = Credentials(NUMBER, {"auth_token": TOKEN}, {"account_sid": ACCOUNT})
VOICE = AnnouncedFile(f"{MESSAGE}/{MEDIA}", Kind.VOICE)
ADDRESS = "https://hooks.example.test/hooks/twilio/01"
ARRIVED_AT = datetime(2026, 1, 1, tzinfo=UTC)
FORM = {"content-type": "application/x-www-form-urlencoded"}
API = f"/2010-04-01/Accounts/{ACCOUNT}"


def recorded(name, **headers):
    told = json.loads((HERE / "media" / f"{name}.json").read_text())
    if "http_status" not in told:
        return answer(told)
    return answer(told["body"], status=told["http_status"], **headers)


def answer(body, *, status=200, **headers):
    return Answer(status, {"Content-Type": "application/json", **headers}, json.dumps(body).encode())


def twilio_error(code, status=400, **headers):
    return answer(
        {"code": code, "message": f"To {NUMBER} with {TOKEN}", "status": status}, status=status, **headers
    )


def redirect():
    told = json.loads((HERE / "media" / "redirect_307.json").read_text())["step1"]["response"]
    return Answer(told["status"], told["headers"])


SECOND_HOP = redirect().headers["Location"]
SCRIPTS = {
    Scene.FOUND: [redirect()],
    Scene.LOST: [recorded("error_404"), recorded("error_404")],
    Scene.BUSY: [recorded("error_429", **{"Retry-After": str(BUSY_FOR_S)})],
    Scene.REVOKED: [recorded("error_401")],
    Scene.UNWELL: [Answer(500, body=b"<html>")],
    Scene.NONSENSE: [Answer(200, {"Content-Type": "text/html"}, b"<html>")],
    Scene.SILENT: [Answer(hangs_up=True)],
    Scene.ALIVE: [
        answer({"messages": []}),
        answer({"status": "active", "type": "Full"}),
        answer({"balance": "12.345", "currency": "USD"}),
        answer({"senders": []}),
    ],
    Scene.DEAD: [recorded("error_401")],
    Scene.SICK: [Answer(503)],
    Scene.MUTE: [Answer(hangs_up=True)],
}


def signature(url, body, token):
    """Twilio's rule, written down a second time from its description."""
    found = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
    text = url + "".join(name + value for name, value in sorted(set(found)))
    return base64.b64encode(hmac.digest(token.encode(), text.encode(), "sha1")).decode()


class TestTwilio(ProviderConformance):
    provider = Twilio
    folder = HERE
    account_id = NUMBER
    secrets = CREDENTIALS.secrets
    options = CREDENTIALS.options
    signing_secret = "auth_token"
    lost_payload = "debugger_63019_quotes_the_message"
    payload_ending = ".form"

    def sign(self, body, secret):
        return Webhook("POST", {"x-twilio-signature": signature(ADDRESS, body, secret)}, body, url=ADDRESS)

    def webhook(self, body):
        return Webhook("POST", FORM, body, received_at=ARRIVED_AT)

    def parse(self, body):
        found = dict(parse_qsl(body.decode(), keep_blank_values=True))
        return {**found, "Payload": json.loads(found["Payload"])} if "Payload" in found else found

    def dump(self, document):
        told = {name: value if isinstance(value, str) else str(value) for name, value in document.items()}
        if "Payload" in document:
            told["Payload"] = json.dumps(document["Payload"])
        return urlencode(told, errors="surrogatepass").encode()

    def is_batched(self, document):
        return False

    def vector_webhook(self, vector):
        headers = {name.lower(): value for name, value in vector["header"].items()}
        headers["content-type"] = vector.get("content_type", FORM["content-type"])
        return Webhook("POST", headers, vector["body"].encode(), url=vector["url"])

    def vector_secret(self, vector):
        return vector["auth_token"]

    def stage(self, scene):
        return http_stage(self.provider, CREDENTIALS, VOICE, SCRIPTS[scene], promised=Resolved(SECOND_HOP))


TAKEN = json.loads((HERE / "media" / "sent_201.json").read_text())
CONTENT = answer({"sid": "HX00000000000000000000000000000002"}, status=201)


class TestTwilioSends(SendingConformance):
    secrets = CREDENTIALS.secrets
    taken_id = TAKEN["sid"]
    template = Template("HX00000000000000000000000000000001", "pt_BR", values=("Empresa Teste",))
    replies = {
        Reply.TAKEN: [answer(TAKEN, status=201)],
        Reply.LATE: [twilio_error(63016)],
        Reply.REFUSED: [twilio_error(21211)],
        Reply.BUSY: [twilio_error(63018, 429, **{"Retry-After": str(BUSY_FOR_S)})],
        Reply.REVOKED: [recorded("error_401")],
        Reply.UNWELL: [Answer(503)],
        Reply.NONSENSE: [Answer(201, body=b"<html>")],
        Reply.SILENT: [Answer(hangs_up=True)],
    }

    def sending(self, answers):
        sending.contents.clear()
        return http_stage(Twilio, CREDENTIALS, VOICE, answers)

    def answers(self, reply, message):
        return [*([CONTENT] if message.buttons else []), *self.replies[reply]]


def read(**said):
    body = urlencode({"AccountSid": ACCOUNT, "MessageSid": MESSAGE, **said}).encode()
    return Twilio(CREDENTIALS).read(Webhook("POST", FORM, body, received_at=ARRIVED_AT))


def inbound(**said):
    return read(
        **{"From": "whatsapp:+15555550142", "To": f"whatsapp:{NUMBER}", "Body": "", "NumMedia": "0", **said}
    )


def link(*, host="https://api.twilio.com", account=ACCOUNT, message=MESSAGE, media=MEDIA):
    return f"{host}/2010-04-01/Accounts/{account}/Messages/{message}/Media/{media}"


def authorization(name, password):
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


@asynccontextmanager
async def asked(*answers, credentials=CREDENTIALS):
    async with http_stage(Twilio, credentials, VOICE, answers) as stage:
        yield stage
        assert not stage.unexpected
        assert not stage.unused


# The signature


@pytest.mark.parametrize(
    ("signed", "knocked"),
    [
        ("https://a.test/h", "https://a.test/h"),
        ("https://a.test:443/h", "https://a.test/h"),
        ("https://a.test/h", "https://a.test:443/h"),
        ("https://a.test:8443/h", "https://a.test:8443/h"),
        ("https://a.test/h", "https://a.test:8443/h"),
        ("http://127.0.0.1:80/h", "http://127.0.0.1/h"),
    ],
)
def test_twilio_may_sign_with_the_port_or_without(signed, knocked):
    body = b"Body=oi"
    Twilio(CREDENTIALS).verify(
        Webhook("POST", {"x-twilio-signature": signature(signed, body, TOKEN)}, body, url=knocked)
    )


def test_a_signature_for_another_port_host_path_or_query_is_refused():
    body = b"Body=oi"
    suite = TestTwilio()
    for signed in (
        "https://a.test:8080/h",
        "https://b.test/h",
        "https://a.test/H",
        "https://a.test/h?a=1",
        "http://a.test/h",
    ):
        webhook = Webhook(
            "POST", {"x-twilio-signature": signature(signed, body, TOKEN)}, body, url="https://a.test/h"
        )
        assert not suite.accepts(webhook), signed


def test_repeated_names_and_blanks_are_signed_and_their_order_is_not():
    suite = TestTwilio()
    body = b"b=2&a=&b=1&b=2"
    webhook = suite.sign(body, TOKEN)
    assert suite.accepts(webhook)
    for changed in (b"b=2&a=&b=1&b=3", b"b=2&b=1&b=2&c=", b"b=2&b=1", b"a=&b=12"):
        assert not suite.accepts(Webhook("POST", webhook.headers, changed, url=ADDRESS)), changed
    assert suite.accepts(Webhook("POST", webhook.headers, b"a=&b=1&b=2", url=ADDRESS))


def test_json_is_believed_only_with_its_hash_in_the_signed_address():
    suite, body = TestTwilio(), b'{"MessageSid": "x"}'
    digest = hashlib.sha256(body).hexdigest()

    def is_taken(query, body, content_type="application/json"):
        url = f"{ADDRESS}{query}"
        headers = {"x-twilio-signature": signature(url, b"", TOKEN), "content-type": content_type}
        return suite.accepts(Webhook("POST", headers, body, url=url))

    assert is_taken(f"?bodySHA256={digest}", body)
    assert is_taken(f"?bodySHA256={digest.upper()}", body)
    assert not is_taken("", body)
    assert not is_taken("?bodySHA256=", body)
    assert not is_taken(f"?bodySHA256={digest}", body + b" ")
    assert not is_taken(f"?bodySHA256={digest}&bodySHA256={'0' * 64}", body)
    assert not is_taken(f"?bodySHA256={digest}", body, "application/x-www-form-urlencoded")
    assert not is_taken(f"?bodySHA256={digest}", b"", "application/x-www-form-urlencoded"), (
        "its signature, without it"
    )


@pytest.mark.parametrize("body", [b"a&" * 1001, b"Body=" + b"%41" * 100_000, b"&" * 3_000_000], ids=len)
def test_a_form_larger_than_any_of_twilios_is_refused_unread_even_with_its_signature(body):
    """Nobody is known before the signature is, so that decoding must be cheap."""
    suite = TestTwilio()
    assert not suite.accepts(suite.sign(body, TOKEN))
    with pytest.raises(UnreadableWebhook):
        suite.read(body)


def test_the_largest_message_of_whatsapp_is_no_such_form():
    body = urlencode({"Body": "👩‍👩‍👧‍👦" * 1000, "ProfileName": "é" * 100}).encode()
    assert TestTwilio().accepts(TestTwilio().sign(body, TOKEN))


# What a message says


def test_json_with_the_same_parameters_reads_the_same():
    form = (HERE / "payloads" / "image_caption.form").read_bytes()
    body = json.dumps(dict(parse_qsl(form.decode()))).encode()
    adapter = Twilio(CREDENTIALS)
    as_json = adapter.read(
        Webhook("POST", {"content-type": "application/json"}, body, received_at=ARRIVED_AT)
    )
    assert as_json.events == adapter.read(Webhook("POST", FORM, form, received_at=ARRIVED_AT)).events


@pytest.mark.parametrize(
    ("message_type", "mime", "kind"),
    [
        ("audio", "audio/ogg", Kind.VOICE),
        ("audio", "audio/ogg; codecs=opus", Kind.VOICE),
        ("audio", "AUDIO/OGG", Kind.VOICE),
        ("audio", "audio/mpeg", Kind.AUDIO),
        ("audio", "application/octet-stream", Kind.AUDIO),
        ("document", "audio/ogg", Kind.DOCUMENT),
        ("document", "video/mp4", Kind.DOCUMENT),
        ("video", "video/mp4", Kind.VIDEO),
        ("video", "application/octet-stream", Kind.VIDEO),
        ("image", "image/jpeg", Kind.IMAGE),
        ("image", "video/mp4", Kind.VIDEO),
        ("image", "image/webp", Kind.STICKER),
        ("sticker", "image/webp", Kind.STICKER),
        ("contacts", "text/vcard", Kind.DOCUMENT),
        ("", "audio/ogg", Kind.VOICE),
        ("", "application/ogg", Kind.VOICE),
        ("", "application/pdf", Kind.DOCUMENT),
        ("", "", Kind.DOCUMENT),
    ],
)
def test_what_a_file_is_follows_from_two_voices(message_type, mime, kind):
    said = inbound(NumMedia="1", MessageType=message_type, MediaUrl0=link(), MediaContentType0=mime)
    assert [file.kind for file in said.events[0].files] == [kind]


@pytest.mark.parametrize(
    "url",
    [
        link(account="AC00000000000000000000000000000002"),
        link(message="MM00000000000000000000000000000002"),
        link(host="https://evil.test"),
        link(host="https://api.twilio.com.evil.test"),
        link(host="https://api.twilio.com@evil.test"),
        link(host="https://user@api.twilio.com"),
        link(host="http://api.twilio.com"),
        link(host="https://api.twilio.com:8443"),
        link(host="//api.twilio.com"),
        link() + "/../../../x",
        link() + "?redirect=https://evil.test",
        link(media="ME%2e%2e"),
        "https://169.254.169.254/",
        "ftp://api.twilio.com/",
        "not a link",
        "https://[",
    ],
)
def test_a_link_that_is_not_to_our_own_file_is_listed_and_never_asked_for(url):
    said = inbound(NumMedia="2", MediaUrl0=url, MediaUrl1=link(), MediaContentType1="image/png", Body="dois")
    assert [file.provider_id for file in said.events[0].files] == [f"{MESSAGE}/{MEDIA}"]
    assert [unread.pointer for unread in said.unread] == ["/MediaUrl0"]
    assert url not in repr(said)


def test_a_promised_file_without_a_link_is_a_stated_loss():
    said = inbound(NumMedia="2", MessageType="image", MediaUrl0=link(), MediaContentType0="image/png")
    assert [file.refusal for file in said.events[0].files] == [None, Outcome.LOST_AT_PROVIDER]


def test_the_name_of_a_document_is_taken_from_the_body_and_a_caption_is_not():
    for body, name in (
        ("recibo.pdf", "recibo.pdf"),
        ("Segue o recibo. Obrigada!", None),
        ("../a.pdf", None),
        ("", None),
    ):
        said = inbound(NumMedia="1", MessageType="document", MediaUrl0=link(), Body=body)
        assert (said.events[0].files[0].file_name, said.events[0].text) == (name, body or None)


def test_a_plus_sign_that_was_not_encoded_is_a_plus_sign():
    body = f"AccountSid={ACCOUNT}&MessageSid={MESSAGE}&From=whatsapp:+15555550142&To=whatsapp:+15555550123&Body=oi"
    event = Twilio(CREDENTIALS).read(Webhook("POST", FORM, body.encode())).events[0]
    assert (event.sender.phone, event.account_id) == ("+15555550142", NUMBER)


def test_a_sender_of_the_same_account_is_named_as_such():
    assert inbound(To="whatsapp:+15555550199").events[0].account_id == "+15555550199"


def test_a_received_status_is_a_message_and_any_other_is_a_status():
    assert isinstance(inbound(MessageStatus="received", Body="oi").events[0], Announcement)
    status = read(
        From=f"whatsapp:{NUMBER}", To="whatsapp:+15555550142", MessageStatus="Undelivered", ErrorCode="63024"
    )
    assert status.events == (StatusUpdate(NUMBER, MESSAGE, "undelivered", ARRIVED_AT, "63024"),)
    assert read(To="whatsapp:+15555550142", MessageStatus="sent").events[0].account_id == NUMBER
    assert not read(From="+15555550123", To="+15555550142", MessageStatus="sent").events


def test_trouble_the_debugger_saw_is_told_in_words_without_its_values():
    payload = {"error_code": 11200, "more_info": {"Msg": f"secret {NUMBER}"}, "resource_sid": MESSAGE}
    body = urlencode({"Level": "ERROR", "Payload": json.dumps(payload)}).encode()
    reading = Twilio(CREDENTIALS).read(Webhook("POST", FORM, body, received_at=ARRIVED_AT))
    (event,) = reading.events
    assert isinstance(event, AccountEvent)
    assert (event.severity, event.type) == ("critical", "webhook_unreached")
    assert NUMBER not in repr(event)


@settings(max_examples=300, deadline=None, database=None)
@given(st.data())
def test_no_parameter_costs_the_message_more_than_itself(data):
    """Whatever one parameter of a batch of files says, the other files and the message are there."""
    names = ["Body", "ProfileName", "WaId", "MessageType", "ButtonPayload", "ListId", "Latitude", "Longitude",
             "ExternalUserId", "Forwarded", "ReferralBody", "OriginalRepliedMessageSid", "MediaContentType1", "MediaUrl1"]  # fmt: skip
    odd = data.draw(st.dictionaries(st.sampled_from(names), st.text(max_size=300), max_size=6))
    good = {"NumMedia": "2", "MediaUrl0": link(), "MediaContentType0": "image/png"}
    said = inbound(**{**good, "MediaUrl1": link(media="ME" + "0" * 31 + "2"), **{k: v.encode("utf-8", "replace").decode() for k, v in odd.items()}})  # fmt: skip
    assert said.events[0].message_id == MESSAGE
    assert f"{MESSAGE}/{MEDIA}" in [file.provider_id for file in said.events[0].files]


# Where the bytes are


async def test_our_credentials_are_shown_to_the_first_hop_only():
    async with asked(redirect()) as stage:
        resolved = await stage.provider.resolve(stage.session, VOICE)
    (request,) = stage.requests
    assert request.path == f"{API}/Messages/{MESSAGE}/Media/{MEDIA}"
    assert request.headers["Authorization"] == authorization(ACCOUNT, TOKEN)
    assert resolved.expires_at == datetime.fromtimestamp(1767240000, UTC)
    download = stage.provider.download_request(resolved)
    assert set(download.headers) == {"User-Agent"}
    assert set(CDN_HOSTS) & set(download.credential_hosts) == set()


async def test_an_api_key_stands_in_for_the_token_everywhere_but_in_signatures():
    keys = {"auth_token": TOKEN, "api_key_sid": "SK1", "api_key_secret": "s3cret-of-the-key"}
    credentials = Credentials(NUMBER, keys, CREDENTIALS.options)
    async with asked(redirect(), credentials=credentials) as stage:
        await stage.provider.resolve(stage.session, VOICE)
    assert stage.requests[0].headers["Authorization"] == authorization("SK1", "s3cret-of-the-key")
    suite = TestTwilio()
    Twilio(credentials).verify(suite.sign(b"Body=oi", TOKEN))


async def test_a_file_served_without_a_second_hop_is_asked_for_at_the_api_with_credentials():
    for mime in ("audio/ogg", "application/octet-stream"):
        async with asked(Answer(200, {"Content-Type": mime}, b"x" * 311)) as stage:
            resolved = await stage.provider.resolve(stage.session, VOICE)
            request = stage.provider.download_request(resolved)
        assert (resolved.size_bytes, resolved.mime) == (311, mime)
        assert request.headers["Authorization"] == authorization(ACCOUNT, TOKEN)


@pytest.mark.parametrize(
    "headers",
    [
        {"Location": "https://evil.test/a"},
        {"Location": "http://169.254.169.254/latest"},
        {"Location": "https://mms.twiliocdn.com.evil.test/"},
        {"Location": "http://mms.twiliocdn.com/a"},
        {"Location": "https://mms.twiliocdn.com:8443/a"},
        {"Location": "https://x@mms.twiliocdn.com/a"},
    ],
)
async def test_a_second_hop_that_must_not_be_followed_is_refused_for_good(headers):
    async with asked(Answer(307, headers)) as stage:
        with pytest.raises(MediaGone) as refusal:
            await stage.provider.resolve(stage.session, VOICE)
    assert refusal.value.code == Outcome.FORBIDDEN_HOST


@pytest.mark.parametrize("headers", [{"Location": f"{API}/Messages/{MESSAGE}/Media/{MEDIA}"}, {}])
async def test_a_link_that_leads_in_circles_costs_no_file(headers):
    async with asked(Answer(307, headers)) as stage:
        with pytest.raises(ProviderBusy) as refusal:
            await stage.provider.resolve(stage.session, VOICE)
    assert refusal.value.code == Outcome.UNKNOWN


async def test_a_missing_file_is_given_up_only_once_its_message_is_old():
    def came(ago):
        return answer({"sid": MESSAGE, "date_created": format_datetime(clock.now() - ago)})

    async with asked(recorded("error_404"), came(timedelta(seconds=20))) as stage:
        with pytest.raises(ProviderBusy):
            await stage.provider.resolve(stage.session, VOICE)
    for old in (
        came(APPEARS_WITHIN + timedelta(seconds=1)),
        answer({"date_created": "?"}),
        recorded("error_404"),
    ):
        async with asked(recorded("error_404"), old) as stage:
            with pytest.raises(MediaGone):
                await stage.provider.resolve(stage.session, VOICE)


async def test_a_missing_file_whose_message_cannot_be_asked_about_is_not_given_up():
    for trouble in (
        Answer(503),
        recorded("error_429"),
        Answer(404, body=b"<html>"),
        Answer(200, body=b"<html>"),
    ):
        async with asked(recorded("error_404"), trouble) as stage:
            with pytest.raises(ProviderBusy):
                await stage.provider.resolve(stage.session, VOICE)


async def test_a_404_that_is_not_twilios_is_never_final():
    async with asked(Answer(404, body=b"<html>")) as stage:
        with pytest.raises(ProviderBusy):
            await stage.provider.resolve(stage.session, VOICE)


async def test_an_id_that_is_none_of_twilios_is_not_asked_for():
    for odd in ("", "x", f"{MESSAGE}/..", f"{MESSAGE}/{MEDIA}/..", f"{MESSAGE}", f"{MEDIA}/{MESSAGE}"):
        async with asked() as stage:
            with pytest.raises(MediaGone):
                await stage.provider.resolve(stage.session, AnnouncedFile(odd, Kind.IMAGE))
        assert not stage.requests


async def test_without_an_account_sid_nobody_is_asked():
    for options in ({}, {"account_sid": ""}, {"account_sid": "../x"}):
        async with asked(credentials=Credentials(NUMBER, CREDENTIALS.secrets, options)) as stage:
            with pytest.raises(AccessLost):
                await stage.provider.resolve(stage.session, VOICE)
            assert not (await stage.provider.check(stage.session)).is_alive
        assert not stage.requests


@pytest.mark.parametrize(
    ("code", "status", "family", "outcome"),
    [
        (20003, 401, AccessLost, Outcome.TOKEN_REVOKED),
        (None, 401, AccessLost, Outcome.TOKEN_REVOKED),
        (20005, 403, AccessLost, Outcome.BLOCKED),
        (None, 403, AccessLost, Outcome.FORBIDDEN),
        (20404, 404, MediaGone, Outcome.EXPIRED),
        (None, 404, ProviderBusy, Outcome.UNKNOWN),
        (20429, 429, ProviderBusy, Outcome.RATE_LIMITED),
        (63018, 400, ProviderBusy, Outcome.RATE_LIMITED),
        (20500, 500, ProviderBusy, Outcome.UNAVAILABLE),
        (None, 502, ProviderBusy, Outcome.UNAVAILABLE),
        (99999, 400, ProviderBusy, Outcome.UNKNOWN),
    ],
)
def test_twilios_error_codes_mean_what_the_table_says(code, status, family, outcome):
    refusal = errors.refusal(twilio_error(code, status))
    assert (type(refusal), refusal.code) == (family, outcome)


def test_a_link_whose_time_is_over_is_asked_for_again():
    adapter = Twilio(CREDENTIALS)
    for status in (400, 403, 404, 410):
        assert (
            adapter.download_refusal(status, {}, b"<Error><Code>AccessDenied</Code></Error>").code
            == Outcome.URL_DIED
        )
    assert adapter.download_refusal(404, {}, twilio_error(20404, 404).body).code == Outcome.URL_DIED
    assert isinstance(adapter.download_refusal(403, {}, twilio_error(20005, 403).body), AccessLost)


# What no webhook told


def row(sid, *, num_media="1", direction="inbound", at=ARRIVED_AT, **more):
    return {
        "sid": sid, "account_sid": ACCOUNT, "from": "whatsapp:+15555550142", "to": f"whatsapp:{NUMBER}", "body": "",
        "num_media": num_media, "direction": direction, "status": "received", "error_code": None,
        "date_sent": format_datetime(at), "date_created": format_datetime(at), **more,
    }  # fmt: skip


def sid(number):
    return f"MM{number:032x}"


async def everything(stage, since=ARRIVED_AT - timedelta(hours=1)):
    readings = [reading async for reading in stage.provider.missed(stage.session, since)]
    return [event for reading in readings for event in reading.events]


async def test_the_list_tells_what_no_webhook_told_in_the_same_words():
    async with asked(
        answer({"messages": [row(MESSAGE)], "next_page_uri": None}), recorded("list_media")
    ) as stage:
        (found,) = await everything(stage)
    told = inbound(NumMedia="1", MediaUrl0=link(), MediaContentType0="audio/ogg").events[0]
    assert (found.message_id, found.files, found.sender, found.type) == (
        told.message_id,
        told.files,
        told.sender,
        told.type,
    )
    assert found.sent_at == ARRIVED_AT
    query = stage.requests[0].query
    assert (query["To"], query["DateSent>"]) == (f"whatsapp:{NUMBER}", "2025-12-30")


async def test_every_page_is_read_and_its_address_is_believed_only_within_the_list():
    pages = [
        answer(
            {
                "messages": [row(sid(1), num_media="0")],
                "next_page_uri": f"{API}/Messages.json?Page=1&PageToken=PAx",
            }
        ),
        answer({"messages": [row(sid(2), num_media="0")], "next_page_uri": None}),
    ]
    async with asked(*pages) as stage:
        assert [event.message_id for event in await everything(stage)] == [sid(1), sid(2)]
    assert dict(stage.requests[1].query) == {"Page": "1", "PageToken": "PAx"}
    for following in (
        "https://evil.test/",
        "//evil.test/x",
        f"/2010-04-01/Accounts/{ACCOUNT}9/Messages.json?a",
        "@evil.test/",
    ):
        async with asked(answer({"messages": [], "next_page_uri": following})) as stage:
            with pytest.raises(ProviderBusy):
                await everything(stage)


async def test_rows_that_are_not_ours_to_tell_are_left_out():
    rows = [
        row(sid(1), num_media="0", direction="outbound-api"),
        row(sid(2), num_media="0", at=ARRIVED_AT - timedelta(days=2)),
        row(sid(3), num_media="0", **{"from": "+15555550142"}),
        row(sid(4), num_media="0"),
        {}, None, 7,
    ]  # fmt: skip
    async with asked(answer({"messages": rows})) as stage:
        assert [event.message_id for event in await everything(stage)] == [sid(4)]


async def test_files_that_are_not_in_the_list_are_lost_once_their_message_is_old():
    empty = answer({"media_list": []})
    for files_answer in (empty, recorded("error_404")):
        async with asked(answer({"messages": [row(sid(1))]}), files_answer) as stage:
            (found,) = await everything(stage)
        assert [file.refusal for file in found.files] == [Outcome.LOST_AT_PROVIDER]
    async with asked(answer({"messages": [row(sid(1), at=clock.now())]}), empty) as stage:
        (found,) = await everything(stage)
    assert found.files == ()
    async with asked(answer({"messages": [row(sid(1), num_media="0", error_code=63019)]})) as stage:
        (found,) = await everything(stage)
    assert [file.refusal for file in found.files] == [Outcome.LOST_AT_PROVIDER]


async def test_trouble_with_the_list_says_what_to_do():
    for script, family in ((recorded("error_401"), AccessLost), (recorded("error_429"), ProviderBusy), (Answer(200, body=b"<html>"), ProviderBusy), (answer({}), ProviderBusy)):  # fmt: skip
        async with asked(script) as stage:
            with pytest.raises(family):
                await everything(stage)
    async with asked(answer({"messages": [row(MESSAGE)]}), recorded("error_429")) as stage:
        with pytest.raises(ProviderBusy):
            await everything(stage)


# Forgetting, registering, sending


async def test_a_copy_at_twilio_is_deleted_and_one_that_is_not_there_is_well():
    for script in (Answer(204), recorded("error_404")):
        async with asked(script) as stage:
            await stage.provider.forget(stage.session, VOICE)
        assert (stage.requests[0].method, stage.requests[0].path) == (
            "DELETE",
            f"{API}/Messages/{MESSAGE}/Media/{MEDIA}.json",
        )
    for script, family in (
        (recorded("error_401"), AccessLost),
        (Answer(500), ProviderBusy),
        (Answer(404), ProviderBusy),
    ):
        async with asked(script) as stage:
            with pytest.raises(family):
                await stage.provider.forget(stage.session, VOICE)
    async with asked() as stage:
        await stage.provider.forget(
            stage.session, AnnouncedFile("", Kind.IMAGE, refusal=Outcome.LOST_AT_PROVIDER)
        )


SENDERS = {
    "senders": [
        {
            "sid": "XE1",
            "sender_id": "whatsapp:+15555550199",
            "webhook": {"callback_url": "https://other.test/"},
        },
        {"sid": "XE2", "sender_id": f"whatsapp:{NUMBER}", "webhook": {"callback_url": f"{ADDRESS}#rc=2"}},
    ]
}


async def test_our_address_is_written_to_our_sender_and_to_no_other():
    async with asked(answer(SENDERS), answer({}, status=202)) as stage:
        await stage.provider.register(stage.session, ADDRESS)
    assert [(r.method, r.path) for r in stage.requests] == [
        ("GET", "/v2/Channels/Senders"),
        ("POST", "/v2/Channels/Senders/XE2"),
    ]
    async with asked(answer(SENDERS)) as stage:
        assert await stage.provider.registered(stage.session) == ADDRESS
    async with asked(answer({"senders": SENDERS["senders"][:1]})) as stage:
        with pytest.raises(AccessLost):
            await stage.provider.register(stage.session, ADDRESS)


async def test_our_address_is_taken_away_and_another_stays():
    async with asked(answer(SENDERS), answer(SENDERS), answer({}, status=202)) as stage:
        await stage.provider.unregister(stage.session, ADDRESS)
        assert [r.method for r in stage.requests] == ["GET", "GET", "POST"]
    async with asked(answer(SENDERS)) as stage:
        await stage.provider.unregister(stage.session, f"{ADDRESS}x")
        assert [r.method for r in stage.requests] == ["GET"]


async def test_a_message_goes_out_in_twilios_words():
    bodies = []
    for message in TestTwilioSends().messages():
        async with capturing(message) as requests:
            bodies.append(requests[-1])
    text, hidden, template, _, buttons = bodies
    assert text == {
        "To": ["whatsapp:+15555550142"],
        "From": [f"whatsapp:{NUMBER}"],
        "Body": ["Podemos guardar o que você nos envia?"],
    }
    assert hidden["To"] == ["whatsapp:US.10000000000000000142"]
    assert json.loads(template["ContentVariables"][0]) == {"1": "Empresa Teste"}
    assert buttons["ContentSid"] == ["HX00000000000000000000000000000002"]


@asynccontextmanager
async def capturing(message):
    """The forms a message makes Twilio see."""
    from aiohttp import web

    forms = []

    async def take(request):
        body = await request.read()
        if request.path == "/v1/Content":
            return web.json_response({"sid": "HX00000000000000000000000000000002"}, status=201)
        forms.append(parse_qs(body.decode(), keep_blank_values=True))
        return web.json_response(TAKEN, status=201)

    sending.contents.clear()
    runner = web.ServerRunner(web.Server(take))
    await runner.setup()
    try:
        await web.TCPSite(runner, LOOPBACK, 0).start()
        base = f"http://{LOOPBACK}:{runner.addresses[0][1]}"
        provider = Twilio(Credentials(NUMBER, CREDENTIALS.secrets, CREDENTIALS.options, api_base=base))
        async with aiohttp.ClientSession() as session:
            await provider.send(session, message)
        yield forms
    finally:
        await runner.cleanup()


async def test_buttons_of_the_same_wording_are_made_once():
    message = Outgoing(Identity(phone="+15555550142"), text="Pode?", buttons=(Button("a", "Sim"),))
    sending.contents.clear()
    async with asked(CONTENT, answer(TAKEN, status=201), answer(TAKEN, status=201)) as stage:
        for _ in range(2):
            await stage.provider.send(stage.session, message)


@pytest.mark.parametrize("code", [21211, 21610, 21656, 63003, 63024, 63032])
async def test_a_message_twilio_will_never_take_is_not_tried_again(code):
    async with asked(twilio_error(code)) as stage:
        with pytest.raises(NotSent):
            await stage.provider.send(stage.session, Outgoing(Identity(phone="+15555550142"), text="oi"))


async def test_outside_the_window_is_its_own_refusal():
    async with asked(twilio_error(63016)) as stage:
        with pytest.raises(OutsideWindow):
            await stage.provider.send(stage.session, Outgoing(Identity(phone="+15555550142"), text="oi"))


def test_what_twilio_offers_besides_is_declared():
    adapter = Twilio(CREDENTIALS)
    assert all(isinstance(adapter, offer) for offer in (Recovers, Forgets, Registers))


async def test_no_request_carries_credentials_anywhere_but_to_twilios_api(monkeypatch):
    """Every call of the adapter, with its real hosts: each request is looked at before it could leave."""
    seen = []

    class Stop(aiohttp.ClientError):
        pass

    class Looking(aiohttp.TCPConnector):
        async def connect(self, req, *args, **kwargs):
            seen.append((req.url, dict(req.headers)))
            raise Stop

    adapter = Twilio(CREDENTIALS)
    person = Identity(phone="+15555550142")
    button = Outgoing(person, text="Pode?", buttons=(Button("a", "Sim"),))
    sending.contents.clear()
    async with aiohttp.ClientSession(connector=Looking()) as session:
        for call in (
            lambda: adapter.resolve(session, VOICE),
            lambda: adapter.forget(session, VOICE),
            lambda: adapter.register(session, ADDRESS),
            lambda: adapter.registered(session),
            lambda: adapter.unregister(session, ADDRESS),
            lambda: adapter.send(session, Outgoing(person, text="oi")),
            lambda: adapter.send(session, button),
            lambda: anext(adapter.missed(session, ARRIVED_AT)),
        ):
            with pytest.raises(ProviderBusy):
                await call()
        assert not (await adapter.check(session)).is_alive
    assert {str(url.origin()) for url, _ in seen} == {
        "https://api.twilio.com", "https://content.twilio.com", "https://messaging.twilio.com",
    }  # fmt: skip
    assert all(headers["Authorization"] == authorization(ACCOUNT, TOKEN) for _, headers in seen)


def test_a_files_place_is_told_apart_from_everything_else():
    place = files.Place.of_id(f"{MESSAGE}/{MEDIA}")
    assert place.provider_id == f"{MESSAGE}/{MEDIA}"
    assert files.Place.of_id(f"{MESSAGE}/{MEDIA}\n") is None


async def test_a_check_tells_how_the_account_and_its_sender_are():
    sender = {
        "sid": "XE" + "0" * 32, "sender_id": f"whatsapp:{CREDENTIALS.account_id}", "status": "ONLINE",
        "properties": {"quality_rating": "HIGH", "messaging_limit": "10K Customers/24hr"},
    }  # fmt: skip
    answers = [
        answer({"messages": []}),
        answer({"status": "suspended", "type": "Trial"}),
        answer({"balance": "-1.239", "currency": "USD"}),
        answer({"senders": [sender]}),
    ]
    async with http_stage(Twilio, CREDENTIALS, VOICE, answers) as stage:
        health = await stage.provider.check(stage.session)
        assert [request.path.rpartition("/")[2] for request in stage.requests] == [
            "Messages.json", f"{ACCOUNT}.json", "Balance.json", "Senders",
        ]  # fmt: skip
    assert health.facts == {
        "account_status": "suspended", "account_type": "Trial", "balance": -1.24, "currency": "USD",
        "status": "ONLINE", "quality_rating": "HIGH", "messaging_limit": "10K",
        "unwell": ["account_status", "balance"],
    }  # fmt: skip


async def test_a_key_that_may_ask_nothing_else_leaves_the_connection_alive():
    answers = [answer({"messages": []}), Answer(401), Answer(401), Answer(403)]
    async with http_stage(Twilio, CREDENTIALS, VOICE, answers) as stage:
        health = await stage.provider.check(stage.session)
    assert (health.is_alive, health.code, health.facts) == (True, "ok", {})
