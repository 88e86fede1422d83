"""What is Zendesk's own: tokens that end, jobs, one key a person, notes that cannot be changed, four kinds of errors."""

import asyncio
import base64
import logging
from dataclasses import replace

import httpx
import pytest

from acervo.crms.conformance import PHONE, SECOND_PHONE, SECRET_TEXT, a_draft, an_item
from acervo.crms.contract import CrmCredentials, CrmError, CrmErrorKind, RecordRef
from acervo.crms.fields import drifted
from acervo.crms.zendesk import access, contacts, jobs, tickets
from acervo.crms.zendesk.adapter import Zendesk
from acervo.crms.zendesk.api import lanes
from acervo.crms.zendesk.errors import read_error, read_error_of_fixed_token
from acervo.crms.zendesk.test_zendesk import ZendeskWorld
from sandbox.hubspot.shapes import CheckedTransport, ShapeFault
from sandbox.zendesk import Fault
from sandbox.zendesk.account import MEDIA


@pytest.fixture
def world():
    return ZendeskWorld()


@pytest.fixture
def plain_world():
    return ZendeskWorld("activity")


async def ready(world):
    world.remember((await world.connector().ensure_schema()).options)
    return world.connector()


async def a_contact(world, phone=PHONE):
    connector = await ready(world)
    return connector, await connector.upsert_contact(a_draft(phone))


def answer(status, body, **headers):
    return httpx.Response(status, json=body, headers=headers)


def invalid(name, code, description="is invalid"):
    return {
        "error": "RecordInvalid",
        "description": "Record validation errors",
        "details": {name: [{"description": description, "error": code}]},
    }


# --- refusals ---


@pytest.mark.parametrize(
    ("response", "kind", "wait_s"),
    [
        (answer(400, {"error": {"title": "Invalid attribute", "message": "no"}}), "validation", None),
        (answer(401, {"error": "Couldn't authenticate you"}), "auth_expired", None),
        (answer(401, {"error": "invalid_token"}), "auth_expired", None),
        (answer(401, {"error": "invalid_client"}), "auth_revoked", None),
        (answer(403, {"error": {"title": "Forbidden", "message": "no"}}), "forbidden", None),
        (answer(404, {"error": "RecordNotFound", "description": "Not found"}), "not_found", None),
        (answer(404, {"error": "InvalidEndpoint", "description": "Not found"}), "forbidden", None),
        (answer(409, {"error": "UpdateConflict", "description": "no"}), "conflict", None),
        (answer(409, {"error": "DatabaseConflict", "description": "no"}), "locked", None),
        (answer(422, invalid("wa_kind", "InvalidValue")), "validation", None),
        (answer(422, invalid("external_id", "DuplicateValue")), "conflict", None),
        (answer(429, {}, **{"Retry-After": "93"}), "rate_limited", 93.0),
        (answer(429, {}), "rate_limited", 30.0),
        (answer(503, {}, **{"Retry-After": "600"}), "unavailable", 600.0),
        (httpx.Response(502, text="<html>down</html>"), "unavailable", None),
        (httpx.Response(302, headers={"Location": "https://elsewhere.example"}), "unavailable", None),
        (answer(418, ["not", "an", "object"]), "validation", None),
        (answer(422, {"errors": [{"code": "X", "title": "t", "detail": "d"}, 5]}), "validation", None),
    ],
)
def test_every_refusal_has_a_kind_words_and_a_wait(response, kind, wait_s):
    error = read_error(response)
    assert error.kind == kind
    assert error.retry_after_s == wait_s
    assert error.detail
    assert error.status == response.status_code


def test_nothing_a_vendor_repeats_in_its_message_reaches_the_error():
    told = f"{PHONE} is taken by wa:{PHONE}"
    bodies = [
        invalid("wa_phone_e164", "InvalidValue", told) | {"description": told},
        {"errors": [{"code": f"x{PHONE}", "title": told, "detail": told}]},
        {"error": {"title": told, "message": told}},
        {"error": told, "description": f"media_url {told}"},
    ]
    for body in bodies:
        error = read_error(answer(422, body, **{"X-Request-Id": told}))
        assert PHONE.lstrip("+") not in f"{error!r} {error} {vars(error)}"
    error = read_error(answer(422, bodies[0], **{"X-Request-Id": "8f3a11aa-0b"}))
    assert error.vendor_code == "RecordInvalid InvalidValue"
    assert "wa_phone_e164" in error.detail
    assert error.correlation_id == "8f3a11aa-0b"


# --- access ---


