"""A CRM connected from the page, step by step, against a simulated account of each on a real socket."""

import asyncio
import socket
import threading
from contextlib import contextmanager

import httpx
import pytest
import uvicorn

from acervo.base import clock, ids
from acervo.govern import crm_setups
from acervo.govern.connections import BEING_SET_UP
from acervo.keep import credentials
from acervo.models import AuditEntry, Connection, CrmSetup, Delivery, MediaFile
from sandbox import hubspot, salesforce, zendesk, zoho
from sandbox.zendesk.account import CLIENT_ID

pytestmark = pytest.mark.django_db(transaction=True)
SECRET = "s3cr3t-9f-simulated"


def _hubspot():
    return hubspot.create_account(SECRET), hubspot.app, {"token": SECRET}


def _salesforce():
    return (
        salesforce.create_org("3MVG9-simulated", SECRET),
        salesforce.app,
        {"domain": "aurora.my.salesforce.com", "client_id": "3MVG9-simulated", "client_secret": SECRET},
    )


def _zendesk():
    typed = {"subdomain": "https://aurora.zendesk.com/agent", "client_id": CLIENT_ID, "secret": SECRET}
    return zendesk.create_account(SECRET), zendesk.app, typed


def _zoho():
    account = zoho.create_account(SECRET, client=("1000.CLIENT", "c11ent-s3cret"))
    account.grant_codes["1000.code"] = SECRET
    typed = {
        "data_centre": "eu",
        "client_id": "1000.CLIENT",
        "client_secret": "c11ent-s3cret",
        "grant_code": "1000.code",
    }
    return account, zoho.app, typed


SIDES = {"hubspot": _hubspot, "salesforce": _salesforce, "zendesk": _zendesk, "zoho": _zoho}


@contextmanager
def served(account, app):
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app(account), log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


@pytest.fixture
def client(page_of, alice):
    return page_of(alice)


def pages(connection):
    return f"/settings/connections/{ids.text(connection.pk)}"


@pytest.mark.parametrize("kind", SIDES)
def test_a_crm_is_connected_looked_at_made_and_let_go(kind, client, workspace, kept_file):
    media = kept_file()
    MediaFile.objects.filter(pk=media.pk).update(prepared_at=clock.now())
    account, app, typed = SIDES[kind]()
    with served(account, app) as address:
        answer = client.post(f"/settings/crms/new/{kind}", {**typed, "name": "CRM", "api_base": address})
        connection = Connection.objects.get(kind=kind)
        assert answer["Location"] == f"{pages(connection)}/fields"
        assert connection.pause_reason == BEING_SET_UP
        assert SECRET in credentials.open_secrets(connection).values()
        shown = client.get(f"{pages(connection)}/fields").content.decode()
        assert SECRET not in shown
        row = CrmSetup.objects.get()
        assert row.report["created"]
        assert all(f'data-field="{name}"' in shown for name in row.report["created"])
        assert "schema_at" not in connection.options
        assert client.get(f"{pages(connection)}/start")["Location"].endswith("/fields")

        client.post(f"{pages(connection)}/fields", {"make": "on"})
        assert CrmSetup.objects.get().is_making
        asyncio.run(crm_setups.make(connection.pk))
        row.refresh_from_db()
        assert row.made_at
        assert not row.refusal
        assert set(row.made) == set(row.report["created"])
        shown = client.get(f"{pages(connection)}/fields").content.decode()
        assert 'id="onward-go"' in shown

        assert not Delivery.objects.exists()
        client.post(f"{pages(connection)}/start", {"days": "0"})
        connection.refresh_from_db()
        assert connection.paused_at is None
        assert Delivery.objects.get().media == media
        assert client.get(f"{pages(connection)}/mapping").status_code == 200
    deeds = set(AuditEntry.objects.values_list("action", flat=True))
    assert deeds >= {
        "connection.made",
        "connection.fields_asked",
        "connection.fields_ensured",
        "connection.set_up",
    }
    assert not AuditEntry.objects.filter(details__icontains=SECRET).exists()


