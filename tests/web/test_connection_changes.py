"""A connection renamed, given new secrets and removed, from its pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.http import HttpResponse
from django.test import Client

from acervo.base import ids
from acervo.govern import connections, registration
from acervo.keep import credentials
from acervo.models import AuditEntry, Connection, MediaFile, Member, Workspace
from acervo.providers.contract import Webhook
from sandbox.dialog360 import Dialog360Sandbox, Number
from sandbox.messagebird import Channel, MessageBirdServer
from sandbox.messagebird.server import DESK
from tests.conftest import make_connection
from tests.served import served

pytestmark = pytest.mark.django_db(transaction=True)
CHANNEL = Channel()


@pytest.fixture
def client(page_of: Callable[[Member], Client], alice: Member) -> Client:
    return page_of(alice)


def said(answer: HttpResponse) -> str:
    return answer.content.decode()


def where(connection: Connection, page: str) -> str:
    return f"/integrations/{ids.text(connection.pk)}/{page}"


def test_a_number_is_renamed_and_its_basis_changed(client: Client, connection: Connection) -> None:
    sent = {"name": "Vendas", "legal_basis": "consent", "on_revoke": "keep"}
    assert client.post(where(connection, "edit"), sent).status_code == 302
    connection.refresh_from_db()
    assert (connection.name, connection.legal_basis) == ("Vendas", "consent")
    actions = AuditEntry.objects.of("connection", connection.pk).values_list("action", flat=True)
    assert {"connection.changed", "connection.privacy_set"} <= set(actions)


@pytest.mark.parametrize(
    "wrong", [{"name": " "}, {"legal_basis": "because"}, {"legal_basis": ""}, {"on_revoke": "x"}]
)
def test_a_change_that_makes_no_sense_changes_nothing(
    client: Client, connection: Connection, wrong: dict[str, str]
) -> None:
    sent = {"name": "Vendas", "legal_basis": "consent", "on_revoke": "keep", **wrong}
    assert client.post(where(connection, "edit"), sent).status_code == 422
    connection.refresh_from_db()
    assert (connection.name, connection.legal_basis) == ("Suporte", None)


def test_a_crm_is_renamed_and_has_no_basis(client: Client, workspace: Workspace) -> None:
    crm = make_connection(workspace, "hubspot", account_id="4242", secrets={"token": "x"})
    assert "legal_basis" not in said(client.get(where(crm, "edit")))
    client.post(where(crm, "edit"), {"name": "HubSpot Vendas"})
    crm.refresh_from_db()
    assert crm.name == "HubSpot Vendas"


def test_nobody_is_asked_for_a_secret_that_we_made_up(client: Client, workspace: Workspace) -> None:
    for kind, own, asked in (
        ("dialog360", ("hook_secret", "path_key"), "api_key"),
        ("bird", ("signing_key",), "access_key"),
        ("meta_cloud", ("verify_token",), "app_secret"),
    ):
        number = make_connection(workspace, kind, account_id=kind)
        page = said(client.get(where(number, "reconnect")))
        assert f'name="{asked}"' in page
        assert not any(f'name="{name}"' in page for name in own)
        assert f">{asked}<" not in page, "in words"


def test_optional_secrets_are_asked_for_where_they_are_in_use(client: Client, workspace: Workspace) -> None:
    plain = make_connection(workspace, "twilio", account_id="+1", secrets={"auth_token": "t"})
    keyed = make_connection(
        workspace,
        "twilio",
        account_id="+2",
        secrets={"auth_token": "t", "api_key_sid": "SK", "api_key_secret": "s"},
    )
    assert "api_key_secret" not in said(client.get(where(plain, "reconnect")))
    assert "api_key_secret" in said(client.get(where(keyed, "reconnect")))


def test_the_page_says_until_when_the_old_secrets_count_and_ends_them(
    client: Client, connection: Connection
) -> None:
    assert "Both old and new count now" not in said(client.get(where(connection, "reconnect")))
    client.post(where(connection, "reconnect"), {"app_secret": "a-new-one"})
    page = said(client.get(where(connection, "reconnect")))
    assert "Both old and new count now" in page
    assert "are taken until" in page
    assert "a-new-one" not in page
    client.post(where(connection, "end-previous"))
    connection.refresh_from_db()
    assert "app_secret_previous" not in credentials.open_secrets(connection)
    assert "Both old and new count now" not in said(client.get(where(connection, "reconnect")))


def test_removing_says_first_what_becomes_of_files(
    client: Client,
    connection: Connection,
    kept_file: Callable[..., MediaFile],
    announced_file: Callable[..., MediaFile],
) -> None:
    kept_file()
    announced_file()
    page = said(client.get(where(connection, "remove")))
    assert "1 file that is here stays" in page
    assert "1 file that is not here yet is lost" in page
    assert client.post(where(connection, "remove")).status_code == 422, "files would be lost"
    connection.refresh_from_db()
    assert connection.removed_at is None
    assert client.post(where(connection, "remove"), {"loses": "on"}).status_code == 302
    connection.refresh_from_db()
    assert connection.removed_at is not None


@pytest.fixture
def vendor() -> Iterator[MessageBirdServer]:
    with served(MessageBirdServer()) as server:
        yield server


@pytest.fixture
def number(workspace: Workspace, vendor: MessageBirdServer) -> Connection:
    return make_connection(
        workspace,
        "messagebird",
        account_id=CHANNEL.channel_id,
        api_base=vendor.base_url,
        secrets={"access_key": CHANNEL.access_key, "signing_key": CHANNEL.signing_key},
    )


def test_the_provider_is_told_and_other_webhooks_there_stay(
    client: Client, number: Connection, vendor: MessageBirdServer
) -> None:
    ours = {
        "id": "1",
        "url": connections.webhook_url(number),
        "status": "enabled",
        "channelId": CHANNEL.channel_id,
    }
    events = ["message.created", "message.updated"]
    other = {**ours, "id": "2", "url": "https://other.example.com/hook", "events": events}
    vendor._runner.app[DESK].webhooks = [{**ours, "events": events}, other]
    client.post(where(number, "remove"))
    assert vendor._runner.app[DESK].webhooks == [other]
    assert AuditEntry.objects.filter(action="connection.unregistered").exists()


def test_a_provider_that_does_not_listen_keeps_nobody_from_removing(
    client: Client, number: Connection, vendor: MessageBirdServer
) -> None:
    vendor.state.revoke(CHANNEL.access_key)
    answer = client.post(where(number, "remove"), follow=True)
    number.refresh_from_db()
    assert number.removed_at is not None
    assert "was not told" in said(answer)


def test_our_own_secrets_are_renewed_without_a_gap(
    client: Client, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registration, "DOORS_REMEMBER_S", 0.0)
    number = Number()
    with served(Dialog360Sandbox()) as vendor:
        row = make_connection(
            workspace,
            "dialog360",
            account_id=number.phone_number_id,
            api_base=vendor.base_url,
            secrets={"api_key": number.access_token, "hook_secret": "old-hook", "path_key": "old-path"},
        )
        client.post(where(row, "renew"))
        row.refresh_from_db()
        opened = credentials.open_secrets(row)
        registered = vendor.registered[number.phone_number_id]
        assert registered["url"].endswith(f"/{opened['path_key']}")
        assert registered["headers"]["X-Hook-Secret"] == opened["hook_secret"] != "old-hook"
        for path, secret in (("old-path", "old-hook"), (opened["path_key"], opened["hook_secret"])):
            knock = Webhook("POST", {"x-hook-secret": secret}, b"{}", url=f"https://a.example/hooks/{path}")
            credentials.provider(row).verify(knock)
        vendor.state.revoke(number.access_token)
        answer = client.post(where(row, "renew"), follow=True)
        assert "does not accept this access" in said(answer)
        row.refresh_from_db()
        assert connections.webhook_url(row) == registered["url"], "what the provider knows still counts"
        knock = Webhook("POST", {"x-hook-secret": opened["hook_secret"]}, b"{}", url=registered["url"])
        credentials.provider(row).verify(knock)