async def test_a_token_is_replaced_before_it_ends(world):
    world.account.token_lifetime_s = 300.0
    connector = await ready(world)
    world.time.advance(290)
    world.transport.exchanges.clear()
    assert not (await connector.upsert_media([an_item()]))[0].error
    assert world.transport.exchanges["POST /oauth/tokens"] == 1
    assert world.transport.exchanges["PATCH /api/v2/custom_objects/whatsapp_media/records"] == 1


async def test_a_client_that_was_removed_is_told_from_a_token_that_ended(world):
    connector = await ready(world)
    world.account.clients.clear()
    world.account.tokens.clear()
    (result,) = await connector.upsert_media([an_item()])
    assert result.error.kind is CrmErrorKind.AUTH_REVOKED
    with pytest.raises(CrmError) as refusal:
        await connector.find_contacts(PHONE)
    assert refusal.value.kind is CrmErrorKind.AUTH_REVOKED


@pytest.mark.parametrize(("status", "code"), [(400, "invalid_request"), (401, "Couldn't"), (422, "x")])
async def test_whatever_refuses_a_token_is_lost_access(world, status, code):
    world.account.faults.add(Fault("status", status, path_has="/oauth/tokens", category=code))
    with pytest.raises(CrmError) as refusal:
        await world.connector().check()
    assert refusal.value.kind is CrmErrorKind.AUTH_REVOKED


async def test_a_token_endpoint_that_is_away_is_no_lost_access(world):
    world.account.faults.add(Fault("status", 503, path_has="/oauth/tokens", category="Unavailable"))
    with pytest.raises(CrmError) as refusal:
        await world.connector().check()
    assert refusal.value.kind is CrmErrorKind.UNAVAILABLE


async def test_no_access_token_shows_anywhere(world, caplog):
    caplog.set_level(logging.DEBUG)
    connector = await ready(world)
    (token,) = world.account.tokens
    world.account.faults.add(Fault("status", 500, path_has="/users/search", times=9))
    with pytest.raises(CrmError) as refusal:
        await connector.find_contacts(PHONE)
    logged = [(record.getMessage(), vars(record)) for record in caplog.records]
    shown = repr([connector, world.tokens, refusal.value, vars(refusal.value), logged])
    assert token not in shown
    assert base64.b64encode(token.encode()).decode() not in shown


async def test_an_old_api_token_is_taken_and_its_last_day_is_known(world):
    world.secrets = {"email": "bot@aurora.example", "secret": "old-api-token"}
    world.account.api_tokens.add(("bot@aurora.example", "old-api-token"))
    info = await world.connector().check()
    assert info.account_id == "aurora"
    assert info.facts["access_ends_on"] == access.API_TOKENS_END_ON
    assert not world.account.tokens_sold
    world.account.api_tokens.clear()
    with pytest.raises(CrmError) as refusal:
        await world.connector().check()
    assert refusal.value.kind is CrmErrorKind.AUTH_REVOKED
    assert read_error_of_fixed_token(answer(429, {})).kind is CrmErrorKind.RATE_LIMITED


async def test_an_anonymous_user_is_nobody(world):
    def anonymous(request):
        is_token = request.url.path == "/oauth/tokens"
        body = {"access_token": "x"} if is_token else {"user": {"id": None, "name": "Anonymous user"}}
        return httpx.Response(200, json=body)

    http = httpx.AsyncClient(transport=httpx.MockTransport(anonymous))
    credentials = CrmCredentials(secrets=world.secrets, options=world.options)
    with pytest.raises(CrmError) as refusal:
        await Zendesk(credentials, http, pace=world.pace).check()
    assert refusal.value.kind is CrmErrorKind.AUTH_REVOKED


@pytest.mark.parametrize("odd", ["", "evil.example/", "a b", "-a", "aurora.zendesk.com"])
def test_a_subdomain_leads_nowhere_else(odd):
    assert not access.is_subdomain(odd)
    with pytest.raises(CrmError):
        access.base_url(CrmCredentials(secrets={"secret": "x"}, options={"subdomain": odd}))
    there = CrmCredentials(secrets={"secret": "x"}, options={"subdomain": "aurora-2"})
    assert access.base_url(there) == "https://aurora-2.zendesk.com"


# --- limits and trouble ---


async def test_a_limit_is_waited_out_as_long_as_zendesk_says_and_by_all(world):
    connector = await ready(world)
    world.account.faults.add(
        Fault("status", 429, "PATCH", "/records", category="APIRateLimitExceeded", policy_name="17")
    )
    before = world.time.now()
    results = await asyncio.gather(*(connector.upsert_media([an_item()]) for _ in range(5)))
    assert not any(result.error for (result,) in results)
    assert world.time.now() - before == pytest.approx(17)
    assert world.account.by_operation["upsert_record"] == 6


