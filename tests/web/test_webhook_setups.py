"""A system of one's own connected from the page, against a simulated receiver on a real socket: its secret, its answers
in words, nothing to be made there, and what goes."""

import asyncio
import re

import httpx
import pytest
from django.urls import reverse

from acervo.base import clock, ids, signing
from acervo.base.database import in_thread
from acervo.deliver import attach, reconcile
from acervo.govern.connections import BEING_SET_UP
from acervo.keep import credentials
from acervo.models import AuditEntry, Connection, CrmSetup, MappingVersion, MediaFile
from sandbox import webhook
from sandbox.webhook.app import PATH
from tests.web.test_crm_setups import pages, served

pytestmark = pytest.mark.django_db(transaction=True)
NEW = "/settings/crms/new/webhook"


@pytest.fixture
def client(page_of, alice):
    return page_of(alice)


def offered(answer):
    return re.search(r'id="f-secret"[^>]*value="(whsec_[^"]+)"', answer.content.decode())[1]


@pytest.fixture
def receiver():
    return webhook.create_receiver(signing.new_secret())


@pytest.fixture
def address(receiver):
    with served(receiver, webhook.app) as base:
        yield base + PATH


def typed(receiver, address, **changes):
    given = {"name": "In-house", "url": address, "secret": receiver.secret, "per_call": "1"}
    return {**given, **changes}


def test_a_system_of_ones_own_is_connected_without_anything_to_make_and_gets_the_first_file(
    client, kept_file, receiver, address
):
    media = kept_file()
    MediaFile.objects.filter(pk=media.pk).update(prepared_at=clock.now())
    receiver.secret = offered(client.get(NEW))
    answer = client.post(NEW, typed(receiver, address))
    connection = Connection.objects.get(kind="webhook")
    assert answer["Location"] == f"{pages(connection)}/fields"
    assert (connection.pause_reason, connection.api_base) == (BEING_SET_UP, address)
    assert connection.account_id.startswith("127.0.0.1 ")
    assert credentials.open_secrets(connection) == {"secret": receiver.secret}

    shown = client.get(f"{pages(connection)}/fields").content.decode()
    assert "Nothing has to be made" in shown
    assert 'id="onward-go"' in shown
    assert 'id="make"' not in shown
    assert receiver.secret not in shown
    assert CrmSetup.objects.get().refusal is None
    assert "Your system decides" in client.get(f"{pages(connection)}/start").content.decode()

    client.post(f"{pages(connection)}/start", {"days": "0"})
    asyncio.run(_deliver(connection))
    assert 'data-state="ok"' in client.get(f"{pages(connection)}/start").content.decode()
    assert set(receiver.files) == {media.slug}
    assert [kind for _id, kind in receiver.letters] == ["ping", "media.upserted"]
    assert not AuditEntry.objects.filter(details__icontains="whsec_").exists()
    for name in ("connection", "mapping", "reconciliation", "undelivered", "backfill", "reconnect"):
        answer = client.get(reverse(name, args=[connection.pk]))
        assert answer.status_code == 200, name
        assert receiver.secret not in answer.content.decode()
    shown = client.get(reverse("file", args=[media.pk])).content.decode()
    (kept,) = receiver.files.values()
    assert f"/f/{kept.id}" in shown


async def _deliver(connection):
    async with httpx.AsyncClient() as http:
        await attach.deliver(connection.pk, http=http)


