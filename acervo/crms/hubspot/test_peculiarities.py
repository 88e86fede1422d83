"""What is HubSpot's own: its limits, its half-failed batches, its notes without keys, its talkative errors."""

import asyncio
import json
import re
from dataclasses import replace

import httpx
import pytest

from acervo.crms import CRMS, card, get
from acervo.crms.conformance import PHONE, SECOND_PHONE, a_draft, an_item
from acervo.crms.contract import CrmCredentials, CrmError, CrmErrorKind, RecordRef
from acervo.crms.fields import CONTACT_FIELDS, MEDIA_FIELDS, drifted
from acervo.crms.hubspot.adapter import HubSpot
from acervo.crms.hubspot.errors import read_error
from acervo.crms.hubspot.test_hubspot import HubSpotWorld
from sandbox.hubspot import Fault
from sandbox.hubspot.shapes import CheckedTransport, ShapeFault

TOO_MANY = {"status": "error", "message": "limit", "errorType": "RATE_LIMIT"}


@pytest.fixture
def world():
    return HubSpotWorld()


@pytest.fixture
def plain_world():
    return HubSpotWorld("activity")


async def ready(world):
    world.remember((await world.connector().ensure_schema()).options)
    return world.connector()


def answer(status, body, **headers):
    return httpx.Response(status, json=body, headers=headers)


@pytest.mark.parametrize(
    ("response", "kind", "wait_s"),
    [
        (answer(400, {"category": "VALIDATION_ERROR"}), "validation", None),
        (answer(401, {"category": "EXPIRED_AUTHENTICATION"}), "auth_revoked", None),
        (answer(403, {"category": "MISSING_SCOPES"}), "forbidden", None),
        (answer(404, {}), "not_found", None),
        (answer(409, {"message": "Contact already exists. Existing ID: 901"}), "conflict", None),
        (answer(423, {}), "locked", 2.0),
        (answer(429, {**TOO_MANY, "policyName": "SECONDLY"}), "rate_limited", 1.0),
        (answer(429, {**TOO_MANY, "policyName": "TEN_SECONDLY_ROLLING"}), "rate_limited", 10.0),
        (answer(429, {**TOO_MANY, "policyName": "DAILY"}), "quota_exhausted", 3600.0),
        (answer(429, {}), "rate_limited", 10.0),
        (answer(477, {}, **{"Retry-After": "86400"}), "unavailable", 86400.0),
        (answer(524, {}), "unavailable", None),
        (httpx.Response(503, text="<html>down</html>"), "unavailable", None),
        (httpx.Response(302, headers={"Location": "https://elsewhere.example"}), "unavailable", None),
        (
            answer(400, {"message": '[{"error":"CONFLICTING_UNIQUE_VALUE","name":"wa_phone_e164"}]'}),
            "conflict",
            None,
        ),
        (answer(400, ["not", "an", "object"]), "validation", None),
    ],
)
def test_every_refusal_has_a_kind_words_and_a_wait(response, kind, wait_s):
    error = read_error(response)
    assert error.kind == kind
    assert error.retry_after_s == wait_s
    assert error.detail
    assert error.status == response.status_code


def test_a_conflict_names_the_record_to_adopt():
    assert (
        read_error(answer(409, {"message": "Contact already exists. Existing ID: 901"})).existing_id == "901"
    )


def test_nothing_a_vendor_repeats_in_its_message_reaches_the_error():
    fault = {"isValid": False, "message": f"{PHONE} is taken", "error": "INVALID_OPTION", "name": "wa_kind"}
    body = {
        "category": "VALIDATION_ERROR",
        "subCategory": f"crm.{PHONE}",
        "message": f"Property values were not valid: {json.dumps([fault])}",
        "correlationId": "aeb5f871-7f07-4993-9211-075dc63e7cbf",
        "errors": [{"message": PHONE, "code": PHONE, "context": {"phone": [PHONE]}}],
    }
    error = read_error(answer(400, body))
    assert PHONE not in f"{error!r} {error} {vars(error)}"
    assert error.vendor_code == "VALIDATION_ERROR INVALID_OPTION"
    assert "wa_kind" in error.detail
    assert error.correlation_id == "aeb5f871-7f07-4993-9211-075dc63e7cbf"


