"""Who is let in: by token, scope, role and pace."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client

from acervo.api import access
from acervo.base import clock
from acervo.govern import api_tokens
from acervo.govern.api_tokens import TokenWish
from acervo.models import ApiToken, AuditEntry, Member, Role

pytestmark = pytest.mark.django_db
PROBLEM = "application/problem+json"


@pytest.fixture
def later(monkeypatch):
    def pass_by(**time):
        at = clock.now() + timedelta(**time)
        monkeypatch.setattr(clock, "now", lambda: at)

    return pass_by


def test_a_token_is_told_what_it_may_do(program_of, alice):
    answer = program_of(alice, "media:read", role="agent").get("/me")
    assert answer.status_code == 200
    told = answer.json()
    assert (told["scopes"], told["role"], told["workspace"]) == (["media:read"], "agent", "Telecom Aurora")


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer acv_", "Bearer acv_" + "x" * 43, "Basic YTpi", "acv_" + "x" * 43]
)
def test_whoever_has_no_token_is_told_what_to_send(header, db):
    answer = Client().get("/api/v1/me", headers={"Authorization": header} if header is not None else {})
    assert (answer.status_code, answer["Content-Type"]) == (401, PROBLEM)
    assert answer.json()["code"] == "token_invalid"
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_a_session_of_a_browser_opens_nothing_here(alice):
    client = Client()
    client.force_login(alice)
    assert client.get("/api/v1/media").status_code == 401


def test_a_token_that_was_taken_back_opens_nothing(program_of, alice):
    program = program_of(alice)
    assert api_tokens.revoke(program.row, "test")
    assert program.get("/me").status_code == 401
    assert not api_tokens.revoke(program.row, "test"), "once"


def test_a_token_ends_by_itself(program_of, alice, later):
    program = program_of(alice, lasts="30d")
    later(days=29, hours=23)
    assert program.get("/me").status_code == 200
    later(hours=2)
    assert program.get("/me").status_code == 401


def test_whoever_is_locked_out_takes_their_tokens_along(program_of, alice):
    program = program_of(alice)
    Member.objects.filter(pk=alice.pk).update(is_active=False)
    assert program.get("/me").status_code == 401


def test_the_token_itself_is_nowhere(program_of, alice):
    program = program_of(alice)
    row = ApiToken.objects.get(pk=program.row.pk)
    kept = [str(getattr(row, field.name)) for field in row._meta.fields]
    assert not any(program.token in value for value in kept)
    said = AuditEntry.objects.get(action="api_token.made")
    assert program.token[4:12] not in str(said.details)
    assert said.details["scopes"] == list(access.Scope.values)


def test_each_door_wants_its_scope(program_of, alice):
    answer = program_of(alice, "people:read").get("/media")
    assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")
    assert 'scope="media:read"' in answer["WWW-Authenticate"]
    assert "media:read" in answer.json()["detail"]


def test_a_scope_does_not_widen_a_role(program_of, bob):
    answer = program_of(bob).get("/connections")
    assert (answer.status_code, answer.json()["code"]) == (403, "role_too_narrow")


def test_a_token_may_be_narrower_than_its_member(program_of, alice):
    assert program_of(alice).get("/connections").status_code == 200
    assert program_of(alice, role="agent").get("/connections").status_code == 403
    assert Member.objects.get(pk=alice.pk).role == Role.ADMINISTRATOR


@pytest.mark.parametrize("role", ["administrator", "dpo", "auditor", "agent"])
def test_no_token_is_wider_than_its_member(bob, role):
    with pytest.raises(api_tokens.RoleTooWide):
        api_tokens.make(bob, TokenWish("x", ["media:read"], "30d", role=role))


def test_a_member_who_loses_a_role_loses_it_for_their_tokens(program_of, alice):
    program = program_of(alice, role="dpo")
    assert program.get("/me").json()["role"] == "dpo"
    Member.objects.filter(pk=alice.pk).update(role=Role.AGENT)
    assert program.get("/me").json()["role"] == "agent"


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        (TokenWish(" ", ["media:read"], "30d"), "token_name_missing"),
        (TokenWish("x", [], "30d"), "token_scope_missing"),
        (TokenWish("x", ["media:read", "all"], "30d"), "token_scope_missing"),
        (TokenWish("x", ["media:read"], "1000d"), "token_end_unknown"),
        (TokenWish("x", ["media:read"], "endless"), "token_end_unknown"),
    ],
)
def test_a_wish_that_makes_no_sense_makes_no_token(bob, wish, code):
    with pytest.raises(api_tokens.Refused) as refused:
        api_tokens.make(bob, wish)
    assert refused.value.code == code
    assert not ApiToken.objects.exists()


def test_only_so_many_tokens_are_in_use(bob, monkeypatch):
    monkeypatch.setattr(api_tokens, "MOST_LIVE", 1)
    row, _token = api_tokens.make(bob, TokenWish("x", ["media:read"], "30d"))
    with pytest.raises(api_tokens.TooManyTokens):
        api_tokens.make(bob, TokenWish("y", ["media:read"], "30d"))
    api_tokens.revoke(row, "test")
    api_tokens.make(bob, TokenWish("y", ["media:read"], "30d"))


def test_a_token_that_asks_too_often_waits(program_of, alice, monkeypatch, later):
    later(seconds=0)  # the clock stands still
    monkeypatch.setattr(access, "REQUESTS_A_WINDOW", 2)
    program, other = program_of(alice), program_of(alice)
    first, second, third = (program.get("/me") for _ in range(3))
    assert (first["RateLimit"], second["RateLimit"]) == ('"token";r=1;t=60', '"token";r=0;t=60')
    assert (third.status_code, third["Retry-After"], third["Content-Type"]) == (429, "60", PROBLEM)
    assert third["RateLimit"] == '"token";r=0;t=60'
    assert other.get("/me").status_code == 200, "each token for itself"
    later(seconds=61)
    assert program.get("/me").status_code == 200


def test_the_policy_is_told_with_every_answer(program_of, alice):
    program = program_of(alice)
    for answer in (program.get("/me"), program.get("/media/nonsense"), program.get("/connections")):
        assert answer["RateLimit-Policy"] == '"token";q=600;w=60'


def test_the_last_use_is_known(program_of, alice, later):
    program = program_of(alice)
    assert ApiToken.objects.get(pk=program.row.pk).last_used_at is None
    program.get("/me")
    assert ApiToken.objects.get(pk=program.row.pk).last_used_at is not None
