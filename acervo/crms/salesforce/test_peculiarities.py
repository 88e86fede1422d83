"""What is Salesforce's own: fields nobody sees, one deployment, an allowance of 24 hours, two ways to be let in."""

import asyncio
import io
import zipfile
from dataclasses import replace

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from acervo.crms.conformance import PHONE, SECOND_PHONE, a_draft, an_item
from acervo.crms.contract import CrmCredentials, CrmError, CrmErrorKind, RecordRef
from acervo.crms.fields import drifted
from acervo.crms.salesforce import contacts, package
from acervo.crms.salesforce.adapter import Salesforce
from acervo.crms.salesforce.auth import audience
from acervo.crms.salesforce.definitions import contact_definitions, media_definitions
from acervo.crms.salesforce.errors import read_error, read_item_errors, read_token_error
from acervo.crms.salesforce.places import CUSTOM_OBJECT, TASKS
from acervo.crms.salesforce.records import quoted
from acervo.crms.salesforce.test_salesforce import BASE, SalesforceWorld
from sandbox.salesforce import Fault
from sandbox.salesforce.fields import FieldDef
from sandbox.salesforce.shapes import CheckedTransport, ShapeFault

MEDIA = "WhatsApp_Media__c"


@pytest.fixture
def world():
    return SalesforceWorld()


async def ready(world):
    world.remember((await world.connector().ensure_schema()).options)
    return world.connector()


def answer(status, body):
    return httpx.Response(status, json=body)


def error_of(code, message="", **more):
    return [{"errorCode": code, "message": message, **more}]


@pytest.mark.parametrize(
    ("response", "kind", "wait_s"),
    [
        (answer(401, error_of("INVALID_SESSION_ID")), "auth_expired", None),
        (
            answer(403, error_of("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")),
            "quota_exhausted",
            3600.0,
        ),
        (
            answer(403, error_of("REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests Limit exceeded.")),
            "rate_limited",
            5.0,
        ),
        (answer(403, error_of("INSUFFICIENT_ACCESS")), "forbidden", None),
        (answer(403, error_of("API_DISABLED_FOR_ORG")), "forbidden", None),
        (answer(400, error_of("INVALID_FIELD")), "forbidden", None),
        (answer(400, error_of("UNABLE_TO_LOCK_ROW")), "locked", 2.0),
        (answer(400, error_of("DUPLICATES_DETECTED")), "conflict", None),
        (answer(400, error_of("FIELD_CUSTOM_VALIDATION_EXCEPTION")), "validation", None),
        (answer(404, error_of("NOT_FOUND")), "not_found", None),
        (answer(404, error_of("ENTITY_IS_DELETED")), "not_found", None),
        (answer(300, ["/services/data/v67.0/sobjects/Contact/003x"]), "conflict", None),
        (answer(503, error_of("SERVER_UNAVAILABLE")), "unavailable", None),
        (httpx.Response(502, text="<html>down</html>"), "unavailable", None),
        (httpx.Response(302, headers={"Location": "https://elsewhere.example"}), "unavailable", None),
        (answer(400, {"not": "an array"}), "validation", None),
    ],
)
def test_every_refusal_has_a_kind_words_and_a_wait(response, kind, wait_s):
    error = read_error(response)
    assert error.kind == kind
    assert error.retry_after_s == wait_s
    assert error.detail
    assert error.status == response.status_code


@pytest.mark.parametrize(
    ("response", "kind", "code"),
    [
        (answer(400, {"error": "invalid_grant", "error_description": "user hasn't approved"}), "auth_revoked", "invalid_grant"),
        (answer(401, {"error": "invalid_client"}), "auth_revoked", "invalid_client"),
        (answer(200, {"token_type": "Bearer"}), "auth_revoked", None),
        (answer(503, {"error": "temporarily_unavailable"}), "unavailable", None),
        (httpx.Response(500, text="<html>"), "unavailable", None),
    ],
)  # fmt: skip
def test_a_refused_token_says_whether_waiting_helps(response, kind, code):
    error = read_token_error(response)
    assert (error.kind, error.vendor_code) == (kind, code)


