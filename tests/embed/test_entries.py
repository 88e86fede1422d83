"""The ways into the panel: what a CRM proves opens it once, for its own account; everything else is refused with a word."""

from __future__ import annotations

import json
from datetime import timedelta
from urllib.parse import quote

import pytest
from django.conf import settings
from django.test import Client

from acervo.base import clock, ids
from acervo.govern import connections, embeds
from acervo.models import AuditEntry, EmbedAgent, EmbedSession
from tests.conftest import make_connection
from tests.embed.conftest import opened, switch_on, tie
from tests.embed.crm import claims, hubspot_headers, jwt, public_pem, rsa_key


def now() -> float:
    return clock.now().timestamp()


@pytest.fixture
def later(monkeypatch):
    """Time stands still but for what passes by: a slow machine is no reason for a link to end."""
    began = clock.now()
    monkeypatch.setattr(clock, "now", lambda: began)

    def pass_by(**time):
        monkeypatch.setattr(clock, "now", lambda: began + timedelta(**time))

    return pass_by


# ── Zendesk: a signed first request ──


def test_what_zendesk_signed_opens_the_panel_and_is_written_down(in_zendesk, zendesk):
    opened(in_zendesk())
    agent = EmbedAgent.objects.get(connection=zendesk)
    assert agent.agent_id == "901"
    entry = AuditEntry.objects.get(action="embed.opened")
    assert (entry.by, entry.details["agent"]) == (agent.author, "901")


def test_the_page_is_framed_by_this_account_alone_and_kept_by_nobody(in_zendesk):
    answer = in_zendesk()
    policy = answer["Content-Security-Policy"]
    assert policy.endswith("frame-ancestors https://aurora.zendesk.com")
    assert "*" not in policy
    assert "unsafe" not in policy
    assert "X-Frame-Options" not in answer
    assert answer["Cache-Control"] == "private, no-store"
    assert answer["Referrer-Policy"] == "no-referrer"
    assert not answer.cookies


def test_the_token_stands_in_the_page_and_only_its_digest_in_the_database(in_zendesk):
    panel = opened(in_zendesk())
    row = EmbedSession.objects.get()
    assert panel.token not in str(EmbedSession.objects.values().get())
    assert row.token_sha256


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("alg none", "embed_unproven"),
        ("alg None", "embed_unproven"),
        ("public key as secret", "embed_unproven"),
        ("another key", "embed_unproven"),
        ("changed", "embed_unproven"),
        ("nothing", "embed_unproven"),
        ("no json", "embed_unproven"),
        ("expired", "embed_stale"),
        ("made long ago", "embed_stale"),
        ("from the future", "embed_stale"),
        ("without an end", "embed_unproven"),
        ("without a beginning", "embed_unproven"),
        ("no number", "embed_unproven"),
        ("for ever", "embed_unproven"),
        ("beyond all time", "embed_unproven"),
        ("another installation", "embed_of_another_account"),
        ("another account", "embed_of_another_account"),
        ("another issuer", "embed_of_another_account"),
        ("nobody", "embed_unproven"),
    ],
)
def test_everything_else_is_refused_with_a_word(in_zendesk, what, code):
    told = claims(now())
    changed = jwt(told).split(".")
    changed[1] = jwt(claims(now(), sub="https://aurora.zendesk.com/api/v2/users/1.json")).split(".")[1]
    tokens = {
        "alg none": jwt(told, alg="none"),
        "alg None": jwt(told, alg="None"),
        "public key as secret": jwt(told, alg="HS256"),
        "another key": jwt(told, key=rsa_key("theirs")),
        "changed": ".".join(changed),
        "nothing": "",
        "no json": "e30.e30.AAAA",
        "expired": jwt(claims(now(), exp=int(now()) - 61)),
        "made long ago": jwt(claims(now(), iat=int(now()) - 361, exp=int(now()) + 9999)),
        "from the future": jwt(claims(now(), iat=int(now()) + 120)),
        "without an end": jwt(claims(now(), exp=None)),
        "without a beginning": jwt(claims(now(), iat=None)),
        "no number": jwt(claims(now(), iat=float("nan"), exp=float("nan"))),
        "for ever": jwt(claims(now(), exp=float("inf"))),
        "beyond all time": jwt(claims(now(), exp=10**400)),
        "another installation": jwt(claims(now(), installation="4712")),
        "another account": jwt(claims(now(), subdomain="boreal")),
        "another issuer": jwt(claims(now(), iss="boreal.zendesk.com")),
        "nobody": jwt(claims(now(), sub="")),
    }
    answer = in_zendesk(tokens[what])
    assert answer.status_code == 403
    page = answer.content.decode()
    assert f"<code>{code}</code>" in page
    assert "embed-token" not in page
    assert not EmbedSession.objects.exists()
    assert answer["Content-Security-Policy"].endswith("frame-ancestors https://aurora.zendesk.com")


def test_a_token_counts_once_however_it_is_written(in_zendesk):
    token = jwt(claims(now()))
    assert in_zendesk(token).status_code == 200
    # Spare bits at the end of base64 mean nothing to the signature, and must not make a second proof.
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".index(token[-1])
    twin = token[:-1] + "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[last ^ 1]
    for again in (token, twin):
        answer = in_zendesk(again)
        assert answer.status_code == 403
        assert "<code>embed_replayed</code>" in answer.content.decode()