def test_a_field_somebody_made_differently_is_shown_and_left_alone(client):
    account, app, typed = _hubspot()
    there = {
        "name": "wa_media_count",
        "label": "Mine",
        "type": "string",
        "fieldType": "text",
        "groupName": "contactinformation",
    }
    with served(account, app) as address:
        made = httpx.post(
            f"{address}/crm/properties/2026-03/contacts",
            json=there,
            headers={"Authorization": f"Bearer {SECRET}"},
        )
        assert made.status_code < 300
        client.post("/settings/crms/new/hubspot", {**typed, "name": "CRM", "api_base": address})
        connection = Connection.objects.get()
        shown = client.get(f"{pages(connection)}/fields").content.decode()
        assert "is string, we write number" in shown
        client.post(f"{pages(connection)}/fields", {"make": "on"})
        asyncio.run(crm_setups.make(connection.pk))
    assert account.properties["0-1"]["wa_media_count"].label == "Mine"


@pytest.mark.parametrize(
    ("kind", "changes", "said"),
    [
        ("hubspot", {"token": "wrong"}, "does not accept this access"),
        ("hubspot", {"token": ""}, "This is needed"),
        ("hubspot", {"name": ""}, "name"),
        ("hubspot", {"api_base": "https://10.0.0.1"}, "private"),
        ("salesforce", {"client_secret": "wrong"}, "does not accept this access"),
        ("salesforce", {"client_secret": "", "key": "no key at all", "username": "u"}, "private key"),
        ("salesforce", {"client_secret": "", "key": "k"}, "goes with"),
        ("zendesk", {"subdomain": "evil.example/aurora"}, "before .zendesk.com"),
        ("zoho", {"data_centre": "mars"}, ""),
        ("zoho", {"grant_code": "used"}, ""),
    ],
)
def test_what_cannot_work_is_said_in_words_and_nothing_is_kept(client, workspace, kind, changes, said):
    account, app, typed = SIDES[kind]()
    with served(account, app) as address:
        sent = {**typed, "name": "CRM", "api_base": address, **changes}
        answer = client.post(f"/settings/crms/new/{kind}", sent)
    assert answer.status_code == 422
    shown = answer.content.decode()
    assert said in shown
    assert SECRET not in shown
    assert not Connection.objects.exists()


def test_an_agent_who_is_no_administrator_of_zendesk_is_told(client):
    account, app, typed = _zendesk()
    account.role = "agent"
    with served(account, app) as address:
        answer = client.post("/settings/crms/new/zendesk", {**typed, "name": "CRM", "api_base": address})
    assert "not an administrator" in answer.content.decode()
    assert not Connection.objects.exists()


def test_an_account_is_connected_once_and_the_page_says_where(client):
    account, app, typed = _hubspot()
    with served(account, app) as address:
        sent = {**typed, "name": "CRM", "api_base": address}
        client.post("/settings/crms/new/hubspot", sent)
        answer = client.post("/settings/crms/new/hubspot", sent)
    assert answer.status_code == 409
    assert "connected already, as CRM" in answer.content.decode()
    assert Connection.objects.count() == 1


def test_resuming_what_is_being_set_up_goes_on_with_setting_it_up(client):
    account, app, typed = _hubspot()
    with served(account, app) as address:
        client.post("/settings/crms/new/hubspot", {**typed, "name": "CRM", "api_base": address})
    connection = Connection.objects.get()
    answer = client.post(f"/integrations/{ids.text(connection.pk)}/resume")
    assert answer["Location"] == f"{pages(connection)}/fields"
    connection.refresh_from_db()
    assert connection.paused_at
    assert "Go on setting it up" in client.get("/integrations").content.decode()


def test_a_refusal_while_making_is_shown_and_making_goes_on_from_there(client, monkeypatch):
    monkeypatch.setattr(crm_setups, "TRIES", 1)
    account, app, typed = _hubspot()
    with served(account, app) as address:
        client.post("/settings/crms/new/hubspot", {**typed, "name": "CRM", "api_base": address})
        connection = Connection.objects.get()
        client.post(f"{pages(connection)}/fields", {"make": "on"})
        fault = hubspot.Fault(
            "status", 403, "POST", "/crm/properties", times=1, after=3, category="MISSING_SCOPES"
        )
        account.faults.add(fault)
        asyncio.run(crm_setups.make(connection.pk))
        row = CrmSetup.objects.get()
        assert row.refusal == "forbidden"
        assert 0 < len(row.made) < len(row.report["created"])
        shown = client.get(f"{pages(connection)}/fields").content.decode()
        assert "may not do what is needed" in shown
        client.post(f"{pages(connection)}/fields", {"make": "on"})
        asyncio.run(crm_setups.make(connection.pk))
        row.refresh_from_db()
        assert row.made_at
        assert not row.refusal