def test_nothing_a_vendor_repeats_reaches_the_error():
    message = (
        f"duplicate value found: WA_Phone_E164__c duplicates value {PHONE} on record with id: 003000000000007"
    )
    error = read_item_errors([{"statusCode": "DUPLICATE_VALUE", "message": message, "fields": [PHONE]}])
    assert PHONE not in f"{error!r} {error} {vars(error)}"
    assert error.kind is CrmErrorKind.CONFLICT
    assert error.existing_id == "003000000000007"
    assert "WA_Phone_E164__c" in error.detail


def test_a_value_never_ends_its_own_quotes():
    assert quoted("a' OR Name != '") == r"'a\' OR Name != \''"
    assert quoted("\\") == r"'\\'"


# --- access ---


def a_key():
    key = rsa.generate_private_key(65537, 2048)
    return key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.mark.parametrize("is_one_line", [False, True], ids=["as a file", "pasted into one line"])
async def test_a_private_key_lets_us_in_by_a_signed_assertion(world, is_one_line):
    key, pem = a_key()
    world.org.public_key = key.public_key()
    world.options = {"username": world.org.username}
    pem = pem.replace("\n", "") if is_one_line else pem
    assert (await world.connector(client_secret=pem).check()).account_id == world.org.id
    assert world.transport.exchanges["token"] == 1


@pytest.mark.parametrize(
    "secret", ["wrong", "-----{0} {2}-----AAAA-----{1} {2}-----".format("BEGIN", "END", "PRIVATE KEY")]
)
async def test_access_that_was_taken_away_is_said_to_be_revoked_and_shows_nothing(world, secret):
    with pytest.raises(CrmError) as refusal:
        await world.connector(client_secret=secret).check()
    assert refusal.value.kind is CrmErrorKind.AUTH_REVOKED
    assert secret not in repr(vars(refusal.value))


async def test_a_key_of_somebody_else_is_refused(world):
    world.org.public_key = a_key()[0].public_key()
    world.options = {"username": world.org.username}
    with pytest.raises(CrmError) as refusal:
        await world.connector(client_secret=a_key()[1]).check()
    assert refusal.value.vendor_code == "invalid_grant"


def test_an_assertion_is_for_the_login_server_of_the_account():
    assert audience("https://aurora.my.salesforce.com") == "https://login.salesforce.com"
    assert audience("https://aurora--uat.sandbox.my.salesforce.com") == "https://test.salesforce.com"


async def test_without_my_domain_nothing_is_asked(world):
    credentials = CrmCredentials(secrets={"client_id": "a", "client_secret": "b"})
    with pytest.raises(CrmError, match="My Domain"):
        await Salesforce(credentials, world.http, pace=world.pace).check()
    assert not world.transport.exchanges


# --- fields ---


async def test_all_of_it_is_one_deployment_with_the_rights_to_it(world):
    await world.connector().ensure_schema()
    assert world.transport.exchanges["deploy"] == 1
    assert set(world.org.rights) == {"WhatsApp_Media_Sync", "WhatsApp_Media_Read"}
    assert world.org.sees("Contact", "WA_Phone_E164__c")
    await world.connector().ensure_schema()
    assert world.transport.exchanges["deploy"] == 1


@pytest.mark.parametrize("place", [CUSTOM_OBJECT, TASKS], ids=["object", "tasks"])
@pytest.mark.parametrize("language", ["en", "pt-br", "es"])
def test_labels_and_names_keep_salesforces_limits(place, language):
    every = contact_definitions(language) + media_definitions(language, place)
    assert all(len(one.label) <= 40 and len(one.name) <= 43 for one in every)
    assert len({one.full_name for one in every}) == len(every)