async def test_a_long_wait_goes_back_to_the_job(world):
    connector = await ready(world)
    world.account.faults.add(Fault("status", 429, "PATCH", "/records", policy_name="60"))
    before = world.time.now()
    (result,) = await connector.upsert_media([an_item()])
    assert (result.error.kind, result.error.retry_after_s) == (CrmErrorKind.RATE_LIMITED, 60)
    assert world.time.now() == before


async def test_we_leave_room_for_the_accounts_other_apps(world):
    connector = world.connector()
    report = await connector.ensure_schema()
    assert report.options["per_minute"] == 400
    assert connector.usage["minute_max"] == 400
    assert {name: count for name, count, _ in lanes(400)} == {"minute": 240, "tickets": 60}


async def test_a_user_changed_too_often_is_waited_for(world):
    connector, contact = await a_contact(world)
    refused = []
    for count in range(1, 8):
        try:
            await connector.upsert_contact(a_draft(media_count=count), known=contact)
        except CrmError as error:
            refused.append(error.kind)
            await world.time.sleep(error.retry_after_s)
            await connector.upsert_contact(a_draft(media_count=count), known=contact)
    assert set(refused) <= {CrmErrorKind.RATE_LIMITED}
    assert world.contacts()[contact.record_id]["media_count"] == "7"


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
        if request.url.path == "/oauth/tokens":
            return httpx.Response(200, json={"access_token": "x"})
        raise failure

    credentials = CrmCredentials(secrets=world.secrets, options=world.options)
    http = httpx.AsyncClient(transport=httpx.MockTransport(fail))
    (result,) = await Zendesk(credentials, http, pace=world.pace).upsert_media([an_item()])
    assert result.error.kind is kind


@pytest.mark.parametrize(
    "content",
    [b"<html>", b"[]", b'{"users": 3}', b'{"user": []}', b'{"user": {"id": 1}, "user_fields": [1]}'],
)
async def test_an_answer_of_another_shape_is_not_a_crash(world, content):
    def odd(request):
        if request.url.path == "/oauth/tokens":
            return httpx.Response(200, json={"access_token": "x"})
        return httpx.Response(200, content=content)

    http = httpx.AsyncClient(transport=httpx.MockTransport(odd))
    credentials = CrmCredentials(secrets=world.secrets, options=world.options)
    connector = Zendesk(credentials, http, pace=world.pace)
    refused = 0
    for call in (connector.find_contacts(PHONE), connector.ensure_schema(), connector.find_related(REF)):
        with pytest.raises(CrmError) as refusal:
            await call
        refused += bool(refusal.value.detail)
    assert refused == 3


REF = RecordRef("contact", "360000000101")


# --- people ---


async def test_a_key_of_somebody_elses_is_left_alone_and_the_person_is_known_all_the_same(world):
    connector = await ready(world)
    user = world.account.people.add(name="Ana", phone="(11) 5555-0142", external_id="erp-4711")
    world.settle()
    (match,) = await connector.find_contacts(PHONE)
    assert not match.is_stamped
    await connector.upsert_contact(a_draft(), known=match.ref)
    assert user.external_id == "erp-4711"
    assert user.user_fields["wa_phone_e164"] == PHONE
    (match,) = await connector.find_contacts(PHONE)
    assert match.is_stamped
    assert match.ref.record_id == str(user.id)


async def test_a_contact_somebody_chose_is_completed_although_another_has_our_key(world):
    connector, first = await a_contact(world)
    chosen = RecordRef("contact", world.add_contact(first_name="Ana", phone="+55 11 5555-0199"))
    await connector.upsert_contact(a_draft(media_count=3), known=chosen)
    assert world.contacts()[chosen.record_id]["media_count"] == "3"
    assert world.account.people.users[int(first.record_id)].external_id == f"wa:{PHONE}"
    assert world.account.people.users[int(chosen.record_id)].external_id is None


async def test_an_agent_with_the_number_is_no_customer(world):
    connector = await ready(world)
    world.account.people.add(name="Agente", phone=PHONE, role="agent")
    world.settle()
    assert not await connector.find_contacts(PHONE)


async def test_a_name_we_had_to_make_up_gives_way_to_the_real_one_and_to_nothing_else(world):
    connector = await ready(world)
    ref = await connector.upsert_contact(a_draft(first_name=None))
    assert world.contacts()[ref.record_id]["first_name"] == PHONE
    await connector.upsert_contact(a_draft(last_name="Souza"), known=ref)
    await connector.upsert_contact(a_draft(first_name="Outra"), known=ref)
    assert world.contacts()[ref.record_id]["first_name"] == "Ana Souza"


