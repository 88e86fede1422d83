"""A promise kept at Zendesk the whole way: sealed secrets, a bought token, fields made, the file on its record."""

import httpx
import pytest
from asgiref.sync import async_to_sync, sync_to_async

from acervo.base import database
from acervo.crms.zendesk import api
from acervo.deliver import attach, fields, outbox
from acervo.keep import credentials
from acervo.models import AuditEntry, Connection, Delivery, RecordLink
from sandbox.zendesk import AccountTransport, create_account
from sandbox.zendesk.account import CLIENT_ID, MEDIA
from tests.conftest import make_connection
from tests.deliver.conftest import PHONE

SECRET = "client-secret-of-a-test"


@pytest.fixture
def account():
    return create_account(SECRET, job_s=0.0)


@pytest.fixture
def zendesk(workspace):
    return make_connection(
        workspace,
        "zendesk",
        name="Zendesk",
        account_id="aurora",
        secrets={"client_id": CLIENT_ID, "secret": SECRET},
        options={"subdomain": "aurora"},
    )


@pytest.fixture
def deliver(account, one_transaction, monkeypatch):
    async def here(do, *args, **kwargs):
        return await sync_to_async(do)(*args, **kwargs)

    monkeypatch.setattr(credentials, "in_thread", here)
    monkeypatch.setattr(database, "in_thread", here)

    @async_to_sync
    async def one_batch(connection):
        async with httpx.AsyncClient(transport=AccountTransport(account)) as http:
            return await attach.deliver(connection.pk, http=http)

    return one_batch


def test_files_arrive_once_on_the_customer_with_a_token_that_is_kept(
    account, zendesk, prepared, person, deliver
):
    files = [prepared(person=person) for _ in range(5)]
    outbox.promise([file.pk for file in files])
    outcome = deliver(zendesk)
    assert (outcome.delivered, outcome.halted_by) == (5, None)
    (user,) = account.people.users.values()
    assert user.user_fields["wa_phone_e164"] == PHONE
    assert user.user_fields["wa_media_count"] == 5
    records = account.objects.objects[MEDIA].held
    assert set(records) == {file.slug for file in files}
    assert {record.values["media_url"] for record in records.values()} == {
        fields.short_link(file) for file in files
    }
    assert {record.values["contact"] for record in records.values()} == {str(user.id)}
    link = RecordLink.objects.get(connection=zendesk, object_type="contact")
    assert link.url == f"https://aurora.zendesk.com/agent/users/{user.id}"
    row = Connection.objects.get(pk=zendesk.pk)
    assert row.options["model"] == "object"
    assert account.tokens_sold == 1
    Delivery.objects.update(delivered_at=None, payload_hash=None)
    assert deliver(row).delivered == 5
    assert account.tokens_sold == 1
    assert len(account.objects.objects[MEDIA].records) == 5
    assert SECRET not in str(list(AuditEntry.objects.values_list("details", flat=True)))


def test_a_client_nobody_knows_any_more_pauses_the_connection(account, zendesk, prepared, person, deliver):
    outbox.promise([prepared(person=person).pk])
    account.clients.clear()
    assert deliver(zendesk).halted_by == "auth_revoked"
    row = Connection.objects.get(pk=zendesk.pk)
    assert (row.state, row.pause_reason) == ("paused", "auth_revoked")
    assert not account.people.users


def test_a_plan_without_custom_objects_gets_one_internal_note(account, zendesk, prepared, person, deliver):
    account.objects.limit = 0
    files = [prepared(person=person) for _ in range(3)]
    outbox.promise([file.pk for file in files])
    assert deliver(zendesk).delivered == 3
    (ticket,) = account.desk.tickets.values()
    (comment,) = ticket.comments
    assert all(f"wa-media:{file.slug}" in comment.html for file in files)
    assert not comment.is_public
    assert api.MEDIA_OBJECT not in account.objects.objects