def test_a_token_of_one_account_opens_no_other(in_zendesk, other_workspace):
    theirs = make_connection(
        other_workspace, "zendesk", account_id="boreal", name="Boreal", options={"subdomain": "boreal"}
    )
    switch_on(theirs, app_id="4711", public_key=public_pem(rsa_key()))
    answer = in_zendesk(account=theirs)
    assert "<code>embed_of_another_account</code>" in answer.content.decode()


def test_opened_by_hand_the_page_says_where_it_belongs(zendesk):
    answer = Client().get(f"/embed/{ids.text(zendesk.pk)}/page")
    assert answer.status_code == 403
    assert 'target="_blank"' in answer.content.decode()


def test_a_panel_that_is_off_opens_for_nobody_and_says_so(in_zendesk, zendesk):
    panel = opened(in_zendesk())
    embeds.turn_off(zendesk, "test")
    assert "<code>embed_off</code>" in in_zendesk().content.decode()
    assert panel.ask("files", record="contact:1").status_code == 401


def test_an_app_without_its_key_is_told_so(in_zendesk, zendesk):
    embeds.change(zendesk, embeds.Wanted(shown_to="agents", app_id="4711"), "test")
    assert "<code>embed_not_set_up</code>" in in_zendesk().content.decode()


def test_a_removed_connection_has_no_panel(in_zendesk, zendesk):
    panel = opened(in_zendesk())
    connections.remove(zendesk, "test")
    assert in_zendesk().status_code == 404
    assert panel.ask("renew", "post").status_code == 401


def test_the_panel_speaks_the_language_of_the_agents_browser(zendesk):
    address = f"/embed/{ids.text(zendesk.pk)}/page"
    for asked, lang in (("es-MX,es;q=0.9", "es"), ("pt-PT", "pt-br"), ("fr", zendesk.workspace.language)):
        page = Client().get(address, HTTP_ACCEPT_LANGUAGE=asked).content.decode()
        assert f'<html lang="{lang}"' in page


# ── a key, and links that open once ──


@pytest.fixture
def key(salesforce):
    return embeds.make_key(salesforce, "test")


def ask_link(account, key, **changed):
    told = {
        "object": "Contact",
        "record": "003000000000001AAA",
        "user": {"id": "005000000000001AAA", "email": "ana@example.com", "name": "Ana"},
        **changed,
    }
    return Client().post(
        f"/embed/{ids.text(account.pk)}/link",
        json.dumps(told),
        content_type="application/json",
        HTTP_AUTHORIZATION=f"Bearer {key}",
    )


@pytest.mark.parametrize("odd", ["\u0000", "\ud800", "a\u0000b"])
def test_text_that_no_database_takes_is_refused_or_left_out(salesforce, key, odd):
    """A user is who they are by the id; an odd name or address is none."""
    user = {"id": "005000000000001AAA", "email": "ana@example.com", "name": "Ana"}
    for name in ("record", "object"):
        assert ask_link(salesforce, key, **{name: odd}).status_code == 403
    for odd_id in (odd, True, ["1"], ""):
        told = ask_link(salesforce, key, user={**user, "id": odd_id})
        assert told.json()["error"] == "embed_unreadable"
    assert ask_link(salesforce, key, user={**user, "email": odd, "name": odd}).status_code == 200
    agent = EmbedAgent.objects.get()
    assert (agent.email, agent.name) == ("", "")


def test_a_key_gets_a_link_that_opens_one_panel(salesforce, key):
    answer = ask_link(salesforce, key)
    address = answer.json()["url"]
    assert address.startswith(f"{settings.ACERVO_BASE_URL}/embed/open/")
    path = address.removeprefix(settings.ACERVO_BASE_URL)
    first = Client().get(path)
    opened(first)
    origins = "https://aurora.lightning.force.com https://aurora.my.salesforce.com"
    assert first["Content-Security-Policy"].endswith(f"frame-ancestors {origins}")
    assert Client().get(path).status_code == 404
    row = EmbedSession.objects.get()
    assert (row.object_type, row.record_id) == ("contact", "003000000000001AAA")
    assert (row.agent.name, row.agent.email) == ("Ana", "ana@example.com")


def test_a_link_is_good_for_a_minute(salesforce, key, later):
    path = ask_link(salesforce, key).json()["url"].removeprefix(settings.ACERVO_BASE_URL)
    later(seconds=61)
    assert Client().get(path).status_code == 404