async def test_nothing_new_is_no_call(world):
    connector, ref = await a_contact(world)
    world.transport.exchanges.clear()
    await connector.upsert_contact(a_draft(), known=ref)
    assert world.transport.exchanges == {"GET /api/v2/users/{id}": 1}


async def test_two_heirs_of_a_merged_contact_are_not_guessed_from(world):
    connector, old = await a_contact(world)
    world.merge(world.add_contact(first_name="Ana", phone="+55 11 5555-0199"), old.record_id)
    world.add_contact(first_name="Outra Ana", phone=PHONE)
    world.settle()
    with pytest.raises(CrmError) as refusal:
        await connector.upsert_contact(a_draft(), known=old)
    assert refusal.value.kind is CrmErrorKind.NOT_FOUND


@pytest.mark.parametrize(
    ("phone", "ending"),
    [
        ("+5520985550142", "85550142"),
        ("+552085550142", "85550142"),
        ("+5215555550142", "5555550142"),
        ("+551155550142", "1155550142"),
        ("+14155550142", "4155550142"),
    ],
)
def test_one_question_covers_all_forms_of_a_line(phone, ending):
    assert contacts.loose_search(phone) == f"role:end-user phone:*{ending}"


async def test_finding_and_making_a_person_takes_three_calls(world):
    connector = await ready(world)
    world.transport.exchanges.clear()
    assert not await connector.find_contacts(PHONE)
    await connector.upsert_contact(a_draft())
    assert sum(world.transport.exchanges.values()) <= 4


# --- fields ---


async def test_a_field_a_person_made_differently_is_named_and_left_alone(world):
    people, objects = world.account.people, world.account.objects
    people.define({"key": "wa_media_count", "type": "text", "title": "Minha contagem"})
    objects.create({"key": MEDIA, "title": "Mídia", "title_pluralized": "Mídias"})
    one = {"name": "Sim", "value": "sim"}
    objects.define(MEDIA, {"key": "kind", "type": "dropdown", "title": "T", "custom_field_options": [one]})
    target = {"relationship_target_type": "zen:organization"}
    objects.define(MEDIA, {"key": "contact", "type": "lookup", "title": "C", **target})
    report = await world.connector().ensure_schema()
    assert {conflict.partition(":")[0] for conflict in report.conflicts} == {
        "contact.wa_media_count",
        "media.kind",
        "media.contact",
    }
    assert people.fields["wa_media_count"]["title"] == "Minha contagem"
    assert objects.get(MEDIA).fields["kind"]["custom_field_options"] == [one]


async def test_an_account_whose_objects_are_all_in_use_gets_notes_instead(world):
    world.account.objects.limit = 1
    world.account.objects.create({"key": "assets", "title": "Assets", "title_pluralized": "Assets"})
    report = await world.connector().ensure_schema()
    assert report.options["model"] == "activity"
    assert MEDIA not in world.account.objects.objects


async def test_who_is_no_admin_is_told_so(world):
    world.account.role = "agent"
    assert (await world.connector().check()).facts["role"] == "agent"
    with pytest.raises(CrmError) as refusal:
        await world.connector().ensure_schema()
    assert refusal.value.kind is CrmErrorKind.FORBIDDEN


async def test_a_field_added_in_a_later_release_is_added_to_the_object_that_is_there(world):
    connector = await ready(world)
    del world.media.fields["sha256"]
    assert (await connector.ensure_schema()).created == ("media.sha256",)


async def test_the_labels_are_in_the_language_of_those_who_work_there(world):
    world.options["language"] = "pt-br"
    await ready(world)
    assert world.media.fields["transcript"]["title"] == "Transcrição"
    assert world.media.fields["kind"]["custom_field_options"][0] == {
        "name": "Áudio de voz",
        "value": "wa_kind_voice",
    }


# --- records ---


async def test_a_hundred_files_take_a_handful_of_calls(world):
    connector, contact = await a_contact(world)
    world.transport.exchanges.clear()
    items = [an_item(contact=contact) for _ in range(100)]
    results = await connector.upsert_media(items)
    assert all(result.created and not result.error for result in results)
    assert sum(world.transport.exchanges.values()) <= 6
    assert all(len(world.records(item.media_id)) == 1 for item in items)


async def test_a_backfill_takes_less_than_a_call_a_file_people_included(world):
    connector = await ready(world)
    world.transport.exchanges.clear()
    items = []
    for number in range(20):
        phone = f"{PHONE[:-2]}{number:02}"
        assert not await connector.find_contacts(phone)
        ref = await connector.upsert_contact(a_draft(phone))
        items += [an_item(contact=ref) for _ in range(5)]
    assert not any(result.error for result in await connector.upsert_media(items))
    assert sum(world.transport.exchanges.values()) < len(items)
    assert len(world.media.records) == len(items)