def test_the_archive_says_object_and_layout_only_when_they_are_new():
    every = media_definitions("en", CUSTOM_OBJECT)

    def content(**facts):
        archive = package.archive(every[:1], every, language="en", **facts)
        with zipfile.ZipFile(io.BytesIO(archive)) as file:
            return {name: file.read(name).decode() for name in file.namelist()}

    later = content(makes_object=False)
    assert not [name for name in later if name.startswith(("layouts/", "csp"))]
    assert "nameField" not in later["objects/WhatsApp_Media__c.object"]
    assert later["objects/WhatsApp_Media__c.object"].count("<fields>") == 1
    first = content(makes_object=True, trusted_url="https://acervo.example")
    assert (
        "<endpointUrl>https://acervo.example<" in first["cspTrustedSites/WhatsApp_Media_Hub.cspTrustedSite"]
    )
    assert any(name.startswith("layouts/") for name in first)


def test_the_same_archive_is_the_same_to_the_byte():
    every = contact_definitions("pt-br")
    made = [package.archive(every, every, makes_object=False, language="pt-br") for _ in range(2)]
    assert made[0] == made[1]


async def test_a_field_a_person_made_differently_is_named_and_left_alone(world):
    await world.connector().ensure_schema()
    ours = world.org.objects["Contact"]
    theirs = [
        replace(ours["WA_Consent__c"], choices=("yes",)),
        replace(ours["WA_Phone_E164__c"], is_unique=False),
        replace(ours["WA_Person_Id__c"], length=10),
        FieldDef("WA_Media_Count__c", "Text"),
    ]
    for one in theirs:
        ours[one.name] = one
    report = await world.connector().ensure_schema()
    assert {conflict.partition(":")[0] for conflict in report.conflicts} == {
        f"Contact.{one.name}" for one in theirs
    }
    assert not report.created
    assert all(ours[one.name] is one for one in theirs)


async def test_a_field_that_is_there_but_hidden_is_shown_to_us_and_not_made_again(world):
    theirs = FieldDef("WA_Consent__c", "Text", label="Consent of the shop")
    world.org.objects["Contact"]["WA_Consent__c"] = theirs
    report = await world.connector().ensure_schema()
    assert "Contact.WA_Consent__c" in report.existing
    assert world.org.objects["Contact"]["WA_Consent__c"] is theirs
    assert world.org.sees("Contact", "WA_Consent__c")
    again = await world.connector().ensure_schema()
    assert [conflict.partition(":")[0] for conflict in again.conflicts] == ["Contact.WA_Consent__c"]


async def test_a_field_added_in_a_later_release_is_added_to_the_object_that_is_there(world):
    await world.connector().ensure_schema()
    del world.org.objects[MEDIA]["Sha256__c"]
    assert (await world.connector().ensure_schema()).created == (f"{MEDIA}.Sha256__c",)
    assert "Sha256__c" in world.org.objects[MEDIA]


async def test_a_deployment_that_fails_names_the_parts_and_makes_nothing(world):
    world.org.has_custom_objects = False  # the edition says Enterprise; the limit of objects is reached
    with pytest.raises(CrmError) as refusal:
        await world.connector().ensure_schema()
    assert refusal.value.kind is CrmErrorKind.FORBIDDEN
    assert MEDIA in refusal.value.detail
    assert "WA_Consent__c" not in world.org.objects["Contact"]


async def test_a_deployment_that_takes_long_is_come_back_for(world):
    world.org.deploy_s = 100.0
    with pytest.raises(CrmError) as refusal:
        await world.connector().ensure_schema()
    assert refusal.value.is_retryable
    await world.time.sleep(refusal.value.retry_after_s)
    world.org.deploy_s = 3.0
    await ready(world)
    assert (await world.connector().capabilities()).model == "object"


async def test_a_user_who_may_not_set_up_is_said_so(world):
    world.org.faults.add(
        Fault("status", 403, "POST", "deployRequest", category="INSUFFICIENT_ACCESS", message="no")
    )
    with pytest.raises(CrmError) as refusal:
        await world.connector().ensure_schema()
    assert refusal.value.kind is CrmErrorKind.FORBIDDEN


# --- limits ---