async def test_a_number_another_contact_carries_is_a_conflict_without_the_number(world, caplog):
    """Whoever chose the contact is believed; the refusal of our key is written down without the number."""
    connector = await ready(world)
    await connector.upsert_contact(a_draft())
    other = RecordRef("contact", world.add_contact(first_name="Bruno"))
    assert await connector.upsert_contact(a_draft(), known=other)
    refusals = [vars(record) for record in caplog.records if record.getMessage() == "crm.refused"]
    assert [one["kind"] for one in refusals] == ["conflict"]
    assert PHONE.lstrip("+") not in repr(refusals)


async def test_an_existing_contact_named_in_a_conflict_is_adopted(world):
    connector = await ready(world)
    there = world.add_contact(first_name="Ana")
    message = f"Contact already exists. Existing ID: {there}"
    world.account.faults.add(
        Fault("status", 409, "POST", "contacts/batch/upsert", category="CONFLICT", message=message)
    )
    assert (await connector.upsert_contact(a_draft())).record_id == there
    assert world.contacts()[there]["phone_e164"] == PHONE


async def test_a_whole_batch_refused_for_one_is_halved_until_it_is_alone(world):
    connector = await ready(world)
    world.account.names_bad_inputs = False
    items = [an_item() for _ in range(20)]
    items[7] = replace(items[7], kind="hologram")
    results = await connector.upsert_media(items)
    assert [n for n, result in enumerate(results) if result.error] == [7]
    assert results[7].error.kind is CrmErrorKind.VALIDATION
    assert all(len(world.records(item.media_id)) == (n != 7) for n, item in enumerate(items))


async def test_an_item_that_fails_inside_hubspot_can_be_tried_again_alone(world):
    connector = await ready(world)
    world.account.faults.add(Fault("partial", path_has="batch/upsert"))
    items = [an_item() for _ in range(3)]
    results = await connector.upsert_media(items)
    assert [bool(result.error) for result in results] == [False, False, True]
    assert results[2].error.is_retryable
    assert not (await connector.upsert_media(items))[2].error


@pytest.mark.parametrize(("policy", "wait_s"), [("SECONDLY", 1), ("TEN_SECONDLY_ROLLING", 10)])
async def test_a_short_limit_is_waited_out(world, policy, wait_s):
    connector = await ready(world)
    world.account.faults.add(Fault("status", 429, path_has="batch/upsert", policy_name=policy))
    before = world.time.now()
    assert not (await connector.upsert_media([an_item()]))[0].error
    assert world.time.now() - before == pytest.approx(wait_s)


async def test_a_limit_met_by_one_makes_all_wait(world):
    connector = await ready(world)
    world.account.faults.add(
        Fault("status", 429, path_has="batch/upsert", policy_name="TEN_SECONDLY_ROLLING")
    )
    await asyncio.gather(*(connector.upsert_media([an_item()]) for _ in range(5)))
    assert world.account.traffic.by_operation["batch_upsert"] == 6 - world.account.faults.left


async def test_the_limit_of_the_day_is_not_waited_out(world):
    connector = await ready(world)
    world.account.faults.add(Fault("status", 429, path_has="batch/upsert", policy_name="DAILY"))
    before = world.time.now()
    (result,) = await connector.upsert_media([an_item()])
    assert result.error.kind is CrmErrorKind.QUOTA_EXHAUSTED
    assert result.error.retry_after_s == 3600
    assert world.time.now() == before


async def test_limits_eaten_by_other_apps_lose_nothing(world):
    connector = await ready(world)
    world.account.traffic.burst.limit = 30
    items = [an_item() for _ in range(60)]
    left = items
    while left:
        results = await asyncio.gather(*(connector.upsert_media([item]) for item in left))
        left = [item for item, (result,) in zip(left, results, strict=True) if result.error]
        assert all(result.error.kind is CrmErrorKind.RATE_LIMITED for (result,) in results if result.error)
        await world.time.sleep(10)
    assert all(len(world.records(item.media_id)) == 1 for item in items)


async def test_a_locked_record_is_tried_again_after_two_seconds(world):
    connector = await ready(world)
    ref = await connector.upsert_contact(a_draft())
    world.account.faults.add(Fault("status", 423, "PATCH"))
    before = world.time.now()
    await connector.upsert_contact(a_draft(media_count=2), known=ref)
    assert world.time.now() - before == pytest.approx(2)
    assert world.contacts()[ref.record_id]["media_count"] == "2"


async def test_a_gateway_that_fails_is_tried_again_where_repeating_is_harmless(world):
    connector = await ready(world)
    world.account.faults.add(Fault("status", 502, path_has="batch/upsert", times=2))
    assert not (await connector.upsert_media([an_item()]))[0].error


