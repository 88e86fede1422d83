"""What is a webhook's own: its messages, what may be answered to them, and addresses that lead elsewhere."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from standardwebhooks import Webhook as Verifier

from acervo.base import signing
from acervo.base.http import crm_client
from acervo.crms.asked import Given, Unfit
from acervo.crms.conformance import PHONE, SECRET_TEXT, a_draft, an_item
from acervo.crms.contract import CrmCredentials, CrmError, CrmErrorKind, RecordRef
from acervo.crms.mapping import FieldMap, Rule
from acervo.crms.pace import Pace, RollingLimit
from acervo.crms.webhook import asked
from acervo.crms.webhook.adapter import Webhook
from acervo.crms.webhook.api import LONGEST_ANSWER
from acervo.crms.webhook.test_webhook import WebhookWorld
from sandbox.webhook import Fault

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
"""Always the same: it is part of the names of tests, which every process of the suite must agree about."""
URL = "https://crm.example/acervo?for=aurora"
TAKEN = httpx.Response(200)


def a_pace():
    """One of its own: what is asked of one test's receiver is not counted against the next."""
    return Pace({"burst": RollingLimit(1000, 10)})


async def over_the_line(content):
    yield content


class Wire:
    """Answers as it was told, and keeps what came."""

    def __init__(self, *answers, per_call=1, secrets=None, url=URL):
        self.answers, self.letters = list(answers), []
        credentials = CrmCredentials(
            secrets=secrets or {"secret": SECRET}, options={"per_call": per_call}, api_base=url
        )
        self.http = httpx.AsyncClient(transport=httpx.MockTransport(self._answer))
        self.connector = Webhook(credentials, self.http, pace=a_pace())

    def _answer(self, request):
        self.letters.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(
            answer.status_code,
            headers={name: one for name, one in answer.headers.items() if name != "content-length"},
            content=over_the_line(answer.content),
        )

    @property
    def bodies(self):
        return [json.loads(one.content) for one in self.letters]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    """Tries of one call follow each other at once."""
    monkeypatch.setattr("acervo.crms.http.ATTEMPTS", 1)


async def written(*answers, per_call=1, items=None):
    wire = Wire(*answers, per_call=per_call)
    return wire, await wire.connector.upsert_media(items or [an_item()])


# ── messages ──


async def test_a_file_travels_with_its_customer_in_one_flat_object() -> None:
    person = a_draft(
        last_name="Souza",
        last_media_url="https://acervo.example/m/1",
        last_media_at=datetime(2026, 11, 23, tzinfo=UTC),
        media_count=7,
    )
    item = an_item(person=person, duration_s=None)
    wire, _results = await written(TAKEN, items=[item])
    (letter,) = wire.bodies
    assert letter["type"] == "media.upserted"
    assert letter["id"] == wire.letters[0].headers["webhook-id"]
    assert letter["data"] == {
        "media_id": item.media_id,
        "title": "Voice note 0:42",
        "url": item.url,
        "kind": "voice",
        "mime": "audio/ogg",
        "size_bytes": 98_304,
        "duration_s": None,
        "chat": "Ana Souza",
        "direction": "in",
        "received_at": "2026-11-23T08:00:00Z",
        "tags": "orçamento; urgente",
        "transcript": None,
        "consent": "granted",
        "sha256": item.sha256,
        "contact": {
            "person_id": person.person_id,
            "phone_e164": PHONE,
            "first_name": "Ana",
            "last_name": "Souza",
            "last_media_url": "https://acervo.example/m/1",
            "last_media_at": "2026-11-23T00:00:00Z",
            "media_count": 7,
        },
    }


async def test_what_the_mapping_switches_off_is_emptied_there_too() -> None:
    rules = FieldMap(1, media={"chat": Rule(is_off=True)}, contact={"media_count": Rule(is_off=True)})
    item = an_item(person=a_draft(media_count=7, field_map=rules), field_map=rules)
    wire, _results = await written(TAKEN, items=[item])
    data = wire.bodies[0]["data"]
    assert data["chat"] is None
    assert data["contact"]["media_count"] is None


async def test_erasing_says_the_id_and_nothing_else() -> None:
    wire = Wire(TAKEN)
    media_id = an_item().media_id
    await wire.connector.erase_media(RecordRef("media", "F-7", ours=media_id))
    await wire.connector.erase_media(RecordRef("media", media_id))
    assert [(one["type"], one["data"]) for one in wire.bodies] == [
        ("media.erased", {"media_id": media_id})
    ] * 2


