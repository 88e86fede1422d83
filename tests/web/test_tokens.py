"""Tokens on their page: made, shown once, looked over, taken back."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from acervo.govern import api_tokens
from acervo.govern.api_tokens import TokenWish
from acervo.models import ApiToken, AuditEntry, by_member

pytestmark = pytest.mark.django_db
WHERE = "/settings/tokens"


def make(client, **sent):
    return client.post(WHERE, {"name": "n8n", "scopes": ["media:read"], "lasts": "90d", **sent})


def test_nobody_has_a_token_yet(page_of, bob):
    assert "No program has a token" in page_of(bob).get(WHERE).content.decode()


def test_a_token_is_shown_once_and_works(page_of, alice):
    client = page_of(alice)
    shown = make(client, role="agent").content.decode()
    (token,) = set(re.findall(r"acv_[A-Za-z0-9_-]{43}", shown))
    told = Client().get("/api/v1/me", headers={"Authorization": f"Bearer {token}"}).json()
    assert (told["name"], told["scopes"], told["role"]) == ("n8n", ["media:read"], "agent")
    again = client.get(WHERE).content.decode()
    assert token not in again
    assert token[:10] in again
    assert AuditEntry.objects.get(action="api_token.made").by == by_member(alice)


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"name": " "}, "Say what the token is for"),
        ({"scopes": []}, "Choose at least one thing"),
        ({"role": "administrator"}, "cannot have more rights"),
        ({"lasts": "endless"}, "one of the times that are offered"),
    ],
)
def test_a_wish_that_makes_no_sense_is_told_and_keeps_what_was_typed(page_of, bob, sent, said):
    answer = make(page_of(bob), **({"name": "Relatório"} | sent))
    assert answer.status_code == 422
    shown = answer.content.decode()
    assert said in shown
    assert not re.search(r"acv_[A-Za-z0-9_-]{43}", shown)
    if "name" not in sent:
        assert 'value="Relatório"' in shown
    assert not ApiToken.objects.exists()


def test_a_token_is_taken_back(page_of, alice):
    client = page_of(alice)
    row, token = api_tokens.make(alice, TokenWish("n8n", ["media:read"], "30d"))
    answer = client.post(f"{WHERE}/{row}/revoke", follow=True).content.decode()
    assert "n8n is taken back" in answer
    assert "Earlier tokens" in answer
    assert Client().get("/api/v1/me", headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_members_see_their_own_and_whoever_connects_systems_sees_all(page_of, alice, bob, charlie):
    api_tokens.make(alice, TokenWish("Of Alice", ["media:read"], "30d"))
    api_tokens.make(bob, TokenWish("Of Bob", ["media:read"], "30d"))
    agent, administrator = (page_of(member).get(WHERE).content.decode() for member in (bob, alice))
    assert "Of Bob" in agent
    assert "Of Alice" not in agent
    assert "Of Bob" in administrator
    assert "Of Alice" in administrator
    assert "Of Bob" not in page_of(charlie).get(WHERE).content.decode()


def test_an_agent_cannot_take_back_what_is_not_theirs(page_of, alice, bob):
    row, _token = api_tokens.make(alice, TokenWish("Of Alice", ["media:read"], "30d"))
    assert page_of(bob).post(f"{WHERE}/{row}/revoke").status_code == 404
    assert ApiToken.objects.live(row.made_at).filter(pk=row.pk).exists()


def test_only_who_connects_systems_may_make_one_without_an_end(page_of, alice, bob):
    assert 'value="endless"' in page_of(alice).get(WHERE).content.decode()
    assert 'value="endless"' not in page_of(bob).get(WHERE).content.decode()
    make(page_of(alice), lasts="endless")
    assert ApiToken.objects.get().expires_at is None


def test_the_reference_tells_every_operation(page_of, bob):
    shown = page_of(bob).get(f"{WHERE}/reference").content.decode()
    for told in ("GET /api/v1/media", "POST /api/v1/media/{media}/link", "media:write", "MediaInFull"):
        assert told in shown


def test_a_history_names_the_program(page_of, alice, kept_file):
    _row, token = api_tokens.make(alice, TokenWish("Planilha", ["media:write"], "30d"))
    media = kept_file()
    Client().post(
        f"/api/v1/media/{media.slug}/tags",
        {"names": ["defeito"]},
        "application/json",
        headers={"Authorization": f"Bearer {token}"},
    )
    shown = page_of(alice).get(f"/m/{media.slug}").content.decode()
    assert "Tagged" in shown
    assert "Planilha" in shown


def test_tags_are_put_on_and_taken_off_on_the_page_of_the_file(page_of, bob, kept_file):
    media, client = kept_file(), page_of(bob)
    client.post(f"/m/{media.slug}/tags", {"names": "defeito, garantia ,,"})
    shown = client.get(f"/m/{media.slug}").content.decode()
    assert 'href="/library?tag=defeito"' in shown
    assert 'href="/library?tag=garantia"' in shown
    client.post(f"/m/{media.slug}/tags/take-off", {"name": "defeito"})
    shown = client.get(f"/m/{media.slug}").content.decode()
    assert "/library?tag=defeito" not in shown
    refused = client.post(f"/m/{media.slug}/tags", {"names": "a;b"}, follow=True).content.decode()
    assert "without a semicolon" in refused
    library = client.get("/library?tag=garantia").content.decode()
    assert f"/m/{media.slug}" in library
    assert "Remove the filter Tag garantia" in library


def test_an_auditor_reads_tags_and_changes_none(page_of, everybody, kept_file):
    media, client = kept_file(), page_of(everybody["auditor"])
    assert 'name="names"' not in client.get(f"/m/{media.slug}").content.decode()
    assert client.post(f"/m/{media.slug}/tags", {"names": "x"}).status_code == 403