async def test_a_fault_in_a_job_is_tried_alone_and_says_why(world):
    connector = await ready(world)
    items = [an_item() for _ in range(8)]
    items[5] = replace(items[5], kind="hologram")
    results = await connector.upsert_media(items)
    assert [n for n, result in enumerate(results) if result.error] == [5]
    assert results[5].error.kind is CrmErrorKind.VALIDATION
    assert results[5].error.vendor_code == "RecordInvalid InvalidValue"


async def test_a_change_that_a_job_refused_is_not_taken_for_the_record_that_was_there(world):
    connector = await ready(world)
    items = [an_item() for _ in range(5)]
    await connector.upsert_media(items)
    items[2] = replace(items[2], kind="hologram")
    results = await connector.upsert_media(items)
    assert [n for n, result in enumerate(results) if result.error] == [2]


async def test_an_item_that_fails_inside_a_job_goes_through_alone(world):
    connector = await ready(world)
    world.account.faults.add(Fault("partial", path_has="/jobs"))
    items = [an_item() for _ in range(5)]
    assert not any(result.error for result in await connector.upsert_media(items))
    assert world.account.by_operation["upsert_record"] == 1
    assert all(len(world.records(item.media_id)) == 1 for item in items)


async def test_a_job_that_takes_too_long_is_asked_for_again_and_doubles_nothing(world):
    connector = await ready(world)
    world.account.objects.job_s = 600.0
    items = [an_item() for _ in range(5)]
    before = world.time.now()
    results = await connector.upsert_media(items)
    assert world.time.now() - before <= jobs.PATIENCE_S
    assert {result.error.kind for result in results} == {CrmErrorKind.UNAVAILABLE}
    world.account.objects.job_s = 1.0
    assert not any(result.error for result in await connector.upsert_media(items))
    assert all(len(world.records(item.media_id)) == 1 for item in items)


async def test_a_job_whose_start_was_not_answered_is_repeated_without_harm(world):
    connector = await ready(world)
    items = [an_item() for _ in range(5)]
    world.account.faults.add(Fault("timeout_after_commit", path_has="/jobs"))
    lost = await connector.upsert_media(items)
    assert {result.error.kind for result in lost} == {CrmErrorKind.UNKNOWN_OUTCOME}
    assert not any(result.error for result in await connector.upsert_media(items))
    assert all(len(world.records(item.media_id)) == 1 for item in items)


async def test_a_job_of_which_everything_failed_is_written_one_by_one(world):
    connector = await ready(world)
    world.account.objects.jobs_at_once = 0
    (first, *_) = await connector.upsert_media([an_item() for _ in range(5)])
    assert first.error.kind is CrmErrorKind.RATE_LIMITED
    assert jobs.faulty({"status": "failed", "results": None}, 2) == {0, 1}


async def test_a_record_whose_key_somebody_emptied_is_found_by_its_id(world):
    connector = await ready(world)
    item = an_item()
    (result,) = await connector.upsert_media([item])
    record = world.media.records[result.ref.record_id]
    record.external_id = None
    world.media.held.clear()
    (state,) = await connector.read_media([replace(item, known_ref=result.ref)])
    assert state.ref == result.ref
    assert drifted(item, state) == ("media_id",)


async def test_what_a_file_lost_is_emptied_in_the_record_too(world):
    connector = await ready(world)
    item = an_item(transcript="palavras")
    (result,) = await connector.upsert_media([item])
    await connector.upsert_media([replace(item, transcript=None, duration_s=None, known_ref=result.ref)])
    values = world.media.records[result.ref.record_id].values
    assert values["transcript"] is None
    assert values["duration_s"] is None
    assert values["received_on"] == "2026-11-23"


async def test_a_record_names_its_ticket_and_the_ticket_points_to_the_file_once(world):
    connector, contact = await a_contact(world)
    ticket_id = world.add_deal(contact.record_id, "Entrega atrasada")
    item = an_item(contact=contact, title="Exame da Ana", transcript=SECRET_TEXT)
    (result,) = await connector.upsert_media([item])
    (related,) = await connector.find_related(contact)
    for _ in range(2):
        await connector.link(result.ref, [related.ref])
    assert world.media.records[result.ref.record_id].values["ticket"] == ticket_id
    (note,) = world.account.desk.get(int(ticket_id)).comments
    assert item.url in note.html
    assert not note.is_public
    assert SECRET_TEXT not in note.html
    assert "Exame" not in note.html
    (again,) = await connector.upsert_media([replace(item, known_ref=result.ref)])
    assert not again.error
    assert world.media.records[result.ref.record_id].values["ticket"] == ticket_id