async def test_every_message_is_signed_with_both_secrets_while_one_is_replaced() -> None:
    new, old = signing.new_secret(), signing.new_secret()
    wire = Wire(TAKEN, secrets={"secret": new, "secret_previous": old})
    await wire.connector.check()
    await wire.connector.upsert_media([an_item(title="Olá, é isto")])
    for letter in wire.letters:
        assert str(letter.url) == URL
        assert "authorization" not in letter.headers
        for secret in (new, old):
            Verifier(secret).verify(letter.content, dict(letter.headers))


async def test_a_message_that_is_tried_again_keeps_its_id_and_is_signed_anew(monkeypatch) -> None:
    monkeypatch.setattr("acervo.crms.http.ATTEMPTS", 4)
    wire = Wire(httpx.Response(503, headers={"retry-after": "0"}), TAKEN)
    (result,) = await wire.connector.upsert_media([an_item()])
    assert not result.error
    first, second = wire.letters
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    Verifier(SECRET).verify(second.content, dict(second.headers))


async def test_several_travel_together_only_where_that_was_chosen() -> None:
    items = [an_item() for _ in range(45)]
    alone, _results = await written(TAKEN, items=items)
    together, results = await written(TAKEN, items=items, per_call=20)
    assert {one["type"] for one in alone.bodies} == {"media.upserted"}
    assert [len(one["data"]["items"]) for one in together.bodies] == [20, 20, 5]
    assert {one["type"] for one in together.bodies} == {"media.upserted_many"}
    assert [result.media_id for result in results] == [item.media_id for item in items]
    assert not any(result.error for result in results)


# ── what may be answered ──


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(204),
        httpx.Response(200, text="ok"),
        httpx.Response(201, html="<p>thanks"),
        httpx.Response(200, headers={"content-type": "application/json"}, content=b"{not json"),
        httpx.Response(200, json=["a", "list"]),
        httpx.Response(200, json={"id": None, "url": "javascript:alert(1)"}),
        httpx.Response(200, json={"id": "x" * 129, "url": "https://u:p@crm.example/1"}),
        httpx.Response(200, json={"id": True, "url": 7}),
    ],
)
async def test_two_hundred_is_enough_and_odd_words_are_not_taken(answer) -> None:
    item = an_item()
    _wire, (result,) = await written(answer, items=[item])
    assert not result.error
    assert result.ref == RecordRef("media", item.media_id)


async def test_where_it_keeps_the_file_becomes_the_reference() -> None:
    item = an_item()
    _wire, (result,) = await written(
        httpx.Response(200, json={"id": 4711, "url": "https://crm.example/f/4711"}), items=[item]
    )
    assert result.ref == RecordRef("media", "4711", "https://crm.example/f/4711")
    assert result.ref.ours == item.media_id
    _wire, (again,) = await written(httpx.Response(204), items=[replace(item, known_ref=result.ref)])
    assert again.ref == result.ref
    assert not again.created


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (httpx.Response(302, headers={"location": "https://elsewhere.example"}), "forbidden", "redirected"),
        (httpx.Response(400), "validation", None),
        (httpx.Response(401), "auth_revoked", None),
        (httpx.Response(403), "forbidden", None),
        (httpx.Response(404), "unavailable", "not_there"),
        (httpx.Response(405), "unavailable", "not_there"),
        (httpx.Response(409, json={"code": "already_archived"}), "conflict", "already_archived"),
        (httpx.Response(410), "forbidden", "gone"),
        (httpx.Response(413), "validation", None),
        (httpx.Response(422, json={"code": "customer_unknown"}), "validation", "customer_unknown"),
        (httpx.Response(422, json={"code": PHONE}), "validation", None),
        (httpx.Response(422, json={"code": "Ana Souza"}), "validation", None),
        (httpx.Response(423), "locked", None),
        (httpx.Response(429), "rate_limited", None),
        (httpx.Response(500), "unavailable", None),
        (httpx.ConnectError("no"), "unavailable", None),
        (httpx.ReadTimeout("no"), "unknown_outcome", None),
        (httpx.RemoteProtocolError("no"), "unknown_outcome", None),
    ],
)
async def test_a_refusal_has_a_family_and_at_most_a_code_word(answer, kind, code) -> None:
    _wire, (result,) = await written(answer)
    assert result.error
    assert (str(result.error.kind), result.error.vendor_code) == (kind, code)