def test_each_visit_offers_another_secret_and_a_mistake_keeps_the_one_that_was_given_away(client, receiver):
    first, second = offered(client.get(NEW)), offered(client.get(NEW))
    assert first != second
    assert signing.is_secret(first)
    answer = client.post(NEW, typed(receiver, "no address", secret=first))
    assert answer.status_code == 422
    assert offered(answer) == first
    assert "paste them once more" not in answer.content.decode()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (webhook.Fault("status", 301, headers={"location": "https://elsewhere.example"}), "leads on"),
        (webhook.Fault("status", 401), "this very secret"),
        (webhook.Fault("status", 403), "keep us out"),
        (webhook.Fault("status", 404, times=9), "404 or 405"),
        (webhook.Fault("status", 410), "wants nothing more"),
        (webhook.Fault("status", 422), "refused the ping"),
        (webhook.Fault("status", 500, times=9), "an error of its own"),
    ],
)
def test_what_the_receiver_answers_is_said_in_words_and_nothing_is_kept(
    client, receiver, address, fault, said, monkeypatch
):
    monkeypatch.setattr("acervo.crms.http.ATTEMPTS", 1)
    receiver.faults.add(fault)
    answer = client.post(NEW, typed(receiver, address))
    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert not Connection.objects.exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"url": "ftp://crm.example"}, "no address that can be called"),
        ({"url": "https://ana:pass@crm.example/x"}, "no address that can be called"),
        ({"url": ""}, "This is needed"),
        ({"url": "https://10.0.0.1/x"}, "private"),
        ({"secret": "hunter2"}, "begins with whsec_"),
        ({"per_call": "7"}, "Choose one of these"),
        ({"name": ""}, "name"),
    ],
)
def test_what_cannot_work_is_said_beside_its_field(client, receiver, changes, said):
    answer = client.post(NEW, typed(receiver, "https://crm.example/x", **changes))
    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert not receiver.letters
    assert not Connection.objects.exists()


def test_two_addresses_of_one_host_are_two_and_one_address_is_connected_once(client, receiver, address):
    client.post(NEW, typed(receiver, address))
    assert client.post(NEW, typed(receiver, address)).status_code == 409
    assert client.post(NEW, typed(receiver, f"{address}?to=sales")).status_code == 302
    assert Connection.objects.count() == 2


@pytest.fixture
def account(client, receiver, address):
    client.post(NEW, typed(receiver, address))
    return Connection.objects.get(kind="webhook")


def test_a_secret_is_replaced_without_a_gap(client, receiver, account):
    old = receiver.secret
    page = f"/integrations/{ids.text(account.pk)}/reconnect"
    new = re.search(r'value="(whsec_[^"]+)" readonly', client.get(page).content.decode())[1]
    assert client.post(page, {"secret": "hunter2"}).status_code == 422
    assert client.post(page, {"secret": new}).status_code == 302, "the ping was signed with the old one, too"
    account.refresh_from_db()
    assert credentials.open_secrets(account) == {"secret": new, "secret_previous": old}
    assert account.previous_until
    receiver.secret = new
    asyncio.run(_check(account))


async def _check(account):
    async with httpx.AsyncClient() as http:
        await (await in_thread(credentials.connector, account, http)).check()


def test_the_mapping_decides_what_messages_say_although_there_are_no_fields(client, account, kept_file):
    media = kept_file()
    MediaFile.objects.filter(pk=media.pk).update(prepared_at=clock.now())
    page = f"{pages(account)}/mapping"
    shown = client.get(page).content.decode()
    assert "no fields that could be chosen" in shown
    assert "in each message" in shown
    assert "our own field" not in shown
    sent = {"seen": "0", "reason": "Less of it", "to.media.chat": "off", "form.media.title": "upper"}
    assert client.post(page, sent).status_code == 302
    assert MappingVersion.objects.get().rules["media"] == {"chat": {"off": True}, "title": {"form": "upper"}}


def test_a_pass_over_a_receiver_that_only_takes_says_that_nothing_was_compared(
    client, account, kept_file, receiver
):
    receiver.tells = False
    media = kept_file()
    MediaFile.objects.filter(pk=media.pk).update(prepared_at=clock.now())
    client.post(f"{pages(account)}/start", {"days": "0"})

    async def run():
        async with httpx.AsyncClient() as http:
            await attach.deliver(account.pk, http=http)
            await reconcile.reconcile(account.pk, http=http)

    asyncio.run(run())
    assert "taken at its word" in client.get(f"{pages(account)}/reconciliation").content.decode()