async def test_erasing_a_record_blacks_out_the_note_on_its_ticket(world):
    connector, contact = await a_contact(world)
    ticket_id = world.add_deal(contact.record_id, "Entrega atrasada")
    item = an_item(contact=contact)
    (result,) = await connector.upsert_media([item])
    await connector.link(result.ref, [RecordRef("ticket", ticket_id)])
    assert (await connector.erase_media(result.ref)).outcome == "done"
    (note,) = notes_on(world, ticket_id)
    assert item.media_id not in note.replace(item.url, "")
    assert "▇" in note


async def test_a_file_cannot_be_tied_to_what_zendesk_does_not_have(world):
    connector = await ready(world)
    (result,) = await connector.upsert_media([an_item()])
    with pytest.raises(CrmError) as refusal:
        await connector.link(result.ref, [RecordRef("deal", "5")])
    assert refusal.value.kind is CrmErrorKind.UNSUPPORTED


# --- notes ---


def notes_on(world, ticket_id):
    return [comment.html for comment in world.account.desk.get(int(ticket_id)).comments]


def own_tickets(world):
    return [one for one in world.account.desk.tickets.values() if one.external_id]


async def test_a_customer_with_one_unsolved_ticket_has_the_files_on_it(plain_world):
    connector, contact = await a_contact(plain_world)
    plain_world.account.desk.add(int(contact.record_id), "Antigo", status="solved")
    ticket_id = plain_world.add_deal(contact.record_id, "Entrega atrasada")
    (result,) = await connector.upsert_media([an_item(contact=contact)])
    assert result.ref.record_id.partition("/")[0] == ticket_id
    assert result.ref.url == f"https://aurora.zendesk.com/agent/tickets/{ticket_id}"
    assert not own_tickets(plain_world)
    assert not plain_world.account.desk.get(int(ticket_id)).comments[0].is_public
    assert plain_world.account.desk.get(int(ticket_id)).tags == [tickets.TAG]


async def test_with_several_unsolved_tickets_nobody_is_guessed_and_ours_is_not_offered(plain_world):
    connector, contact = await a_contact(plain_world)
    both = {plain_world.add_deal(contact.record_id, title) for title in ("Entrega", "Troca")}
    items = [an_item(contact=contact) for _ in range(3)]
    for item in items:
        await connector.upsert_media([item])
    (own,) = own_tickets(plain_world)
    assert own.status == "hold"
    assert not any(comment.is_public for comment in own.comments)
    assert all(plain_world.records(item.media_id) == [f"{own.id}/{item.media_id}"] for item in items)
    assert {one.ref.record_id for one in await connector.find_related(contact)} == both


async def test_an_account_without_on_hold_gets_the_ticket_as_pending(plain_world):
    plain_world.account.desk.has_hold = False
    connector, contact = await a_contact(plain_world)
    assert not (await connector.upsert_media([an_item(contact=contact)]))[0].error
    (own,) = own_tickets(plain_world)
    assert own.status == "pending"


async def test_files_that_come_together_share_a_comment(plain_world):
    connector, contact = await a_contact(plain_world)
    items = [an_item(contact=contact) for _ in range(30)]
    results = await connector.upsert_media(items)
    assert all(result.created and not result.error for result in results)
    (own,) = own_tickets(plain_world)
    assert len(own.comments) == 2
    states = await connector.read_media(items)
    assert not any(drifted(item, state) for item, state in zip(items, states, strict=True))
    assert {state.copies for state in states} == {1}


async def test_long_transcripts_go_into_comments_of_their_own(plain_world):
    connector, contact = await a_contact(plain_world)
    items = [an_item(contact=contact, transcript="ção " * 7000) for _ in range(4)]
    assert not any(result.error for result in await connector.upsert_media(items))
    (own,) = own_tickets(plain_world)
    assert len(own.comments) == 4


async def test_erasing_one_file_of_a_comment_leaves_the_others_readable(plain_world):
    connector, contact = await a_contact(plain_world)
    items = [an_item(contact=contact, title=f"Exame {n}") for n in range(3)]
    results = await connector.upsert_media(items)
    assert (await connector.erase_media(results[1].ref)).outcome == "done"
    assert [len(plain_world.records(item.media_id)) for item in items] == [1, 0, 1]
    assert "Exame 1" not in plain_world.everything_live()
    known = [replace(item, known_ref=result.ref) for item, result in zip(items, results, strict=True)]
    states = await connector.read_media(known)
    assert [state.copies for state in states] == [1, 0, 1]
    assert not drifted(items[0], states[0])
    assert not drifted(items[2], states[2])