async def test_a_gateway_that_keeps_failing_is_said_to_be_unavailable(world):
    connector = await ready(world)
    world.account.faults.add(Fault("status", 503, path_has="batch/upsert", times=50))
    (result,) = await connector.upsert_media([an_item()])
    assert result.error.kind is CrmErrorKind.UNAVAILABLE
    assert world.account.faults.left == 50 - 4


async def test_a_note_whose_answer_was_lost_is_adopted_in_the_same_call(plain_world):
    connector = await ready(plain_world)
    item = an_item(contact=await connector.upsert_contact(a_draft()))
    plain_world.account.faults.add(Fault("timeout_after_commit", method="POST", path_has="2026-03/notes"))
    (result,) = await connector.upsert_media([item])
    assert [result.ref.record_id] == plain_world.records(item.media_id)
    assert not plain_world.account.faults.left


async def test_a_note_a_gateway_may_have_dropped_is_looked_for_and_not_doubled(plain_world):
    connector = await ready(plain_world)
    item = an_item(contact=await connector.upsert_contact(a_draft()))
    plain_world.account.faults.add(Fault("status", 504, method="POST", path_has="2026-03/notes"))
    (result,) = await connector.upsert_media([item])
    assert result.error.kind is CrmErrorKind.UNKNOWN_OUTCOME
    assert not (await connector.upsert_media([item]))[0].error
    assert len(plain_world.records(item.media_id)) == 1


async def test_a_doubled_note_is_counted_and_another_hands_note_is_not_ours(plain_world):
    connector = await ready(plain_world)
    contact = await connector.upsert_contact(a_draft())
    item = an_item(contact=contact)
    (first,) = await connector.upsert_media([item])
    body = plain_world.account.records["0-46"][first.ref.record_id].values["hs_note_body"]
    for text in (body, "Ligar amanhã"):
        note = plain_world.account.add("notes", hs_note_body=text, hs_timestamp="2026-11-23T08:00:00Z")
        plain_world.account.associate("0-46", note, "0-1", contact.record_id)
    (state,) = await connector.read_media([item])
    assert state.copies == 2
    assert state.ref == first.ref
    assert not drifted(item, state)


async def test_a_file_without_a_contact_cannot_become_a_note_and_says_so(plain_world):
    connector = await ready(plain_world)
    (result,) = await connector.upsert_media([an_item()])
    assert result.error.kind is CrmErrorKind.VALIDATION


async def test_a_record_whose_key_somebody_emptied_is_found_by_its_id(world):
    connector = await ready(world)
    item = an_item()
    (result,) = await connector.upsert_media([item])
    world.account.edit(world.options["media_type_id"], result.ref.record_id, wa_media_id="")
    (state,) = await connector.read_media([replace(item, known_ref=result.ref)])
    assert state.ref == result.ref
    assert drifted(item, state) == ("media_id",)


async def test_a_masked_number_is_judged_by_its_searchable_twin(world):
    connector = await ready(world)
    contact_id = world.add_contact(phone="(11) 5555-0142")
    masked = {"phone": "+55 ** ****-0142", "hs_searchable_calculated_phone_number": "1155550142"}
    world.account.write("0-1", contact_id, masked, is_system=True)
    world.account.records["0-1"][contact_id].versions[-1][1].update(masked)
    world.settle()
    assert [match.ref.record_id for match in await connector.find_contacts(PHONE)] == [contact_id]


async def test_a_field_a_person_made_differently_is_named_and_left_alone(world):
    await world.connector().ensure_schema()
    definitions = world.account.properties["0-1"]
    theirs = replace(definitions["wa_consent"], options=({"label": "Sim", "value": "yes", "hidden": False},))
    plain = replace(definitions["wa_phone_e164"], is_unique=False)
    number = replace(definitions["wa_media_count"], type="string", field_type="text")
    for one in (theirs, plain, number):
        definitions[one.name] = one
    report = await world.connector().ensure_schema()
    assert {conflict.partition(":")[0] for conflict in report.conflicts} == {
        "contact.wa_consent",
        "contact.wa_phone_e164",
        "contact.wa_media_count",
    }
    assert definitions["wa_consent"] is theirs
    assert not report.created


async def test_a_field_added_in_a_later_release_is_added_to_the_object_that_is_there(world):
    connector = await ready(world)
    del world.account.properties[world.options["media_type_id"]]["wa_sha256"]
    assert (await connector.ensure_schema()).created == ("media.wa_sha256",)


async def test_what_was_remembered_is_not_asked_again(world):
    connector = await ready(world)
    world.transport.exchanges.clear()
    await connector.upsert_media([an_item()])
    assert set(world.transport.exchanges) == {"POST /crm/objects/2026-03/{type}/batch/upsert"}


