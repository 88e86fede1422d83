"""Connections: refused in words, audited, rotated without a gap; removal keeps what is kept."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import override_settings

from acervo.base import clock
from acervo.base.errors import Refused
from acervo.govern import connections
from acervo.keep import credentials
from acervo.models import AuditEntry, Connection, Delivery, MediaFile, Setup, Workspace
from acervo.providers.contract import ForgedWebhook, Webhook
from tests.conftest import make_connection

pytestmark = pytest.mark.django_db
SECRETS = {"token": "t0k3n-value", "app_secret": "s3cr3t-value", "verify_token": "v3r1fy-value"}


def connect(workspace: Workspace, **changes: object) -> Connection:
    facts = {
        "kind": "meta_cloud",
        "name": "Suporte",
        "account_id": "1",
        "secrets": SECRETS,
        "by": "test",
        **changes,
    }
    return connections.connect(workspace, **facts)  # type: ignore[arg-type]


def test_secrets_are_sealed_in_the_row_and_open_again(workspace: Workspace) -> None:
    row = connect(workspace)
    assert b"t0k3n-value" not in bytes(row.sealed_secrets)
    assert credentials.open_secrets(row) == SECRETS
    assert AuditEntry.objects.get(action="connection.made").by == "test"


def test_secrets_moved_to_another_row_do_not_open(workspace: Workspace) -> None:
    row, other = connect(workspace), connect(workspace, account_id="2")
    other.sealed_secrets = row.sealed_secrets
    with pytest.raises(credentials.sealed.SealedElsewhere):
        credentials.open_secrets(other)


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1:9", "https://127.0.0.1", "https://localhost", "https://10.1.2.3", "http://graph.example.com",
     "https://[::1]", "https://db.internal", "https://169.254.169.254/x"],
)  # fmt: skip
@override_settings(ACERVO_ALLOW_PRIVATE_HOSTS=())
def test_a_private_or_plain_api_base_is_refused(workspace: Workspace, address: str) -> None:
    with pytest.raises(connections.PrivateHost):
        connect(workspace, api_base=address)
    assert not Connection.objects.exists()


@override_settings(ACERVO_ALLOW_PRIVATE_HOSTS=("127.0.0.1:9",))
def test_a_private_api_base_is_taken_when_it_is_named(workspace: Workspace) -> None:
    assert connect(workspace, api_base="http://127.0.0.1:9").api_base == "http://127.0.0.1:9"


def test_a_missing_secret_is_named(workspace: Workspace) -> None:
    with pytest.raises(connections.SecretMissing, match="app_secret"):
        connect(workspace, secrets={"token": "t", "verify_token": "v"})


def test_an_account_is_connected_once_and_again_after_removal(workspace: Workspace) -> None:
    row = connect(workspace)
    with pytest.raises(connections.AlreadyConnected):
        connect(workspace)
    connections.remove(row, by="test")
    assert connect(workspace).pk != row.pk


def test_reconnecting_keeps_the_old_app_secret_for_the_rotation(workspace: Workspace) -> None:
    row = connect(workspace)
    connections.pause(row, by="test", reason="token_revoked")
    connections.reconnect(row, {"app_secret": "new-secret", "token": ""}, by="test")
    row.refresh_from_db()
    opened = credentials.open_secrets(row)
    assert (opened["app_secret"], opened["app_secret_previous"]) == ("new-secret", "s3cr3t-value")
    assert opened["token"] == "t0k3n-value"
    assert row.paused_at is None


def test_a_crm_is_reconnected_too(workspace: Workspace) -> None:
    row = connect(workspace, kind="hubspot", secrets={"token": "old"})
    connections.pause(row, by="test", reason="auth_revoked")
    connections.reconnect(row, {"token": "new"}, by="test")
    row.refresh_from_db()
    assert credentials.open_secrets(row)["token"] == "new"
    assert row.paused_at is None


def test_an_old_secret_counts_for_a_week_and_is_then_erased(workspace: Workspace) -> None:
    row = connect(workspace)
    before = clock.now()
    connections.reconnect(row, {"app_secret": "new-secret"}, by="test")
    assert row.previous_until is not None
    assert row.previous_until - before >= connections.PREVIOUS_FOR
    old = webhook_signed_with("s3cr3t-value")
    credentials.provider(row).verify(old)
    Connection.objects.update(previous_until=clock.now())
    row.refresh_from_db()
    with pytest.raises(ForgedWebhook):
        credentials.provider(row).verify(old)
    credentials.provider(row).verify(webhook_signed_with("new-secret"))
    assert not connections.has_previous(row)
    connections.erase_ended()
    row.refresh_from_db()
    assert "app_secret_previous" not in credentials.open_secrets(row)
    assert row.previous_until is None


def test_somebody_may_end_the_old_secret_at_once(workspace: Workspace) -> None:
    row = connect(workspace)
    connections.reconnect(row, {"app_secret": "new-secret"}, by="test")
    connections.end_previous(row, by="test")
    connections.end_previous(row, by="test")
    row.refresh_from_db()
    assert set(credentials.open_secrets(row)) == set(SECRETS)
    assert AuditEntry.objects.filter(action="connection.previous_ended").count() == 1


def webhook_signed_with(secret: str) -> Webhook:
    signature = hmac.new(secret.encode(), b"{}", "sha256").hexdigest()
    return Webhook("POST", {"x-hub-signature-256": f"sha256={signature}"}, b"{}")


def test_removing_keeps_what_is_kept_and_states_what_is_lost(
    workspace: Workspace,
    connection: Connection,
    kept_file: Callable[..., MediaFile],
    announced_file: Callable[..., MediaFile],
) -> None:
    kept, waiting = kept_file(), announced_file()
    begun = Setup.objects.create(
        workspace=workspace, kind="meta_cloud", connection=connection, begun_by="test"
    )
    connections.remove(connection, by="test")
    kept.refresh_from_db()
    waiting.refresh_from_db()
    begun.refresh_from_db()
    connection.refresh_from_db()
    assert kept.stored_at is not None
    assert (waiting.state, waiting.refusal) == ("lost", connections.NUMBER_REMOVED)
    assert AuditEntry.objects.of("file", waiting.pk).filter(action="file.lost").exists()
    assert begun.dropped_at is not None
    assert credentials.open_secrets(connection) == {}


def test_privacy_is_written_down_once_for_each_change(connection: Connection) -> None:
    for basis in ("consent", "consent", "contract"):
        connections.set_legal_basis(connection, basis, by="test")
    entries = AuditEntry.objects.filter(action="connection.privacy_set").order_by("number")
    assert [entry.details["legal_basis"] for entry in entries] == ["consent", "contract"]


def test_resuming_makes_what_waited_due(
    workspace: Workspace, connection: Connection, announced_file: Callable[..., MediaFile]
) -> None:
    media = announced_file(due_at=clock.now() + timedelta(hours=6))
    connections.pause(connection, by="test")
    assert not MediaFile.objects.due(clock.now()).exists()
    connections.resume(connection, by="test")
    assert list(MediaFile.objects.due(clock.now())) == [media]


def test_no_error_of_a_connection_shows_a_secret(workspace: Workspace) -> None:
    row = connect(workspace)
    for attempt in (
        lambda: connect(workspace),
        lambda: connect(workspace, account_id="2", api_base="http://10.0.0.1"),
    ):
        with pytest.raises(Refused) as caught:
            attempt()
        assert not any(secret in repr(caught.value) for secret in SECRETS.values())
    assert not any(secret in repr(row) + str(row) for secret in SECRETS.values())


def test_a_new_access_asks_again_for_what_the_old_one_was_told_is_expired(
    connection: Connection, announced_file: Callable[..., MediaFile]
) -> None:
    at = clock.now()
    lost = {"gone_at": at, "refused_at": at, "refusal": "expired"}
    perhaps = announced_file(**lost)
    announced_file(**lost, fetch_before=at)
    announced_file(**lost | {"refusal": "too_large"})
    connections.reconnect(connection, {"token": "another"}, by="test")
    assert list(MediaFile.objects.due(clock.now())) == [perhaps]


def test_resuming_takes_no_delivery_out_of_the_hands_of_a_worker(
    workspace: Workspace, kept_file: Callable[..., MediaFile]
) -> None:
    at = clock.now()
    crm = make_connection(workspace, "hubspot", account_id="9")
    Delivery.objects.create(
        workspace=workspace, connection=crm, media=kept_file(), promised_at=at, due_at=at,
        claimed_until=at + timedelta(minutes=5),
    )  # fmt: skip
    connections.resume(crm, by="test")
    assert not Delivery.objects.due(clock.now()).exists()


def test_removing_twice_is_told_once(workspace: Workspace) -> None:
    row = connect(workspace)
    for _ in range(2):
        connections.remove(row, by="test")
    assert AuditEntry.objects.filter(action="connection.removed").count() == 1