async def test_without_the_agent_workspace_erasing_says_that_it_cannot(plain_world):
    connector, contact = await a_contact(plain_world)
    (result,) = await connector.upsert_media([an_item(contact=contact)])
    plain_world.account.desk.has_workspace = False
    outcome = await connector.erase_media(result.ref)
    assert outcome.outcome == "impossible"
    assert "Agent Workspace" in outcome.left


async def test_a_note_that_changed_is_written_anew_and_the_old_words_are_gone(plain_world):
    connector, contact = await a_contact(plain_world)
    item = an_item(contact=contact, transcript=SECRET_TEXT)
    other = an_item(contact=contact)
    result, _ = await connector.upsert_media([item, other])
    changed = replace(item, transcript=None, known_ref=result.ref)
    (again,) = await connector.upsert_media([changed])
    assert again.ref == result.ref
    assert not again.created
    assert SECRET_TEXT not in plain_world.everything_live()
    assert len(plain_world.records(item.media_id)) == len(plain_world.records(other.media_id)) == 1
    plain_world.transport.exchanges.clear()
    await connector.upsert_media([changed])
    assert all(name.startswith("GET ") for name in plain_world.transport.exchanges)


async def test_a_note_on_a_closed_ticket_moves_on_and_the_old_one_is_emptied(plain_world):
    connector, contact = await a_contact(plain_world)
    item = an_item(contact=contact, transcript=SECRET_TEXT)
    (result,) = await connector.upsert_media([item])
    (own,) = own_tickets(plain_world)
    own.status = "closed"
    changed = replace(item, transcript=None, known_ref=result.ref)
    (moved,) = await connector.upsert_media([changed])
    assert moved.ref != result.ref
    assert plain_world.records(item.media_id) == [moved.ref.record_id]
    assert SECRET_TEXT not in plain_world.everything_live()


async def test_a_note_somebody_blacked_out_is_not_written_again_unasked(plain_world):
    connector, contact = await a_contact(plain_world)
    item = an_item(contact=contact)
    (result,) = await connector.upsert_media([item])
    plain_world.delete_record(result.ref.record_id)
    (again,) = await connector.upsert_media([replace(item, title="Outro", known_ref=result.ref)])
    assert again.error.kind is CrmErrorKind.NOT_FOUND
    assert not plain_world.records(item.media_id)


async def test_a_ticket_whose_answer_was_lost_is_adopted_in_the_same_call(plain_world):
    connector, contact = await a_contact(plain_world)
    items = [an_item(contact=contact) for _ in range(3)]
    plain_world.account.faults.add(Fault("timeout_after_commit", method="POST", path_has="/api/v2/tickets"))
    results = await connector.upsert_media(items)
    assert not any(result.error for result in results)
    assert len(own_tickets(plain_world)) == 1
    assert all(len(plain_world.records(item.media_id)) == 1 for item in items)


async def test_a_comment_a_gateway_may_have_dropped_is_looked_for_and_not_doubled(plain_world):
    connector, contact = await a_contact(plain_world)
    await connector.upsert_media([an_item(contact=contact)])
    item = an_item(contact=contact)
    plain_world.account.faults.add(Fault("status", 504, method="PUT", path_has="/api/v2/tickets"))
    (result,) = await connector.upsert_media([item])
    assert result.error.kind is CrmErrorKind.UNKNOWN_OUTCOME
    assert not (await connector.upsert_media([item]))[0].error
    assert len(plain_world.records(item.media_id)) == 1


async def test_a_ticket_somebody_wrote_to_meanwhile_is_read_again(plain_world):
    connector, contact = await a_contact(plain_world)
    await connector.upsert_media([an_item(contact=contact)])
    item = an_item(contact=contact)
    plain_world.account.faults.add(Fault("status", 409, method="PUT", category="UpdateConflict"))
    (result,) = await connector.upsert_media([item])
    assert not result.error
    assert len(plain_world.records(item.media_id)) == 1
    plain_world.account.faults.add(Fault("status", 409, method="PUT", category="UpdateConflict", times=9))
    (result,) = await connector.upsert_media([an_item(contact=contact)])
    assert result.error.kind is CrmErrorKind.LOCKED


async def test_two_who_write_the_same_file_at_once_write_it_once(plain_world):
    connector, contact = await a_contact(plain_world)
    await connector.upsert_media([an_item(contact=contact)])
    plain_world.time.advance(5)
    item = an_item(contact=contact)
    both = await asyncio.gather(*(plain_world.connector().upsert_media([item]) for _ in range(2)))
    assert not any(result.error for (result,) in both)
    assert len(plain_world.records(item.media_id)) == 1