async def test_four_fifths_of_the_day_are_ours_and_the_rest_is_left_to_others():
    world = SalesforceWorld(daily=100)
    connector = await ready(world)
    while not (result := (await connector.upsert_media([an_item()]))[0]).error:
        pass
    assert result.error.kind is CrmErrorKind.QUOTA_EXHAUSTED
    assert result.error.retry_after_s == 3600
    assert world.org.traffic.daily.used == 80
    await world.time.sleep(24 * 3600)
    assert not (await connector.upsert_media([an_item()]))[0].error


async def test_an_allowance_used_up_by_others_is_not_waited_out(world):
    connector = await ready(world)
    message = "TotalRequests Limit exceeded."
    world.org.faults.add(
        Fault("status", 403, path_has="composite", category="REQUEST_LIMIT_EXCEEDED", message=message)
    )
    before = world.time.now()
    (result,) = await connector.upsert_media([an_item()])
    assert result.error.kind is CrmErrorKind.QUOTA_EXHAUSTED
    assert world.time.now() == before


async def test_a_locked_row_among_others_can_be_tried_again_alone(world):
    connector = await ready(world)
    world.org.faults.add(Fault("partial", path_has="composite/sobjects"))
    items = [an_item() for _ in range(3)]
    results = await connector.upsert_media(items)
    assert [bool(result.error) for result in results] == [False, False, True]
    assert results[2].error.kind is CrmErrorKind.LOCKED
    assert not (await connector.upsert_media(items))[2].error


async def test_a_backfill_costs_less_than_one_call_and_a_fifth_a_file(world):
    """As the outbox does: a person is looked for and made, then files go a hundred at a time."""
    connector = await ready(world)
    world.transport.exchanges.clear()
    people = [f"+5511555{n:05d}" for n in range(100, 120)]
    items = []
    for phone in people:
        assert not await connector.find_contacts(phone)
        contact = await connector.upsert_contact(a_draft(phone))
        items += [an_item(contact=contact) for _ in range(5)]
    results = await connector.upsert_media(items)
    assert not any(result.error for result in results)
    assert sum(world.transport.exchanges.values()) <= 1.2 * len(items)


# --- people ---


async def test_a_number_another_contact_carries_is_a_conflict_without_the_number(world, caplog):
    """Whoever chose the contact is believed; the refusal of our key is written down without the number."""
    connector = await ready(world)
    await connector.upsert_contact(a_draft())
    other = RecordRef("contact", world.add_contact(first_name="Bruno"))
    assert await connector.upsert_contact(a_draft(), known=other)
    logged = repr([vars(record) for record in caplog.records])
    assert PHONE.lstrip("+") not in logged


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({"first_name": "Ana", "last_name": "Souza"}, ("Ana", "Souza")),
        ({"first_name": "Ana"}, (None, "Ana")),
        ({"first_name": None}, (None, PHONE)),
        ({"first_name": None, "phone": None}, (None, contacts.NAMELESS)),
    ],
)
async def test_a_contact_has_a_last_name_whatever_we_know(world, names, expected):
    connector = await ready(world)
    ref = await connector.upsert_contact(replace(a_draft(), **names))
    values = world.org.find(ref.record_id).values
    assert (values.get("FirstName"), values["LastName"]) == expected


async def test_a_duplicate_rule_names_a_contact_and_it_is_taken_if_the_number_is_its_own(world):
    connector = await ready(world)
    world.org.refuses_duplicates = True
    there = world.add_contact(last_name="Ana", phone="(11) 5555-0142")  # the index does not know it yet
    assert not await connector.find_contacts(PHONE)
    assert (await connector.upsert_contact(a_draft())).record_id == there
    assert world.contacts()[there]["phone_e164"] == PHONE


async def test_a_duplicate_rule_is_never_overridden_for_somebody_of_the_same_name(world):
    connector = await ready(world)
    world.org.refuses_duplicates = True
    other = world.add_contact(last_name="Ana", phone=SECOND_PHONE)
    with pytest.raises(CrmError) as refusal:
        await connector.upsert_contact(a_draft())
    assert refusal.value.kind is CrmErrorKind.CONFLICT
    assert not world.contacts()[other].get("phone_e164")


