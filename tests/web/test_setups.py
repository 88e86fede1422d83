"""The connect wizard, step by step: what goes on, what is refused, and what is kept meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from acervo.base import clock, ids
from acervo.govern import reach, setups
from acervo.govern.reach import Reach
from acervo.keep import credentials
from acervo.models import AuditEntry, Connection, Deed, MediaFile, Member, Receipt, Setup
from sandbox.messagebird import Channel, MessageBirdServer
from sandbox.whatsapp import Phone, SandboxServer
from tests.conftest import keep, make_connection, make_file
from tests.served import served

pytestmark = pytest.mark.django_db(transaction=True)

PHONE = Phone()
CHANNEL = Channel()
BASE = "/integrations/new/whatsapp"
Pages = Callable[[Member], Client]


@pytest.fixture(autouse=True)
def answering(monkeypatch: pytest.MonkeyPatch) -> None:
    """No server runs beside these tests, so our own address is said to answer."""
    monkeypatch.setattr(reach, "reach", lambda: Reach("ok", clock.now()))


@pytest.fixture
def client(page_of: Pages, alice: Member) -> Client:
    return page_of(alice)


@pytest.fixture
def meta() -> Iterator[SandboxServer]:
    with served(SandboxServer(phones=[PHONE])) as server:
        yield server


def said(answer: HttpResponse) -> str:
    return answer.content.decode()


def begin(client: Client, kind: str = "meta_cloud") -> Setup:
    answer = client.post(BASE, {"kind": kind})
    setup = Setup.objects.latest("begun_at")
    assert answer["Location"] == where(setup, "access")
    return setup


def where(setup: Setup, step: str = "") -> str:
    return f"{BASE}/{ids.text(setup.pk)}/{step}".rstrip("/")


def of_meta(meta: SandboxServer, **changes: str) -> dict[str, str]:
    typed = {
        "name": "Suporte", "account_id": PHONE.phone_number_id, "waba_id": PHONE.waba_id, "token": PHONE.access_token,
        "app_secret": PHONE.app_secret, "api_base": meta.base_url,
    }  # fmt: skip
    return {**typed, **changes}


def connected(client: Client, meta: SandboxServer) -> Setup:
    setup = begin(client)
    assert client.post(where(setup, "access"), of_meta(meta)).status_code == 302
    setup.refresh_from_db()
    return setup


def at_the_last_step(client: Client, meta: SandboxServer) -> Setup:
    setup = connected(client, meta)
    client.post(where(setup, "webhook"))
    client.post(where(setup, "skip-test"), {"reason": "The number is still being moved"})
    setup.refresh_from_db()
    return setup


# ── the steps ──


def test_all_five_providers_are_offered_and_old_chats_too(client: Client) -> None:
    page = said(client.get(BASE))
    for kind in ("meta_cloud", "twilio", "dialog360", "messagebird", "bird"):
        assert f'value="{kind}"' in page
    assert "fake" not in page
    assert "/integrations/import" in page


@pytest.mark.parametrize("kind", ["meta_cloud", "twilio", "dialog360", "messagebird", "bird"])
def test_every_provider_asks_in_words_for_what_its_adapter_needs(client: Client, kind: str) -> None:
    from acervo import providers

    page = said(client.get(where(begin(client, kind), "access")))
    adapter = providers.get(kind)
    for asked in adapter.asks:
        assert f'name="{asked.name}"' in page
        assert f">{asked.name}<" not in page
    for own in adapter.capabilities.own_secrets:
        assert f'name="{own}"' not in page, "we make it up ourselves"


def test_a_good_access_connects_the_number_and_a_privacy_choice_finishes(
    client: Client, meta: SandboxServer, alice: Member
) -> None:
    setup = at_the_last_step(client, meta)
    connection = setup.connection
    assert connection is not None
    assert credentials.open_secrets(connection)["token"] == PHONE.access_token
    assert len(credentials.open_secrets(connection)["verify_token"]) == 32
    assert setup.sealed_secrets is None
    answer = client.post(where(setup, "privacy"), {"legal_basis": "contract", "on_revoke": "keep"})
    assert answer["Location"] == "/integrations"
    connection.refresh_from_db()
    setup.refresh_from_db()
    assert connection.legal_basis == "contract"
    assert setup.finished_at is not None
    assert "Contract" in said(client.get("/integrations"))
    written = AuditEntry.objects.filter(by=f"member:{ids.text(alice.pk)}").values_list("action", flat=True)
    assert {
        "setup.begun",
        "connection.made",
        "setup.test_skipped",
        "connection.privacy_set",
        "setup.finished",
    } <= set(written)
    assert AuditEntry.objects.get(action="setup.test_skipped").reason == "The number is still being moved"


def test_a_wrong_token_is_said_and_everything_typed_is_kept_but_never_shown(
    client: Client, meta: SandboxServer
) -> None:
    setup = begin(client)
    answer = client.post(where(setup, "access"), of_meta(meta, token="wrong-token-value"))
    assert answer.status_code == 422
    assert "does not accept this access" in said(answer)
    page = said(client.get(where(setup, "access")))
    for shown in (said(answer), page):
        assert PHONE.phone_number_id in shown
        assert "Kept, and never shown again." in shown
        assert PHONE.app_secret not in shown
        assert "wrong-token-value" not in shown
    assert not Connection.objects.exists()
    # Only what was wrong is typed anew.
    answer = client.post(where(setup, "access"), of_meta(meta, app_secret=""))
    assert answer.status_code == 302
    assert credentials.open_secrets(Connection.objects.get())["app_secret"] == PHONE.app_secret


def test_a_number_the_token_does_not_open_is_said(client: Client, meta: SandboxServer) -> None:
    answer = client.post(where(begin(client), "access"), of_meta(meta, account_id="106500000000099"))
    assert answer.status_code == 422
    assert "does not open this number" in said(answer)


def test_a_provider_that_does_not_answer_costs_nothing_typed(client: Client, meta: SandboxServer) -> None:
    setup = begin(client)
    answer = client.post(where(setup, "access"), of_meta(meta, api_base="http://127.0.0.1:9"))
    assert answer.status_code == 422
    assert "what you typed is kept" in said(answer)
    setup.refresh_from_db()
    assert setup.account_id == PHONE.phone_number_id


def test_fields_are_checked_for_their_shape_before_anybody_is_asked(client: Client) -> None:
    setup = begin(client, "twilio")
    sent = {"name": "", "account_id": "5555", "account_sid": "AC1", "auth_token": "a b", "api_key_sid": ""}
    answer = client.post(where(setup, "access"), {**sent, "api_key_secret": "only-the-secret"})
    page = said(answer)
    assert answer.status_code == 422
    for error in (
        "Give the number a name.",
        "Write it with plus sign",
        "An Account SID is AC",
        "has no spaces",
    ):
        assert error in page
    assert "This goes with API key secret." in page


@pytest.mark.parametrize("address", ["http://10.0.0.1", "https://localhost", "http://graph.example.com"])
def test_an_api_in_a_private_network_is_refused_beside_its_field(
    client: Client, settings: Any, meta: SandboxServer, address: str
) -> None:
    settings.ACERVO_ALLOW_PRIVATE_HOSTS = ()
    setup = begin(client)
    answer = client.post(where(setup, "access"), of_meta(meta, api_base=address))
    assert answer.status_code == 422
    assert 'id="x-api_base"' in said(answer)
    setup.refresh_from_db()
    assert setup.sealed_secrets is None


def test_kept_secrets_never_go_to_another_address(client: Client, meta: SandboxServer) -> None:
    setup = begin(client)
    client.post(where(setup, "access"), of_meta(meta, token="wrong-token-value"))
    with served(SandboxServer(phones=[PHONE])) as other:
        again = of_meta(meta, api_base=other.base_url, token="", app_secret="")
        answer = client.post(where(setup, "access"), again)
        assert "only to the address they were given for" in said(answer)
        assert not other.statistics.requests


def test_half_a_form_is_kept_for_later(client: Client) -> None:
    setup = begin(client, "bird")
    client.post(
        where(setup, "access"), {"name": "Vendas", "workspace_id": "w-1", "access_key": "k", "later": "on"}
    )
    page = said(client.get("/integrations"))
    assert "Vendas" in page
    assert "Waits at: Number and access" in page
    page = said(client.get(where(setup, "access")))
    assert 'value="w-1"' in page
    assert "Kept, and never shown again." in page


def test_another_provider_forgets_what_was_typed_for_the_old_one(client: Client, meta: SandboxServer) -> None:
    setup = begin(client)
    client.post(where(setup, "access"), of_meta(meta, token="wrong-token-value"))
    client.post(where(setup, "provider"), {"kind": "bird"})
    setup.refresh_from_db()
    assert (setup.kind, setup.account_id, setup.sealed_secrets, setup.api_base) == ("bird", "", None, None)


def test_a_number_that_is_connected_already_is_refused_in_words(
    client: Client, meta: SandboxServer, connection: Connection
) -> None:
    answer = client.post(where(begin(client), "access"), of_meta(meta))
    assert answer.status_code == 422
    assert "connected already" in said(answer)


def test_steps_that_come_later_lead_back_to_the_one_that_is_due(client: Client, meta: SandboxServer) -> None:
    setup = begin(client)
    for step in ("webhook", "test", "privacy", ""):
        assert client.get(where(setup, step))["Location"] == where(setup, "access")
    setup = connected(client, meta)
    assert client.get(where(setup, "privacy"))["Location"] == where(setup, "webhook")
    assert client.get(where(setup))["Location"] == where(setup, "webhook")


# ── the webhook ──


def test_the_address_and_our_token_are_there_to_paste(client: Client, meta: SandboxServer) -> None:
    setup = connected(client, meta)
    page = said(client.get(where(setup, "webhook")))
    assert setup.connection is not None
    assert f"/hooks/meta_cloud/{ids.text(setup.connection.pk)}" in page
    assert credentials.open_secrets(setup.connection)["verify_token"] in page
    assert PHONE.app_secret not in page


def test_another_address_is_replaced_only_when_somebody_says_so(client: Client) -> None:
    from sandbox.twilio import Account, TwilioServer
    from sandbox.twilio.server import DESK

    account = Account()
    with served(TwilioServer()) as twilio:
        setup = begin(client, "twilio")
        typed = {"name": "S", "account_id": account.number, "account_sid": account.account_sid}
        typed |= {"auth_token": account.auth_token, "api_base": twilio.base_url}
        assert client.post(where(setup, "access"), typed).status_code == 302
        webhooks = twilio._runner.app[DESK].webhooks
        webhooks[account.number] = {"callback_url": "https://old.example.com/secret-path"}
        answer = client.post(where(setup, "tell"), {"tell": "on"})
        assert answer.status_code == 422
        assert "go to old.example.com today" in said(answer)
        assert "secret-path" not in said(answer)
        assert webhooks[account.number]["callback_url"].startswith("https://old.example.com")
        assert client.post(where(setup, "tell"), {"tell": "on", "replace": "on"}).status_code == 302
        assert "/hooks/twilio/" in webhooks[account.number]["callback_url"]
    setup.refresh_from_db()
    assert setup.told_at is not None


def test_a_refusal_to_take_our_address_is_said(client: Client) -> None:
    with served(MessageBirdServer()) as bird:
        setup = begin(client, "messagebird")
        typed = {"name": "S", "account_id": CHANNEL.channel_id, "access_key": CHANNEL.access_key}
        typed |= {"signing_key": CHANNEL.signing_key, "api_base": bird.base_url}
        assert client.post(where(setup, "access"), typed).status_code == 302
        bird.state.revoke(CHANNEL.access_key)
        answer = client.post(where(setup, "tell"), {"tell": "on"})
    assert answer.status_code == 422
    assert "does not accept this access" in said(answer)


def test_the_checks_turn_green_by_what_happened(client: Client, meta: SandboxServer) -> None:
    setup = connected(client, meta)
    assert states(client, setup, "webhook") == {"reach": "ok", "known": "wait", "event": "todo"}
    connection = setup.connection
    assert connection is not None
    deed = Deed("webhook.refused", "connection", connection.pk, "forged", {"count": 1})
    AuditEntry.objects.record(connection.workspace_id, "provider:x", [deed])
    assert states(client, setup, "webhook")["event"] == "bad"
    assert "its signature did not fit" in said(client.get(where(setup, "webhook")))
    confirmed = Deed("webhook.confirmed", "connection", connection.pk)
    AuditEntry.objects.record(connection.workspace_id, "provider:x", [confirmed])
    Receipt.objects.create(
        workspace=connection.workspace, connection=connection, received_at=clock.now(), body=b"{}"
    )
    assert states(client, setup, "webhook") == {"reach": "ok", "known": "ok", "event": "ok"}


@pytest.mark.parametrize("code", ["private", "certificate", "silent", "wrong_answer"])
def test_an_address_that_does_not_answer_says_what_to_look_at(
    client: Client, meta: SandboxServer, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    monkeypatch.setattr(reach, "reach", lambda: Reach(code, clock.now()))
    setup = connected(client, meta)
    assert states(client, setup, "webhook")["reach"] == "bad"


def states(client: Client, setup: Setup, step: str) -> dict[str, str]:
    import re

    found = re.findall(r'data-check="(\w+)"\s+data-state="(\w+)"', said(client.get(where(setup, step))))
    return dict(found)


# ── the test ──


def test_the_first_file_is_watched_until_it_is_kept(client: Client, meta: SandboxServer) -> None:
    setup = connected(client, meta)
    client.post(where(setup, "webhook"))
    assert states(client, setup, "test") == {"message": "wait", "kept": "todo", "ready": "todo"}
    assert client.post(where(setup, "test")).status_code == 422, "nothing is kept yet"
    assert setup.connection is not None
    file = make_file(setup.connection)
    assert states(client, setup, "test") == {"message": "ok", "kept": "wait", "ready": "todo"}
    MediaFile.objects.filter(pk=file.pk).update(refusal="unavailable", refused_at=clock.now())
    assert "not available" in said(client.get(where(setup, "test")))
    keep(file, b"OggS")
    page = said(client.get(where(setup, "test")))
    assert f"/m/{file.slug}" in page
    assert states(client, setup, "test") == {"message": "ok", "kept": "ok", "ready": "ok"}
    assert client.post(where(setup, "test"))["Location"] == where(setup, "privacy")


def test_the_test_is_skipped_with_a_reason_only(client: Client, meta: SandboxServer) -> None:
    setup = connected(client, meta)
    client.post(where(setup, "webhook"))
    answer = client.post(where(setup, "skip-test"), {"reason": "   "})
    assert answer.status_code == 422
    assert "Say why" in said(answer)
    setup.refresh_from_db()
    assert setup.test_skipped_at is None


# ── the end ──


def test_without_a_legal_basis_nothing_is_finished(client: Client, meta: SandboxServer) -> None:
    setup = at_the_last_step(client, meta)
    for basis in ("", "because"):
        answer = client.post(where(setup, "privacy"), {"legal_basis": basis, "on_revoke": "keep"})
        assert answer.status_code == 422
    setup.refresh_from_db()
    assert setup.finished_at is None
    assert "Begun, and not finished" in said(client.get("/integrations"))


def test_a_discarded_setup_forgets_its_secrets(client: Client, meta: SandboxServer) -> None:
    setup = begin(client)
    client.post(where(setup, "access"), of_meta(meta, token="wrong-token-value"))
    client.post(where(setup, "discard"))
    setup.refresh_from_db()
    assert setup.dropped_at is not None
    assert setup.sealed_secrets is None
    assert client.get(where(setup, "access"))["Location"] == "/integrations"
    with pytest.raises(setups.SetupOver):
        setups.note(setup, setups.Access(account_id="1"))


def test_discarding_a_connected_number_leads_to_what_becomes_of_its_files(
    client: Client, meta: SandboxServer
) -> None:
    setup = connected(client, meta)
    answer = client.post(where(setup, "discard"))
    assert setup.connection is not None
    assert answer["Location"] == f"/integrations/{ids.text(setup.connection.pk)}/remove"


def test_a_wrong_secret_is_corrected_after_the_number_was_made(client: Client, meta: SandboxServer) -> None:
    setup = connected(client, meta)
    answer = client.post(where(setup, "access"), of_meta(meta, token="", app_secret="a-better-secret"))
    assert answer.status_code == 302
    assert Connection.objects.count() == 1
    opened = credentials.open_secrets(Connection.objects.get())
    assert (opened["app_secret"], opened["app_secret_previous"]) == ("a-better-secret", PHONE.app_secret)


def test_a_wrong_correction_changes_nothing(client: Client, meta: SandboxServer) -> None:
    setup = connected(client, meta)
    answer = client.post(where(setup, "access"), of_meta(meta, token="wrong-token-value"))
    assert answer.status_code == 422
    assert credentials.open_secrets(Connection.objects.get())["token"] == PHONE.access_token


def test_no_page_and_no_entry_shows_a_secret(client: Client, meta: SandboxServer, alice: Member) -> None:
    setup = at_the_last_step(client, meta)
    written = str(list(AuditEntry.objects.values("reason", "details", "by")))
    assert setup.connection is not None
    own = credentials.open_secrets(setup.connection)["verify_token"]
    for secret in (PHONE.access_token, PHONE.app_secret, own):
        assert secret not in written
        assert secret not in str(list(Setup.objects.values("name", "options", "account_id")))


def test_two_people_at_once_connect_it_once(client: Client, meta: SandboxServer, alice: Member) -> None:
    setup = begin(client)
    client.post(where(setup, "access"), of_meta(meta, later="on"))
    stale = Setup.objects.get(pk=setup.pk)
    setups.connect(setup, {}, "test")
    setups.connect(stale, {}, "test")
    assert Connection.objects.count() == 1


def test_a_member_without_the_ability_sees_no_setup(page_of: Pages, bob: Member, client: Client) -> None:
    setup = begin(client)
    assert page_of(bob).get(where(setup, "access")).status_code == 403
    assert not Setup.objects.visible_to(bob).exists()


def test_a_number_made_by_the_command_line_asks_for_its_legal_basis(
    client: Client, alice: Member, connection: Connection
) -> None:
    assert "not said yet" in said(client.get("/integrations"))
    make_connection(alice.workspace, "hubspot", account_id="4242", secrets={"token": "x"})
    assert said(client.get("/integrations")).count("not said yet") == 1
