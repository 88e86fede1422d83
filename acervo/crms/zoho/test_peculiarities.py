"""What is Zoho's own: refusals that come with 200, names it derives, credits, notes without keys, data centres."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest

from acervo.crms.conformance import PHONE, SECRET_TEXT, a_draft, an_item
from acervo.crms.contract import CrmCredentials, CrmError, CrmErrorKind, RecordRef
from acervo.crms.fields import CONTACT_FIELDS, MEDIA_FIELDS, drifted
from acervo.crms.tokens import OwnToken
from acervo.crms.zoho import access, card, schema
from acervo.crms.zoho.adapter import Zoho
from acervo.crms.zoho.centres import CENTRES, centre_of
from acervo.crms.zoho.errors import CREDITS_LEFT, read_error, read_item_error, read_token_error
from acervo.crms.zoho.names import LABELS, expected
from acervo.crms.zoho.test_zoho import ZohoWorld
from sandbox.hubspot.shapes import ShapeFault
from sandbox.zoho import Fault
from sandbox.zoho.fields import Field
from sandbox.zoho.shapes import CheckedTransport


@pytest.fixture
def world():
    return ZohoWorld()


@pytest.fixture
def plain_world():
    return ZohoWorld("activity")


async def ready(world):
    world.remember((await world.connector().ensure_schema()).options)
    return world.connector()


def answer(status, body, **headers):
    return httpx.Response(status, json=body, headers=headers)


def refused(code, **details):
    return {"code": code, "details": details, "message": f"{PHONE} {SECRET_TEXT}", "status": "error"}


# --- errors ---


@pytest.mark.parametrize(
    ("response", "kind", "wait_s"),
    [
        (answer(401, refused("INVALID_TOKEN")), "auth_expired", None),
        (answer(401, refused("AUTHENTICATION_FAILURE")), "auth_expired", None),
        (answer(401, refused("OAUTH_SCOPE_MISMATCH")), "forbidden", None),
        (answer(403, refused("NO_PERMISSION")), "forbidden", None),
        (answer(404, refused("INVALID_URL_PATTERN")), "not_found", None),
        (answer(400, refused("INVALID_MODULE")), "not_found", None),
        (answer(400, refused("INVALID_DATA", api_name="id")), "not_found", None),
        (answer(400, refused("INVALID_DATA", api_name="WA_Kind")), "validation", None),
        (answer(400, refused("INVALID_DATA", resource_path_index=1)), "not_found", None),
        (answer(404, refused("INVALID_DATA")), "not_found", None),
        (answer(400, refused("INVALID_DATA")), "validation", None),
        (answer(400, refused("AUTHORIZATION_FAILED")), "forbidden", None),
        (answer(413, refused("FILE_SIZE_MORE_THAN_ALLOWED_SIZE")), "validation", None),
        (httpx.Response(413, text="<html>too large</html>"), "validation", None),
        (answer(400, {"data": [refused("MANDATORY_NOT_FOUND", api_name="Last_Name")]}), "validation", None),
        (answer(400, {"data": [refused("DUPLICATE_DATA", id="901")]}), "conflict", None),
        (answer(400, refused("RECORD_LOCKED")), "locked", 2.0),
        (answer(412, refused("RECORD_MODIFIED")), "locked", 2.0),
        (answer(429, refused("TOO_MANY_REQUESTS")), "rate_limited", None),
        (answer(429, refused("TOO_MANY_REQUESTS"), **{CREDITS_LEFT: "0"}), "quota_exhausted", 3600.0),
        (answer(429, refused("TOO_MANY_REQUESTS"), **{CREDITS_LEFT: "900"}), "rate_limited", None),
        (answer(500, refused("INTERNAL_ERROR")), "unavailable", None),
        (httpx.Response(503, text="<html>down</html>"), "unavailable", None),
        (httpx.Response(302, headers={"Location": "https://elsewhere.example"}), "unavailable", None),
        (answer(400, ["not", "an", "object"]), "validation", None),
    ],
)
def test_every_refusal_has_a_kind_words_and_a_wait(response, kind, wait_s):
    error = read_error(response)
    assert error.kind == kind
    assert error.retry_after_s == wait_s
    assert error.detail
    assert error.status == response.status_code


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        (answer(200, {"error": "invalid_code"}), "auth_revoked"),
        (answer(200, {"error": "invalid_client"}), "auth_revoked"),
        (answer(200, {"unheard": "of"}), "auth_revoked"),
        (answer(400, {"error": "Access Denied", "status": "failure"}), "rate_limited"),
        (httpx.Response(502, text="bad gateway"), "unavailable"),
    ],
)
def test_the_accounts_server_is_judged_by_its_body(response, kind):
    assert read_token_error(response).kind == kind


def test_a_conflict_names_the_record_to_adopt_wherever_zoho_puts_it():
    for details in ({"id": "901"}, {"duplicate_record": {"id": "901"}}):
        assert read_item_error(refused("DUPLICATE_DATA", **details)).existing_id == "901"
    assert read_item_error(refused("DUPLICATE_DATA", id=f"9{SECRET_TEXT}")).existing_id is None


def test_nothing_a_vendor_repeats_in_its_message_reaches_the_error():
    odd = refused("INVALID_DATA", api_name="WA_Kind", json_path=f"$.data[0].{PHONE}", expected=SECRET_TEXT)
    error = read_error(answer(400, odd))
    assert error.vendor_code == "INVALID_DATA WA_Kind"
    for said in (error, read_item_error({"code": PHONE, "details": {"api_name": PHONE}})):
        assert PHONE not in f"{said!r} {vars(said)}"
        assert SECRET_TEXT not in f"{said!r} {vars(said)}"


# --- access ---


async def test_zoho_is_called_with_its_own_word_before_the_token(world):
    seen = []
    world.http.event_hooks = {"request": [lambda request: _noted(seen, request.headers.get("authorization"))]}
    await world.connector().check()
    (token,) = world.account.tokens
    assert seen == [
        None,
        f"Zoho-oauthtoken {token}",
    ]  # the question for a token, and the one about the account


async def test_an_hour_later_a_new_token_is_asked_for_before_the_old_one_is_refused(world):
    connector = await ready(world)
    for _ in range(5):
        world.time.advance(3595)
        await connector.check()
    assert world.account.tokens_given == 6


async def test_too_many_tokens_are_waited_for_and_do_not_pause_the_connection(world):
    world.account.traffic.tokens.limit = 0
    with pytest.raises(CrmError) as refusal:
        await world.connector().check()
    assert refusal.value.kind is CrmErrorKind.RATE_LIMITED
    assert refusal.value.retry_after_s == 600


async def test_a_grant_code_buys_a_refresh_token_once(world):
    world.account.grant_codes["1000.grant"] = world.token
    secrets = {"client_id": world.client[0], "client_secret": world.client[1]}
    credentials = CrmCredentials(secrets=secrets)
    assert await access.redeem(credentials, world.http, "1000.grant") == world.token
    with pytest.raises(CrmError) as refusal:
        await access.redeem(credentials, world.http, "1000.grant")
    assert refusal.value.kind is CrmErrorKind.AUTH_REVOKED
    assert "1000.grant" not in f"{refusal.value!r} {vars(refusal.value)}"


def test_each_data_centre_has_hosts_of_its_own_and_an_unknown_one_is_refused():
    def centre(name):
        return centre_of(CrmCredentials(secrets={}, options={"data_centre": name}))

    assert centre("eu").accounts == "https://accounts.zoho.eu"
    assert centre("au").api == "https://www.zohoapis.com.au"
    assert centre("ca").accounts == "https://accounts.zohocloud.ca"
    assert centre("ca").api == "https://www.zohoapis.ca"
    assert centre_of(CrmCredentials(secrets={})) == CENTRES["us"]
    with pytest.raises(CrmError):
        centre("evil.example")


# --- the schema ---


async def test_the_organisation_is_named_so_that_nobody_writes_into_another(world):
    info = await world.connector().check()
    assert (info.account_id, info.name) == ("716000123", "Aurora Casa & Telecom")
    assert info.facts["edition"] == "enterprise"


def test_labels_stay_within_what_zoho_takes():
    for place in ("contact", "media"):
        for label in LABELS[place].values():
            assert re.fullmatch(r"[A-Za-z0-9 ]{1,25}", label)
        assert len(set(expected(place).values())) == len(LABELS[place])
    for one in (*CONTACT_FIELDS, *MEDIA_FIELDS):
        made = schema.definition("contact" if one in CONTACT_FIELDS else "media", one, "pt")
        for choice in made.get("pick_list_values", ()):
            assert len(choice["actual_value"]) <= 25


async def test_names_are_read_back_and_remembered(world):
    await ready(world)
    fields = world.options["fields"]
    assert fields["media"]["title"] == "Name"  # as Zoho calls a display field, whatever its label
    assert fields["media"]["media_id"] == "WA_Media_Id"
    assert fields["contact"]["phone_e164"] == "WA_Phone_E164"
    assert world.options["media_tab"] == "CustomModule1"


async def test_people_see_labels_in_their_language(world):
    world.remember({"language": "pt-br"})
    world.account.modules["Contacts"].fields["Theirs"] = Field("Theirs", "Consentimento WhatsApp")
    await ready(world)
    contact, media = (world.account.modules[name].fields for name in ("Contacts", "WhatsAppMedia"))
    assert contact["WA_Phone_E164"].label == "Número do WhatsApp"
    assert contact["WA_Consent"].label == "WA Consent"  # the other label is a person's
    assert media["WA_Transcript"].label == "Transcrição"


@pytest.mark.parametrize("renamed", ["WA_Consent", "Name"])
async def test_a_field_people_renamed_is_still_ours(world, renamed):
    await ready(world)
    fields = world.account.modules["WhatsAppMedia"].fields
    fields[renamed] = replace(fields[renamed], label="Outra coisa")
    report = await world.connector().ensure_schema()
    assert not report.created
    assert not report.conflicts


async def test_a_field_a_person_made_differently_is_named_and_left_alone(world):
    theirs = {
        "WA_Consent": Field("WA_Consent", "WA Consent", "picklist", choices=({"display_value": "Sim", "actual_value": "Sim"},)),
        "WA_Phone_E164": Field("WA_Phone_E164", "WA Phone E164"),
        "WA_Media_Count": Field("WA_Media_Count", "WA Media Count"),
    }  # fmt: skip
    world.account.modules["Contacts"].fields |= theirs
    report = await world.connector().ensure_schema()
    assert {conflict.partition(":")[0] for conflict in report.conflicts} == {
        f"contact.{name}" for name in theirs
    }
    assert all(world.account.modules["Contacts"].fields[name] is one for name, one in theirs.items())


async def test_a_field_added_in_a_later_release_is_added_to_the_module_that_is_there(world):
    connector = await ready(world)
    del world.account.modules["WhatsAppMedia"].fields["WA_SHA256"]
    assert (await connector.ensure_schema()).created == ("media.WA_SHA256",)


async def test_an_account_without_cases_and_campaigns_has_the_other_ties(world):
    del world.account.modules["Cases"], world.account.modules["Campaigns"]
    connector = await ready(world)
    assert (await connector.capabilities()).relates_to == ("contact", "deal")
    contact = await connector.upsert_contact(a_draft())
    assert not await connector.find_related(contact)
    (result,) = await connector.upsert_media([an_item(contact=contact)])
    with pytest.raises(CrmError) as refusal:
        await connector.link(result.ref, [RecordRef("ticket", "1")])
    assert refusal.value.kind is CrmErrorKind.UNSUPPORTED


async def test_a_user_who_may_not_make_modules_gets_notes(world):
    world.account.faults.add(
        Fault(
            "status", 403, "POST", "/settings/modules", category="NO_PERMISSION", message="permission denied"
        )
    )
    report = await world.connector().ensure_schema()
    assert report.options["model"] == "activity"
    assert len(report.created) == len(CONTACT_FIELDS)


async def test_a_module_whose_making_got_no_answer_is_not_made_twice(world):
    world.account.faults.add(Fault("timeout_after_commit", method="POST", path_has="/settings/modules"))
    report = await world.connector().ensure_schema()
    assert report.options["model"] == "object"
    assert [one for one in world.account.modules if one.startswith("WhatsApp")] == ["WhatsAppMedia"]


async def test_choices_are_shown_in_the_language_of_the_account_and_read_back_as_ours(world):
    world.remember({"language": "pt-br"})
    connector = await ready(world)
    item = an_item(contact=await connector.upsert_contact(a_draft(consent="granted")))
    (result,) = await connector.upsert_media([item])
    assert world.account.find(result.ref.record_id).values["WA_Kind"] == "Áudio de voz"
    world.remember({"language": "en"})
    (state,) = await world.connector().read_media([item])
    assert not drifted(item, state)
    assert not (await world.connector().ensure_schema()).conflicts


# --- people ---


async def test_numbers_are_found_where_zoho_compares_them_only_as_they_were_typed(world):
    world.account.finds_parts = False
    connector = await ready(world)
    typed = {world.add_contact(phone=PHONE), world.add_contact(mobile=PHONE.removeprefix("+55"))}
    world.settle()
    assert {match.ref.record_id for match in await connector.find_contacts(PHONE)} == typed


async def test_one_loose_question_is_enough_where_zoho_finds_parts(world):
    connector = await ready(world)
    world.add_contact(phone="(11) 5555-0142")
    world.settle()
    await connector.find_contacts(PHONE)
    assert world.account.traffic.by_operation["search"] == 1


async def test_a_contact_with_the_number_goes_before_one_with_our_id(world):
    connector = await ready(world)
    draft = a_draft(phone=None)
    await connector.upsert_contact(draft)
    numbered = await connector.upsert_contact(a_draft())
    assert await connector.upsert_contact(replace(draft, phone=PHONE)) == numbered


async def test_a_contact_without_a_name_is_made_with_its_number(world):
    connector = await ready(world)
    ref = await connector.upsert_contact(a_draft(first_name=None))
    assert world.account.find(ref.record_id).values["Last_Name"] == PHONE


async def test_roll_ups_that_are_there_already_cost_no_call(world):
    connector = await ready(world)
    draft = a_draft(media_count=3, last_media_at=datetime(2026, 11, 23, 8, tzinfo=UTC), consent="granted")
    ref = await connector.upsert_contact(draft)
    await connector.upsert_contact(draft, known=ref)
    assert "update" not in world.account.traffic.by_operation


async def test_records_link_to_their_page_in_zoho(world):
    connector = await ready(world)
    contact = await connector.upsert_contact(a_draft())
    assert contact.url == f"https://crm.zoho.com/crm/org716000123/tab/Contacts/{contact.record_id}"
    (result,) = await connector.upsert_media([an_item(contact=contact)])
    assert f"/tab/CustomModule1/{result.ref.record_id}" in result.ref.url


# --- files ---


async def test_an_item_that_fails_inside_zoho_can_be_tried_again_alone(world):
    connector = await ready(world)
    world.account.faults.add(Fault("partial", path_has="/WhatsAppMedia/upsert"))
    items = [an_item() for _ in range(3)]
    results = await connector.upsert_media(items)
    assert [bool(result.error) for result in results] == [False, False, True]
    assert results[2].error.is_retryable
    assert not (await connector.upsert_media(items))[2].error


async def test_a_hundred_files_are_one_call_and_wake_no_workflow(world):
    connector = await ready(world)
    contact = await connector.upsert_contact(a_draft())
    world.transport.exchanges.clear()
    bodies = []
    world.http.event_hooks = {"request": [lambda request: _noted(bodies, json.loads(request.content))]}
    await connector.upsert_media([an_item(contact=contact) for _ in range(100)])
    assert world.transport.exchanges == {"POST /crm/v8/{module}/upsert": 1}
    assert bodies[0]["trigger"] == []


async def test_a_file_of_a_contact_that_is_gone_does_not_say_its_own_record_is(world):
    connector = await ready(world)
    contact = await connector.upsert_contact(a_draft())
    item = an_item(contact=contact)
    (first,) = await connector.upsert_media([item])
    world.delete_contact(contact.record_id)
    (second,) = await connector.upsert_media([replace(item, known_ref=first.ref, title="Changed")])
    assert second.error.kind is CrmErrorKind.NOT_FOUND
    assert second.ref == first.ref


async def test_a_record_whose_key_somebody_emptied_is_found_by_its_id(world):
    connector = await ready(world)
    item = an_item()
    (result,) = await connector.upsert_media([item])
    world.account.edit(result.ref.record_id, WA_Media_Id=None)
    (state,) = await connector.read_media([replace(item, known_ref=result.ref)])
    assert state.ref == result.ref
    assert drifted(item, state) == ("media_id",)


async def test_a_file_is_tied_to_deal_case_and_campaign(world):
    connector = await ready(world)
    contact = await connector.upsert_contact(a_draft())
    tie = {"Contact_Name": {"id": contact.record_id}}
    deal = world.account.add("Deals", Deal_Name="Reforma", Stage="Closed Won", **tie)
    case = world.account.add("Cases", Subject="Vazamento", Status="New", **tie)
    campaign = world.account.add("Campaigns", Campaign_Name="Natal", Status="Active")
    world.account.members.add((campaign, contact.record_id))
    found = await connector.find_related(contact)
    assert [(one.ref.object_type, one.is_open) for one in found] == [
        ("ticket", True),
        ("campaign", True),
        ("deal", False),
    ]
    (result,) = await connector.upsert_media([an_item(contact=contact)])
    await connector.link(result.ref, [one.ref for one in found])
    values = world.account.find(result.ref.record_id).values
    assert [values[f"WA_{name}"]["id"] for name in ("Deal", "Case", "Campaign")] == [deal, case, campaign]


async def test_without_the_scope_for_the_bin_erasure_says_what_stays(world):
    world.account.lacks_scopes.add("/settings/recycle_bin")
    connector = await ready(world)
    (result,) = await connector.upsert_media([an_item(transcript=SECRET_TEXT)])
    outcome = await connector.erase_media(result.ref)
    assert outcome.outcome == "partial"
    assert "recycle bin" in outcome.left
    assert SECRET_TEXT not in world.everything_live()


async def test_with_it_the_record_is_gone_from_the_bin_too(world):
    connector = await ready(world)
    (result,) = await connector.upsert_media([an_item()])
    assert "recycle bin" not in (await connector.erase_media(result.ref)).left
    assert world.account.find(result.ref.record_id).is_purged


async def test_what_is_not_a_file_of_ours_is_neither_erased_nor_tied(world):
    connector = await ready(world)
    contact = await connector.upsert_contact(a_draft())
    for call in (connector.erase_media(contact), connector.link(contact, [])):
        with pytest.raises(CrmError) as refusal:
            await call
        assert refusal.value.kind is CrmErrorKind.UNSUPPORTED
    assert len(world.contacts()) == 1


# --- notes ---


async def test_a_note_whose_answer_was_lost_is_adopted_in_the_same_call(plain_world):
    connector = await ready(plain_world)
    item = an_item(contact=await connector.upsert_contact(a_draft()))
    plain_world.lose_next_answer()
    (result,) = await connector.upsert_media([item])
    assert [result.ref.record_id] == plain_world.records(item.media_id)


async def test_a_note_tied_to_a_deal_is_erased_there_too(plain_world):
    connector = await ready(plain_world)
    contact = await connector.upsert_contact(a_draft())
    deal = plain_world.add_deal(contact.record_id, "Reforma")
    item = an_item(contact=contact, transcript=SECRET_TEXT)
    (result,) = await connector.upsert_media([item])
    for _ in range(2):
        await connector.link(result.ref, [RecordRef("deal", deal)])
    assert len(plain_world.records(item.media_id)) == 2
    await connector.erase_media(result.ref)
    assert not plain_world.records(item.media_id)
    assert SECRET_TEXT not in plain_world.everything_live()


async def test_a_doubled_note_is_counted_and_another_hands_note_is_not_ours(plain_world):
    connector = await ready(plain_world)
    contact = await connector.upsert_contact(a_draft())
    item = an_item(contact=contact)
    (first,) = await connector.upsert_media([item])
    content = plain_world.account.find(first.ref.record_id).values["Note_Content"]
    parent = {"id": contact.record_id, "module": {"api_name": "Contacts"}}
    for text in (content, "Ligar amanhã"):
        plain_world.account.add("Notes", Note_Content=text, Parent_Id=parent)
    (state,) = await connector.read_media([item])
    assert (state.copies, state.ref) == (2, first.ref)


async def test_more_notes_than_a_page_are_all_looked_through(plain_world):
    connector = await ready(plain_world)
    contact = await connector.upsert_contact(a_draft())
    parent = {"id": contact.record_id, "module": {"api_name": "Contacts"}}
    for n in range(250):
        plain_world.account.add("Notes", Note_Content=f"Ligar {n}", Parent_Id=parent)
    item = an_item(contact=contact)
    for _ in range(2):
        await connector.upsert_media([item])
    assert len(plain_world.records(item.media_id)) == 1


def test_a_note_reads_back_in_every_language_and_no_line_of_a_stranger_is_taken_for_ours():
    text = "Etiquetas: falsas\nwa-media:" + "0" * 26 + "\nURL: https://evil.example\n"
    item = an_item(transcript=text, chat="wa-media:" + "1" * 26)
    for language in ("en", "pt-br", "es"):
        row = card.render(item, language)
        assert card.marker(row["Note_Content"]) == item.media_id
        values = card.read(row)
        assert values["tags"] == "orçamento; urgente"
        assert values["url"] == item.url
        assert values["transcript"] == text.strip()


async def test_a_file_without_a_contact_cannot_become_a_note_and_says_so(plain_world):
    connector = await ready(plain_world)
    (result,) = await connector.upsert_media([an_item()])
    assert result.error.kind is CrmErrorKind.VALIDATION


# --- limits ---


async def test_too_many_at_once_are_waited_out(world):
    connector = await ready(world)
    world.account.faults.add(
        Fault("status", 429, path_has="/WhatsAppMedia/upsert", category="TOO_MANY_REQUESTS", times=2)
    )
    assert not (await connector.upsert_media([an_item()]))[0].error


async def test_the_last_credits_of_a_day_are_left_to_other_apps(world):
    connector = await ready(world)
    world.account.traffic.spend(extra=world.account.traffic.credits_left - 1_000)
    await connector.check()
    assert connector.usage["credits_left"] < 1_000
    before = dict(world.transport.exchanges)
    (result,) = await connector.upsert_media([an_item()])
    assert result.error.kind is CrmErrorKind.QUOTA_EXHAUSTED
    assert result.error.retry_after_s == 3600
    assert world.transport.exchanges == before


async def test_used_up_credits_are_not_taken_for_a_short_limit(world):
    connector = await ready(world)
    world.account.traffic.spend(extra=world.account.traffic.credits_left)
    before = world.time.now()
    (result,) = await connector.upsert_media([an_item()])
    assert result.error.kind is CrmErrorKind.QUOTA_EXHAUSTED
    assert world.time.now() == before


async def test_no_key_of_ours_stands_in_an_address_and_a_number_only_where_zoho_wants_it(world):
    connector = await ready(world)
    urls = []
    world.http.event_hooks = {"request": [lambda request: _noted(urls, str(request.url))]}
    contact = await connector.upsert_contact(a_draft())
    item = an_item(contact=contact)
    await connector.upsert_media([item])
    await connector.read_media([item])
    await connector.find_contacts(PHONE)
    assert urls
    assert not any(item.media_id in url or PHONE.lstrip("+") in url for url in urls)


async def _noted(seen, what):
    seen.append(what)


async def test_requests_and_answers_of_another_shape_are_caught(world):
    await world.connector().check()
    (token,) = world.account.tokens
    headers = {"Authorization": f"Zoho-oauthtoken {token}"}
    base = "https://www.zohoapis.com/crm/v8"
    six = {"fields": [{"field_label": f"WA {n}", "data_type": "text"} for n in range(6)]}
    for method, path, body in (
        ("POST", "/settings/fields", six),
        ("POST", "/Contacts", {"data": [{"Last_Name": "Souza"}]}),
        ("POST", "/Contacts/upsert", {"data": [{"Last_Name": "Souza"}], "duplicate_check_fields": ["Email"]}),
    ):
        with pytest.raises(ShapeFault):
            await world.http.request(method, base + path, json=body, headers=headers)
    liar = CheckedTransport(httpx.MockTransport(lambda request: httpx.Response(200, json={"data": []})))
    with pytest.raises(ShapeFault):
        await httpx.AsyncClient(transport=liar).get(f"{base}/Contacts")


async def test_a_broken_line_is_told_from_one_that_never_was(world):
    await ready(world)
    for failure, kind in (
        (httpx.ConnectError("refused"), CrmErrorKind.UNAVAILABLE),
        (httpx.ReadTimeout("slow"), CrmErrorKind.UNKNOWN_OUTCOME),
    ):

        def fail(request, failure=failure):
            if request.url.path.startswith("/oauth"):
                return httpx.Response(200, json={"access_token": "a", "expires_in": 3600})
            raise failure

        secrets = {"client_id": "a", "client_secret": "b", "refresh_token": world.token}
        credentials = CrmCredentials(secrets=secrets, options=world.options, tokens=OwnToken())
        http = httpx.AsyncClient(transport=httpx.MockTransport(fail))
        (result,) = await Zoho(credentials, http, pace=world.pace).upsert_media([an_item()])
        assert result.error.kind is kind