async def test_one_busy_ticket_does_not_make_others_wait(plain_world):
    connector, busy = await a_contact(plain_world)
    other = await connector.upsert_contact(a_draft(SECOND_PHONE))
    for _ in range(26):
        await connector.upsert_media([an_item(contact=busy)])
    items = [an_item(contact=busy), an_item(contact=other)]
    refused, written = await connector.upsert_media(items)
    assert refused.error.kind is CrmErrorKind.LOCKED
    assert refused.error.retry_after_s > 60
    assert not written.error


async def test_a_file_without_a_contact_cannot_become_a_note_and_says_so(plain_world):
    connector = await ready(plain_world)
    (result,) = await connector.upsert_media([an_item()])
    assert result.error.kind is CrmErrorKind.VALIDATION


async def test_a_note_can_be_tied_to_another_ticket_once(plain_world):
    connector, contact = await a_contact(plain_world)
    for title in ("Entrega", "Troca"):
        plain_world.add_deal(contact.record_id, title)
    item = an_item(contact=contact, transcript=SECRET_TEXT)
    (result,) = await connector.upsert_media([item])
    first, second = [one.ref for one in await connector.find_related(contact)]
    for _ in range(2):
        await connector.link(result.ref, [first, second])
    for ref in (first, second):
        (note,) = notes_on(plain_world, ref.record_id)
        assert item.url in note
        assert SECRET_TEXT not in note
    assert plain_world.records(item.media_id) == [result.ref.record_id]


async def test_a_closed_ticket_is_named_by_a_record_and_refused_to_a_note(world, plain_world):
    for place in (world, plain_world):
        connector, contact = await a_contact(place)
        for title in ("Entrega", "Troca"):
            place.add_deal(contact.record_id, title)
        (result,) = await connector.upsert_media([an_item(contact=contact)])
        ref = (await connector.find_related(contact))[0].ref
        place.account.desk.get(int(ref.record_id)).status = "closed"
        if place is world:
            await connector.link(result.ref, [ref])
            assert world.media.records[result.ref.record_id].values["ticket"] == ref.record_id
        else:
            with pytest.raises(CrmError) as refusal:
                await connector.link(result.ref, [ref])
            assert refusal.value.kind is CrmErrorKind.UNSUPPORTED


async def test_a_record_from_a_higher_plan_does_not_stand_for_a_note(plain_world):
    connector, contact = await a_contact(plain_world)
    item = an_item(contact=contact, known_ref=RecordRef("media", "01KXOLDRECORD"))
    (result,) = await connector.upsert_media([item])
    assert result.created
    assert result.ref.object_type == "note"


async def test_spaces_that_zendesk_set_otherwise_are_no_drift(plain_world):
    connector, contact = await a_contact(plain_world)
    item = an_item(contact=contact, transcript="linha um\n\n  linha dois")
    (result,) = await connector.upsert_media([item])
    (own,) = own_tickets(plain_world)
    own.comments[0].html = own.comments[0].html.replace("<br><br>  ", "<br>\n<br>")
    (state,) = await connector.read_media([replace(item, known_ref=result.ref)])
    assert not drifted(item, state)


async def test_a_file_of_a_deleted_customer_is_not_there_and_others_are(plain_world):
    connector, contact = await a_contact(plain_world)
    gone, kept = an_item(contact=RecordRef("contact", "999")), an_item(contact=contact)
    await connector.upsert_media([kept])
    states = await connector.read_media([gone, kept])
    assert [state.copies for state in states] == [0, 1]


# --- both sides ---


async def test_both_sides_are_really_held_to_the_shapes(world):
    await ready(world)
    base = "https://aurora.zendesk.com/api/v2"
    headers = {"Authorization": f"Bearer {next(iter(world.account.tokens))}"}
    public = {"comment": {"html_body": "<p>x</p>", "public": True}}
    for method, url, body in (
        ("GET", f"{base}/organizations", None),
        ("PUT", f"{base}/tickets/1", {"ticket": public}),
        (
            "PATCH",
            f"{base}/custom_objects/whatsapp_media/records?external_id=1",
            {"custom_object_record": {}},
        ),
    ):
        with pytest.raises(ShapeFault):
            await world.http.request(method, url, json=body, headers=headers)
    wrong = httpx.MockTransport(lambda request: httpx.Response(200, json={"user": {"id": "5"}}))
    with pytest.raises(ShapeFault):
        await httpx.AsyncClient(transport=CheckedTransport(wrong, "zendesk")).get(f"{base}/users/5")
