"""How far something was heard: one entry a listening, told by our own player, and never more than there is to hear."""

from __future__ import annotations

import json

import pytest

from acervo.base import ids
from acervo.models import AuditEntry

pytestmark = pytest.mark.usefixtures("one_connection")

OURS = {"sec_fetch_site": "same-origin"}
TOLD = {
    "listening": "0123456789abcdef",
    "what": "original",
    "heard_s": 42.04,
    "reached_s": 61.5,
    "of_s": 70.0,
}


@pytest.fixture
def media(kept_file):
    return kept_file(duration_s=70.2)


@pytest.fixture
def tell(ask):
    """`tell(alice, media, heard_s=3)`: the beacon of a player, told right unless said otherwise."""

    def told(member, media, *, headers=OURS, body=None, **facts):
        sent = json.dumps(TOLD | facts).encode() if body is None else body
        return ask(member, f"/play/{media.slug}/heard", "POST", sent, **headers).status_code

    return told


def entries(media, action="file.heard"):
    return list(AuditEntry.objects.of("file", media.pk).filter(action=action).order_by("number"))


def test_a_listening_is_written_down_once(tell, alice, bob, media):
    assert [tell(alice, media) for _ in range(3)] == [204] * 3
    assert tell(alice, media, listening="another-listening") == 204
    assert tell(bob, media) == 204
    found = entries(media)
    assert [entry.by for entry in found] == [f"member:{ids.text(who.pk)}" for who in (alice, alice, bob)]
    assert found[0].details == TOLD | {"heard_s": 42.0, "of_s": 70.2}


def test_a_film_is_watched(tell, alice, kept_file):
    film = kept_file(kind="video", mime="video/mp4", duration_s=10.0)
    tell(alice, film, what="mp4")
    assert [entry.details["what"] for entry in entries(film, "file.watched")] == ["mp4"]


def test_nobody_hears_more_than_there_is(tell, alice, media, kept_file):
    tell(alice, media, heard_s=1e308, reached_s=10**900, of_s=5)
    endless = kept_file(duration_s=None)
    tell(alice, endless, heard_s=-5, reached_s=9, of_s=3)
    tell(alice, endless, listening="the-second-one", heard_s=7, reached_s=9, of_s=3)
    assert [(e.details["heard_s"], e.details["reached_s"]) for e in entries(media)] == [(70.2, 70.2)]
    assert [(e.details["heard_s"], e.details["of_s"]) for e in entries(endless)] == [(3.0, 3.0)]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec_fetch_site": "cross-site", "origin": "http://test"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "none"},
        {"origin": "https://elsewhere.example"},
        {"origin": "null"},
    ],
)
def test_only_pages_of_ours_may_tell(tell, alice, media, headers):
    assert tell(alice, media, headers=headers) == 403
    assert not entries(media)


def test_a_browser_that_says_only_its_origin_is_believed(tell, alice, media):
    assert tell(alice, media, headers={"origin": "http://test"}) == 204
    assert entries(media)


def test_strangers_tell_nothing(tell, charlie, bob, team, media, kept_file):
    hidden = kept_file(kind="document", mime="application/pdf")
    assert [tell(None, media), tell(charlie, media), tell(bob, hidden)] == [404] * 3
    assert not AuditEntry.objects.filter(action="file.heard").exists()


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b"\xff", b"[" * 1000, b'{"listening": "0123456789"}',
        json.dumps(TOLD | {"heard_s": "42"}).encode(), json.dumps(TOLD | {"heard_s": True}).encode(),
        json.dumps(TOLD | {"heard_s": float("nan")}).encode(), json.dumps(TOLD | {"heard_s": None}).encode(),
        json.dumps(TOLD | {"what": "poster"}).encode(), json.dumps(TOLD | {"listening": "x; y"}).encode(),
        json.dumps(TOLD | {"listening": "a" * 41}).encode(),
    ],
)  # fmt: skip
def test_what_no_player_sends_is_refused(tell, alice, media, body):
    assert tell(alice, media, body=body) == 400
    assert not entries(media)


def test_more_than_a_player_sends_is_not_even_read(tell, alice, media):
    assert tell(alice, media, body=b" " * 1025) == 413


def test_the_audit_cannot_be_flooded(tell, alice, bob, media):
    answers = [tell(alice, media, listening=f"listening-{number}") for number in range(65)]
    assert answers == [204] * 60 + [429] * 5
    assert tell(bob, media) == 204


def test_the_history_says_how_far(tell, alice, media, client):
    tell(alice, media)
    client.force_login(alice)
    page = client.get(f"/m/{media.slug}").content.decode()
    assert "<p>Heard<small>Alice</small><small>0:42 of 1:10</small></p>" in page