@pytest.mark.parametrize(
    ("wish", "expected"),
    [("120", 120), ("999999999", None), ("soon", None), ("86401", 86_400), ("", None), ("-5", None)],
)
async def test_it_says_how_long_to_wait(wish, expected) -> None:
    _wire, (result,) = await written(httpx.Response(429, headers={"retry-after": wish}))
    assert result.error
    assert result.error.retry_after_s == expected


async def test_it_says_until_when_to_wait() -> None:
    until = format_datetime(datetime.now(UTC) + timedelta(minutes=10), usegmt=True)
    _wire, (result,) = await written(httpx.Response(503, headers={"retry-after": until}))
    assert result.error
    assert 500 < (result.error.retry_after_s or 0) <= 600


async def test_a_file_whose_answer_was_lost_is_known_so_that_it_can_be_erased() -> None:
    item = an_item()
    _wire, (result,) = await written(httpx.ReadTimeout("no"), items=[item])
    assert result.error
    assert result.ref == RecordRef("media", item.media_id)
    _wire, (refused,) = await written(httpx.Response(422), items=[item])
    assert refused.ref is None


async def test_what_stops_everything_stops_before_the_next() -> None:
    items = [an_item() for _ in range(50)]
    wire, results = await written(httpx.Response(401), items=items)
    assert len(wire.letters) == 4
    assert {result.error.kind for result in results if result.error} == {CrmErrorKind.AUTH_REVOKED}
    assert len(results) == 50


async def test_each_of_several_has_its_own_answer() -> None:
    taken, wrong, busy, unnamed = (an_item() for _ in range(4))
    said = {
        "results": [
            {"media_id": wrong.media_id, "status": 422, "code": "customer_unknown"},
            {"media_id": taken.media_id, "id": "F-1"},
            {"media_id": busy.media_id, "status": 503},
            "odd",
        ]
    }
    items = [taken, wrong, busy, unnamed]
    _wire, results = await written(httpx.Response(200, json=said), items=items, per_call=100)
    assert results[0].ref == RecordRef("media", "F-1")
    errors = [result.error for result in results[1:]]
    assert [(str(error.kind), error.vendor_code) for error in errors if error] == [
        ("validation", "customer_unknown"),
        ("unavailable", None),
        ("unknown_outcome", None),
    ]


async def test_a_bad_file_in_a_message_for_many_does_not_spoil_the_others() -> None:
    for fault in (None, Fault("partial", 422, "upserted_many", code="customer_unknown")):
        world = WebhookWorld(per_call=100)
        if fault:
            world.receiver.faults.add(fault)
        good, bad = [an_item() for _ in range(7)], an_item(kind="voice" if fault else "hologram")
        results = {one.media_id: one for one in await world.connector().upsert_media([*good, bad])}
        error = results.pop(bad.media_id).error
        assert error
        assert not error.is_retryable
        assert not any(one.error for one in results.values())
        assert len(world.receiver.files) == 7


async def test_a_message_for_many_that_is_refused_whole_is_halved_until_the_bad_one_is_alone() -> None:
    bad = an_item(title="bad")
    items = [an_item() for _ in range(6)] + [bad]

    class Picky(Wire):
        def _answer(self, request):
            self.letters.append(request)
            return httpx.Response(422 if b'"bad"' in request.content else 204)

    wire = Picky(per_call=100)
    results = await wire.connector.upsert_media(items)
    assert [result.media_id for result in results if result.error] == [bad.media_id]
    assert len(wire.letters) < 8


async def test_an_endless_answer_is_read_no_further_than_its_limit() -> None:
    read = 0

    async def endless():
        nonlocal read
        while True:
            read += 4096
            yield b" " * 4096

    def answer(request):
        return httpx.Response(200, headers={"content-type": "application/json"}, content=endless())

    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    connector = Webhook(CrmCredentials(secrets={"secret": SECRET}, api_base=URL), http, pace=a_pace())
    (result,) = await connector.upsert_media([an_item()])
    assert result.error
    assert result.error.kind is CrmErrorKind.UNKNOWN_OUTCOME
    assert read <= LONGEST_ANSWER + 8192


# ── is it still there? ──


async def test_a_receiver_that_only_takes_cannot_be_asked_what_it_holds() -> None:
    world = WebhookWorld()
    world.receiver.tells = False
    with pytest.raises(CrmError) as refusal:
        await world.connector().read_media([an_item()])
    assert refusal.value.kind is CrmErrorKind.UNSUPPORTED


