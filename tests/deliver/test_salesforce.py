"""A promise kept at Salesforce the whole way: sealed secrets, one session for all, one deployment, the file on its
contact."""

import httpx
import pytest
from asgiref.sync import async_to_sync, sync_to_async

from acervo.base import database
from acervo.deliver import attach, fields, outbox, reconcile
from acervo.keep import credentials
from acervo.models import AuditEntry, Connection, Delivery, RecordLink
from sandbox.salesforce import OrgTransport, create_org
from tests.conftest import make_connection
from tests.deliver.conftest import PHONE

BASE = "https://aurora.my.salesforce.com"
SECRET = "consumer-secret-of-a-test"
MEDIA = "WhatsApp_Media__c"


@pytest.fixture
def org():
    simulated = create_org("3MVG9-of-a-test", SECRET)
    simulated.deploy_s = 0.0
    return simulated


@pytest.fixture
def salesforce(workspace, org):
    return make_connection(
        workspace,
        "salesforce",
        name="Salesforce",
        account_id=org.id,
        secrets={"client_id": org.client_id, "client_secret": SECRET},
        api_base=BASE,
    )


@pytest.fixture
def through(org, one_transaction, monkeypatch):
    """`through(do, connection)`: a stage's work against the simulated organisation."""

    async def here(do, *args, **kwargs):
        return await sync_to_async(do)(*args, **kwargs)

    monkeypatch.setattr(credentials, "in_thread", here)
    monkeypatch.setattr(database, "in_thread", here)

    @async_to_sync
    async def work(do, connection):
        async with httpx.AsyncClient(transport=OrgTransport(org)) as http:
            return await do(connection.pk, http=http)

    return work


def test_files_arrive_once_on_the_customer_with_a_session_that_is_kept(
    org, salesforce, prepared, person, through
):
    files = [prepared(person=person) for _ in range(5)]
    outbox.promise([file.pk for file in files])
    outcome = through(attach.deliver, salesforce)
    assert (outcome.delivered, outcome.halted_by) == (5, None)
    (contact,) = org.live_of("Contact")
    assert contact.values["WA_Phone_E164__c"] == PHONE
    assert contact.values["WA_Media_Count__c"] == 5
    records = org.live_of(MEDIA)
    assert {one.values["Media_Id__c"] for one in records} == {file.slug for file in files}
    assert {one.values["Url__c"] for one in records} == {fields.short_link(file) for file in files}
    assert {one.values["Contact__c"] for one in records} == {contact.id}
    link = RecordLink.objects.get(connection=salesforce, object_type="contact")
    assert link.url == f"{BASE}/{contact.id}"
    row = Connection.objects.get(pk=salesforce.pk)
    assert row.options["model"] == "object"
    assert org.tokens_given == 1
    Delivery.objects.update(delivered_at=None, payload_hash=None)
    assert through(attach.deliver, row).delivered == 5
    assert org.tokens_given == 1
    assert len(org.live_of(MEDIA)) == 5
    assert SECRET not in str(list(AuditEntry.objects.values_list("details", flat=True)))


def test_an_app_that_lost_its_rights_pauses_the_connection(org, salesforce, prepared, person, through):
    outbox.promise([prepared(person=person).pk])
    org.refuses_access = True
    assert through(attach.deliver, salesforce).halted_by == "auth_revoked"
    row = Connection.objects.get(pk=salesforce.pk)
    assert (row.state, row.pause_reason) == ("paused", "auth_revoked")
    assert not org.live_of("Contact")


def test_two_contacts_with_the_number_wait_for_somebody_to_choose(org, salesforce, prepared, person, through):
    org.search_lag_s = 0.0
    both = {org.add("Contact", LastName=name, Phone=PHONE) for name in ("Ana", "Ana Souza")}
    outbox.promise([prepared(person=person).pk])
    assert through(attach.deliver, salesforce).delivered == 0
    delivery = Delivery.objects.get()
    assert delivery.refusal == "ambiguous"
    assert {one["record_id"] for one in delivery.refusal_facts["candidates"]} == both
    assert not org.live_of(MEDIA)


def test_a_record_somebody_changed_there_is_found_and_written_again(
    org, salesforce, prepared, person, through
):
    outbox.promise([prepared(person=person).pk])
    through(attach.deliver, salesforce)
    (record,) = org.live_of(MEDIA)
    title = record.values["Name"]
    org.edit(record.id, Name="Something else")
    through(reconcile.reconcile, salesforce)
    through(attach.deliver, salesforce)
    assert record.values["Name"] == title