async def test_files_before_the_fields_are_set_up_say_so(world):
    (result,) = await world.connector().upsert_media([an_item()])
    assert result.error.kind is CrmErrorKind.NOT_FOUND
    assert "set up" in result.error.detail


async def test_records_link_to_their_page_in_hubspot(world):
    connector = await ready(world)
    contact = await connector.upsert_contact(a_draft())
    assert re.fullmatch(r"https://[^/]+/contacts/24000001/record/0-1/\d+", contact.url)


async def test_the_allowance_is_remembered(world):
    connector = world.connector()
    await connector.check()
    assert connector.usage["burst_max"] == 100
    assert connector.usage["burst_left"] == 99


async def test_no_key_or_number_stands_in_a_url(world, plain_world):
    for place in (world, plain_world):
        connector = await ready(place)
        urls = []
        place.http.event_hooks = {"request": [lambda request, urls=urls: _noted(urls, request)]}
        contact = await connector.upsert_contact(a_draft())
        await connector.find_contacts(SECOND_PHONE)
        await connector.upsert_media([an_item(contact=contact)])
        assert urls
        assert not any(
            re.search(r"\d{8}", url.replace(place.options.get("media_type_id") or "-", "")) for url in urls
        )


async def _noted(urls, request):
    urls.append(str(request.url))


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (httpx.ConnectError("refused"), CrmErrorKind.UNAVAILABLE),
        (httpx.ReadTimeout("slow"), CrmErrorKind.UNKNOWN_OUTCOME),
        (httpx.RemoteProtocolError("cut"), CrmErrorKind.UNKNOWN_OUTCOME),
    ],
)
async def test_a_broken_line_is_told_from_one_that_never_was(world, failure, kind):
    await ready(world)

    def fail(request):
        raise failure

    credentials = CrmCredentials(secrets={"token": world.token}, options=world.options)
    http = httpx.AsyncClient(transport=httpx.MockTransport(fail))
    (result,) = await HubSpot(credentials, http, pace=world.pace).upsert_media([an_item()])
    assert result.error.kind is kind
    with pytest.raises(CrmError) as refusal:
        await HubSpot(credentials, http, pace=world.pace).check()
    assert refusal.value.kind is CrmErrorKind.UNAVAILABLE


@pytest.mark.parametrize("content", [b"<html>", b"[]", b'{"results": 3}', b'{"portalId": null}'])
async def test_an_answer_of_another_shape_is_not_a_crash(content):
    def odd(request):
        return httpx.Response(200, content=content)

    http = httpx.AsyncClient(transport=httpx.MockTransport(odd))
    connector = HubSpot(CrmCredentials(secrets={"token": "pat-odd"}), http, pace=HubSpotWorld().pace)
    for call in (connector.find_contacts(PHONE), connector.ensure_schema(), connector.check()):
        try:
            await call
        except CrmError as error:
            assert error.detail  # noqa: PT017


@pytest.mark.parametrize("language", ["en", "pt-br", "es"])
def test_labels_fit_the_tightest_crm_and_a_card_reads_back_in_every_language(language):
    for field in (*CONTACT_FIELDS, *MEDIA_FIELDS):
        assert re.fullmatch(r"[\w ]{1,25}", field.label(language))
    item = an_item(transcript="linha um\nlinha: dois & três")
    values = card.read(card.render(item, language))
    assert not [name for name, value in values.items() if (value or "") != card.written(item)[name]]


async def test_both_sides_are_really_held_to_the_shapes(world):
    await ready(world)
    base = "https://api.hubapi.com/crm/objects/2026-03/contacts"
    headers = {"Authorization": f"Bearer {world.token}"}
    for method, url, body in (
        ("POST", base.replace("2026-03", "v3"), {"properties": {}}),
        ("POST", f"{base}/batch/read", {"inputs": [{"id": "1"}]}),
        ("POST", f"{base}/batch/upsert", {"inputs": [{"id": "1", "properties": {"a": 5}}]}),
    ):
        with pytest.raises(ShapeFault):
            await world.http.request(method, url, json=body, headers=headers)
    liar = CheckedTransport(httpx.MockTransport(lambda request: httpx.Response(200, json={"id": 5})))
    with pytest.raises(ShapeFault):
        await httpx.AsyncClient(transport=liar).get(f"{base}/5")


def test_every_connector_of_the_table_loads():
    for kind in CRMS:
        assert get(kind).kind == kind