async def test_what_a_receiver_does_not_speak_of_is_not_gone() -> None:
    kept, silent, gone = (an_item() for _ in range(3))
    said = {
        "results": [
            {"media_id": kept.media_id, "held": True},
            {"media_id": gone.media_id, "held": False},
            {"media_id": "another"},
        ]
    }
    states = await Wire(httpx.Response(200, json=said)).connector.read_media([kept, silent, gone])
    assert [(one.media_id, one.ref is None) for one in states] == [
        (kept.media_id, False),
        (gone.media_id, True),
    ]


# ── the address ──


async def test_check_is_a_signed_ping_and_the_account_is_the_host() -> None:
    wire = Wire(httpx.Response(204))
    info = await wire.connector.check()
    assert [one["type"] for one in wire.bodies] == ["ping"]
    assert info.name == "crm.example"
    assert info.account_id.startswith("crm.example ")
    assert "for=aurora" not in info.account_id
    other = await Wire(TAKEN, url="https://crm.example/other").connector.check()
    assert other.account_id != info.account_id
    world = WebhookWorld()
    world.token = signing.new_secret()
    world.http._transport.verifier = Verifier(world.token)
    with pytest.raises(CrmError) as refusal:
        await world.connector().check()
    assert refusal.value.kind is CrmErrorKind.AUTH_REVOKED


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/x", "https://10.0.0.1/x", "https://[::1]/x"])
async def test_a_private_address_is_not_called(url) -> None:
    async with crm_client((), timeout_s=5) as http:
        connector = Webhook(CrmCredentials(secrets={"secret": SECRET}, api_base=url), http)
        with pytest.raises(CrmError) as refusal:
            await connector.check()
    assert refusal.value.kind is CrmErrorKind.UNAVAILABLE


@pytest.mark.parametrize(
    ("url", "secret", "code"),
    [
        ("https://crm.example/x", "", "no_signing_secret"),
        ("https://crm.example/x", "whsec_c2hvcnQ=", "no_signing_secret"),
        ("https://crm.example/x", "hunter2", "no_signing_secret"),
        ("https://ana:pass@crm.example/x", SECRET, "no_address"),
        ("https://crm.example:99999/x", SECRET, "no_address"),
        ("https://crm.example/x#part", SECRET, "no_address"),
        ("https:///x", SECRET, "no_address"),
        ("https://crm.example/" + "x" * 200, SECRET, "no_address"),
    ],
)
async def test_what_cannot_be_called_or_signed_is_refused_before_it_is_tried(url, secret, code) -> None:
    with pytest.raises(Unfit) as refusal:
        await asked.access(Given({"url": url, "secret": secret, "per_call": "1"}), httpx.AsyncClient())
    assert refusal.value.code == code


async def test_an_address_is_kept_to_the_letter() -> None:
    access = await asked.access(
        Given({"url": "https://crm.example/acervo/", "secret": SECRET, "per_call": "20"}), httpx.AsyncClient()
    )
    assert access.api_base == "https://crm.example/acervo/"
    assert access.options == {"per_call": 20}
    wire = Wire(TAKEN, url=access.api_base)
    await wire.connector.check()
    assert str(wire.letters[0].url) == access.api_base


async def test_a_secret_of_another_scheme_signs_nothing() -> None:
    with pytest.raises(CrmError) as refusal:
        Wire(TAKEN, secrets={"secret": "hunter2"})
    assert refusal.value.kind is CrmErrorKind.VALIDATION
    assert "hunter2" not in str(refusal.value)


async def test_nothing_of_a_customer_is_in_a_refusal(caplog) -> None:
    echo = {"code": "no_such_thing", "message": f"{PHONE} {SECRET_TEXT}"}
    item = an_item(person=a_draft(), transcript=SECRET_TEXT)
    _wire, (result,) = await written(httpx.Response(422, json=echo), items=[item])
    shown = repr([result, item, vars(result.error), [vars(one) for one in caplog.records]])
    assert PHONE.lstrip("+") not in shown
    assert SECRET_TEXT not in shown


def test_an_estimate_counts_messages() -> None:
    assert Webhook.effort({}).per_file == 1
    assert Webhook.effort({"per_call": 20}).per_batch == 5
    assert Webhook.effort({"per_call": 20}).per_file == 0