async def test_merges_are_followed_more_than_once(world):
    connector = await ready(world)
    first = await connector.upsert_contact(a_draft())
    second, third = (world.add_contact(first_name=name) for name in ("Ana", "Ana Souza"))
    world.merge(second, first.record_id)
    world.merge(third, second)
    (result,) = await connector.upsert_media([an_item(contact=first)])
    assert world.contacts_of(result.ref.record_id) == [third]
    assert (await connector.upsert_contact(a_draft(), known=first)).record_id == third


async def test_a_search_that_does_not_join_terms_asks_one_by_one(world, monkeypatch):
    monkeypatch.setattr(contacts, "SEARCH_JOINS_TERMS", False)
    world.org.joins_search_terms = False
    connector = await ready(world)
    there = world.add_contact(phone="(11) 5555-0142")
    world.settle()
    (match,) = await connector.find_contacts(PHONE)
    assert match.ref.record_id == there
    assert world.transport.exchanges["parameterizedSearch"] > 1


async def test_what_our_user_may_not_see_is_not_offered(world):
    connector = await ready(world)
    contact = await connector.upsert_contact(a_draft())
    world.add_deal(contact.record_id, "Reforma")
    del world.org.objects["Case"]
    assert [one.ref.object_type for one in await connector.find_related(contact)] == ["deal"]


async def test_cases_are_offered_and_closed_ones_come_last(world):
    connector = await ready(world)
    contact = await connector.upsert_contact(a_draft())
    for subject, is_closed in (("Old", True), ("New", False)):
        world.org.add("Case", Subject=subject, ContactId=contact.record_id, IsClosed=is_closed)
    found = await connector.find_related(contact)
    assert [(one.title, one.is_open) for one in found] == [("New", True), ("Old", False)]
    (result,) = await connector.upsert_media([an_item(contact=contact)])
    await connector.link(result.ref, [found[0].ref])
    assert world.org.find(result.ref.record_id).values["Case__c"] == found[0].ref.record_id


# --- files ---


async def test_a_file_whose_contact_is_gone_keeps_the_record_it_had(world):
    connector = await ready(world)
    contact = await connector.upsert_contact(a_draft())
    item = an_item(contact=contact)
    (first,) = await connector.upsert_media([item])
    world.delete_contact(contact.record_id)
    (second,) = await connector.upsert_media([replace(item, title="Changed", known_ref=first.ref)])
    assert second.error.kind is CrmErrorKind.NOT_FOUND
    assert second.ref == first.ref


async def test_a_title_longer_than_a_records_name_is_no_drift(world):
    connector = await ready(world)
    item = an_item(title="w" * 100)
    await connector.upsert_media([item])
    (state,) = await connector.read_media([item])
    assert not drifted(item, state)


async def test_a_record_whose_key_somebody_emptied_is_found_by_its_id(world):
    connector = await ready(world)
    item = an_item()
    (result,) = await connector.upsert_media([item])
    world.org.edit(result.ref.record_id, Media_Id__c=None)
    (state,) = await connector.read_media([replace(item, known_ref=result.ref)])
    assert state.ref == result.ref
    assert drifted(item, state) == ("media_id",)


async def test_an_erased_record_is_emptied_before_it_lies_in_the_bin(world):
    connector = await ready(world)
    (result,) = await connector.upsert_media([an_item(title="Exame", transcript="words")])
    await connector.erase_media(result.ref)
    left = world.org.find(result.ref.record_id)
    assert left.is_deleted
    assert {name for name, value in left.values.items() if value} == {"Media_Id__c", "Name"}
    assert left.values["Name"] == "-"


async def test_a_task_is_done_and_hangs_on_the_contact():
    world = SalesforceWorld("activity")
    connector = await ready(world)
    contact = await connector.upsert_contact(a_draft())
    (result,) = await connector.upsert_media([an_item(contact=contact)])
    values = world.org.find(result.ref.record_id).values
    assert (result.ref.object_type, values["Status"], values["WhoId"]) == (
        "note",
        "Completed",
        contact.record_id,
    )


