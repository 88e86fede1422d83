"""The page on which an administrator sets up the panel in a CRM."""

from __future__ import annotations

import re

import pytest

from acervo.base import ids
from acervo.govern import connections, embeds
from acervo.keep import credentials
from acervo.models import AuditEntry, Embed, EmbedKey
from tests.conftest import make_connection
from tests.embed.crm import public_pem, rsa_key


@pytest.fixture
def zendesk(workspace):
    return make_connection(
        workspace, "zendesk", account_id="aurora", name="Zendesk Aurora", options={"subdomain": "aurora"}
    )


@pytest.fixture
def salesforce(workspace):
    return make_connection(
        workspace,
        "salesforce",
        account_id="00D",
        name="SF",
        api_base="https://aurora--uat.sandbox.my.salesforce.com",
    )


def where(account, what=""):
    return f"/integrations/{ids.text(account.pk)}/panel{what}"


def test_it_is_turned_on_and_off_and_both_are_written_down(page_of, alice, zendesk):
    client = page_of(alice)
    assert "The panel is off" in client.get(where(zendesk)).content.decode()
    client.post(where(zendesk, "/on"))
    assert "The panel is on, and still needs: the number of the installation, the public key" in (
        client.get(where(zendesk)).content.decode()
    )
    client.post(where(zendesk, "/off"))
    assert Embed.objects.get().turned_on_at is None
    actions = AuditEntry.objects.order_by("number").values_list("action", flat=True)
    assert list(actions) == ["embed.turned_on", "embed.turned_off"]


def test_it_shows_which_pages_may_frame_it_and_takes_more(page_of, alice, zendesk):
    client = page_of(alice)
    assert "<code>https://aurora.zendesk.com</code>" in client.get(where(zendesk)).content.decode()
    sent = {"shown_to": "agents", "more_origins": "https://Help.Example.com/\nhttps://b.example.com:8443"}
    assert client.post(where(zendesk), sent).status_code == 302
    expected = ("https://aurora.zendesk.com", "https://help.example.com", "https://b.example.com:8443")
    assert embeds.origins(zendesk, embeds.of(zendesk)) == expected


@pytest.mark.parametrize(
    "typed",
    ["*", "https://*", "https://*.zendesk.com", "zendesk.com", "http://aurora.zendesk.com", "https://a.example/b",
     "https://a.example;frame-ancestors", "'self'", "data:", "https://a.example\thttps://*"],
)  # fmt: skip
def test_no_page_is_let_in_by_a_star_or_a_trick(page_of, alice, zendesk, typed):
    answer = page_of(alice).post(where(zendesk), {"shown_to": "agents", "more_origins": typed})
    assert answer.status_code == 422
    assert "without a star" in answer.content.decode()
    assert not Embed.objects.exists()


@pytest.mark.parametrize("key", ["nonsense", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"])
def test_what_is_no_key_is_not_saved(page_of, alice, zendesk, key):
    answer = page_of(alice).post(where(zendesk), {"shown_to": "agents", "public_key": key})
    assert answer.status_code == 422
    assert "This is no public key" in answer.content.decode()
    assert key.split("\n")[0] in answer.content.decode()


def test_a_key_that_is_too_short_is_none(zendesk):
    short = public_pem(rsa_key("short", 1024))
    with pytest.raises(embeds.NotAPublicKey):
        embeds.change(zendesk, embeds.Wanted(shown_to="agents", public_key=short), "test")


def test_a_secret_is_sealed_kept_when_left_empty_and_never_shown(page_of, alice, workspace):
    hubspot = make_connection(
        workspace, "hubspot", account_id="4242", options={"ui_domain": "app.hubspot.com"}
    )
    client = page_of(alice)
    client.post(where(hubspot), {"shown_to": "agents", "secret": "s3cr3t-of-the-app"})
    client.post(where(hubspot), {"shown_to": "agents", "secret": "", "app_id": "99"})
    embed = Embed.objects.get()
    assert credentials.open_embed_secret(embed) == "s3cr3t-of-the-app"
    assert b"s3cr3t" not in bytes(embed.sealed_secret)
    assert "s3cr3t" not in client.get(where(hubspot)).content.decode()
    assert "s3cr3t" not in str(list(AuditEntry.objects.values()))


def test_a_key_is_shown_once_and_two_are_good_at_a_time(page_of, alice, salesforce):
    client = page_of(alice)
    page = client.post(where(salesforce, "/keys")).content.decode()
    key = re.search(r'value="(emb_[\w-]{40,})"', page)[1]
    assert key not in client.get(where(salesforce)).content.decode()
    assert key not in str(EmbedKey.objects.values().get())
    client.post(where(salesforce, "/keys"))
    assert client.post(where(salesforce, "/keys")).status_code == 422
    first = EmbedKey.objects.order_by("made_at").first()
    client.post(where(salesforce, f"/keys/{ids.text(first.pk)}/revoke"))
    assert EmbedKey.objects.good().count() == 1
    assert client.post(where(salesforce, "/keys")).status_code == 200


def test_the_pages_of_a_salesforce_sandbox_are_its_own(salesforce):
    origins = embeds.origins(salesforce, embeds.of(salesforce))
    assert origins == (
        "https://aurora--uat.sandbox.lightning.force.com",
        "https://aurora--uat.sandbox.my.salesforce.com",
    )


def test_the_pages_of_a_zoho_organisation_are_those_of_its_data_centre(workspace):
    zoho = make_connection(workspace, "zoho", account_id="7", options={"data_centre": "eu"})
    assert embeds.origins(zoho, embeds.of(zoho)) == ("https://crm.zoho.eu",)


def test_a_removed_connection_leaves_no_key_and_no_secret(salesforce):
    embeds.change(salesforce, embeds.Wanted(shown_to="agents", secret="x"), "test")
    embeds.turn_on(salesforce, "test")
    embeds.make_key(salesforce, "test")
    connections.remove(salesforce, "test")
    embed = Embed.objects.get()
    assert (embed.turned_on_at, embed.sealed_secret) == (None, None)
    assert not EmbedKey.objects.good().exists()


def test_a_number_has_no_panel(page_of, alice, connection):
    assert page_of(alice).get(where(connection)).status_code == 404
    shown = page_of(alice).get(f"/integrations/{ids.text(connection.pk)}").content.decode()
    assert "Panel in the CRM" not in shown