def test_a_wrong_a_revoked_and_another_accounts_key_are_like_none(salesforce, key, workspace):
    other = make_connection(workspace, "zoho", account_id="77", name="Zoho", options={"data_centre": "us"})
    switch_on(other)
    for wrong in ("", "emb_x", key[:-1], embeds.make_key(other, "test")):
        answer = ask_link(salesforce, wrong)
        assert (answer.status_code, answer.json()["error"]) == (403, "embed_unproven")
    embeds.revoke_key(salesforce.embed_keys.get(), "test")
    assert ask_link(salesforce, key).status_code == 403
    assert not EmbedSession.objects.exists()


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"object": "Account"}, "embed_unknown_record"),
        ({"record": ""}, "embed_unreadable"),
        ({"record": "x' OR 1=1"}, "embed_unreadable"),
        ({"user": {}}, "embed_unreadable"),
        ({"user": "ana"}, "embed_unreadable"),
        ({"user": {"id": "9" * 300}}, "embed_unreadable"),
    ],
)
def test_a_request_that_lacks_something_is_told_so(salesforce, key, changed, code):
    answer = ask_link(salesforce, key, **changed)
    assert (answer.status_code, answer.json()["error"]) == (403, code)
    assert answer.json()["message"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"null", b"[" * 5000, b"x" * 20_000])
def test_what_is_no_request_is_told_so(salesforce, key, body):
    answer = Client().post(
        f"/embed/{ids.text(salesforce.pk)}/link",
        body,
        content_type="application/json",
        HTTP_AUTHORIZATION=f"Bearer {key}",
    )
    assert answer.json()["error"] == "embed_unreadable"


def test_each_way_in_is_for_its_own_crm(zendesk, salesforce, hubspot):
    for account, ways in (
        (zendesk, ("fetch", "link")),
        (salesforce, ("page", "fetch")),
        (hubspot, ("page", "link")),
    ):
        for way in ways:
            assert Client().post(f"/embed/{ids.text(account.pk)}/{way}").status_code == 404


# ── HubSpot: a signed fetch ──

QUERY = "objectTypeId=0-1&objectId=801&portalId=4242&userId=7&userEmail=ana%40example.com&appId=99"


@pytest.fixture
def fetch(hubspot):
    def ask(query=QUERY, *, method="GET", at=None, secret="s3cr3t-of-the-app", signed=None):
        path = f"/embed/{ids.text(hubspot.pk)}/fetch?{query}"
        as_signed = settings.ACERVO_BASE_URL + (signed or path).replace("%40", "@")
        headers = hubspot_headers(method, as_signed, now() if at is None else at, secret=secret)
        return Client().generic(method, path, headers=headers)

    return ask


def test_what_hubspot_signed_gets_the_newest_files_in_words(fetch, hubspot, customer, kept_file):
    tie(hubspot, "801", person=customer)
    media = kept_file(person=customer, caption="a luz pisca")
    told = fetch().json()
    assert (told["state"], told["total"]) == ("files", 1)
    assert told["files"][0]["id"] == media.slug
    assert told["files"][0]["text"] == "a luz pisca"
    assert "/play/" not in json.dumps(told)


def test_asked_for_it_gives_a_link_that_opens_the_panel(fetch, hubspot, customer, kept_file):
    tie(hubspot, "801", person=customer)
    kept_file(person=customer)
    address = fetch(QUERY + "&open=1").json()["url"]
    answer = Client().get(address.removeprefix(settings.ACERVO_BASE_URL))
    opened(answer)
    assert answer["Content-Security-Policy"].endswith("frame-ancestors https://app.hubspot.com")
    assert EmbedSession.objects.get(opened_at__isnull=False).agent.email == "ana@example.com"


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ({"secret": "another"}, "embed_unproven"),
        ({"secret": ""}, "embed_unproven"),
        ({"signed": "/embed/elsewhere"}, "embed_unproven"),
        ({"at": -301}, "embed_stale"),
        ({"at": 120}, "embed_stale"),
        ({"query": QUERY.replace("4242", "4243")}, "embed_of_another_account"),
        ({"query": QUERY.replace("appId=99", "appId=98")}, "embed_of_another_account"),
        ({"query": QUERY + "&portalId=1"}, "embed_of_another_account"),
        ({"query": QUERY.replace("userId=7&", "")}, "embed_unproven"),
        ({"query": QUERY.replace("0-1", "0-2")}, "embed_unknown_record"),
    ],
)
def test_everything_else_of_hubspot_is_refused_with_a_word(fetch, what, code):
    if "at" in what:
        what = {"at": now() + what["at"]}
    answer = fetch(**what)
    assert (answer.status_code, answer.json()["error"]) == (403, code)
    assert not EmbedSession.objects.exists()


def test_a_call_of_hubspot_counts_once(fetch):
    at = now()
    assert fetch(at=at).status_code == 200
    assert fetch(at=at).json()["error"] == "embed_replayed"


def test_a_changed_address_is_not_what_was_signed(fetch, hubspot):
    signed = f"/embed/{ids.text(hubspot.pk)}/fetch?{QUERY}"
    answer = fetch(QUERY.replace("801", "802"), signed=signed)
    assert answer.json()["error"] == "embed_unproven"


def test_escapes_are_taken_back_as_hubspot_takes_them_back():
    from acervo.crms.hubspot.embedding import signed_address

    assert signed_address("https://a/b?c=" + quote(":/?@!$'()*,;", safe="")) == "https://a/b?c=:/?@!$'()*,;"
    assert signed_address("https://a/b?c=%20%25%26%2f") == "https://a/b?c=%20%25%26/"