async def test_records_link_to_their_page(world):
    connector = await ready(world)
    contact = await connector.upsert_contact(a_draft())
    assert contact.url == f"{BASE}/{contact.record_id}"


async def test_no_key_or_number_stands_in_an_address(world):
    connector = await ready(world)
    urls = []

    async def note(request):
        urls.append(str(request.url))

    world.http.event_hooks = {"request": [note]}
    contact = await connector.upsert_contact(a_draft())
    await connector.find_contacts(SECOND_PHONE)
    item = an_item(contact=contact)
    await connector.upsert_media([item])
    await connector.read_media([item])
    assert urls
    assert not any(
        secret in url for url in urls for secret in ("5555", item.media_id, world.org.client_secret)
    )


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (httpx.ConnectError("refused"), CrmErrorKind.UNAVAILABLE),
        (httpx.ReadTimeout("slow"), CrmErrorKind.UNKNOWN_OUTCOME),
    ],
)
async def test_a_broken_line_is_told_from_one_that_never_was(world, failure, kind):
    await (await ready(world)).check()

    def fail(request):
        raise failure

    world.http = httpx.AsyncClient(transport=httpx.MockTransport(fail))
    (result,) = await world.connector().upsert_media([an_item()])
    assert result.error.kind is kind


@pytest.mark.parametrize(
    "content", [b"<html>", b"[]", b'{"compositeResponse": 3}', b'{"compositeResponse": [{}]}']
)
async def test_an_answer_of_another_shape_is_not_a_crash(world, content):
    await world.connector().check()
    odd = httpx.MockTransport(lambda request: httpx.Response(200, content=content))
    world.http = httpx.AsyncClient(transport=odd)
    connector = world.connector()
    for call in (connector.find_contacts(PHONE), connector.ensure_schema(), connector.check()):
        with pytest.raises(CrmError) as refusal:
            await call
        assert refusal.value.detail


async def test_a_page_that_leads_elsewhere_is_not_followed(world):
    await world.connector().check()
    page = {"totalSize": 1, "done": False, "records": [], "nextRecordsUrl": "@evil.example/"}
    part = {"body": page, "httpHeaders": {}, "httpStatusCode": 200, "referenceId": "q0"}
    asked = []

    def lead_away(request):
        asked.append(request.url.host)
        return httpx.Response(200, json={"compositeResponse": [part]})

    world.http = httpx.AsyncClient(transport=httpx.MockTransport(lead_away))
    with pytest.raises(CrmError):
        await world.connector().check()
    assert asked == ["aurora.my.salesforce.com"]


async def test_both_sides_are_really_held_to_the_shapes(world):
    await (await ready(world)).check()
    headers = {"Authorization": f"Bearer {next(iter(world.org.sessions))}"}
    data = f"{BASE}/services/data/v67.0"
    too_many = [{"attributes": {"type": MEDIA}}] * 201
    for method, url, body in (
        ("GET", f"{data.replace('67', '21')}/limits", None),
        ("PATCH", f"{data}/composite/sobjects/{MEDIA}/Media_Id__c", {"records": too_many}),
        ("POST", f"{data}/parameterizedSearch", {"in": "PHONE"}),
    ):
        with pytest.raises(ShapeFault):
            await world.http.request(method, url, json=body, headers=headers)
    with pytest.raises(ShapeFault):
        await world.http.post(f"{BASE}/services/oauth2/token", data={"grant_type": "password"})
    liar = CheckedTransport(httpx.MockTransport(lambda request: httpx.Response(200, json={"id": 5})))
    with pytest.raises(ShapeFault):
        await httpx.AsyncClient(transport=liar).get(f"{data}/sobjects/Contact/describe")


async def test_the_allowance_is_remembered_and_what_was_remembered_is_not_asked_again(world):
    connector = await ready(world)
    world.transport.exchanges.clear()
    await asyncio.gather(*(connector.upsert_media([an_item()]) for _ in range(3)))
    assert set(world.transport.exchanges) == {"collectionsUpsert"}
    assert connector.usage["daily_max"] == 2_000
