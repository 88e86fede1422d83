"""Short links: bytes without a cookie, for one holder, one file and one kind, and not for long."""

from __future__ import annotations

from datetime import timedelta

import pytest

from acervo.base import clock, ids
from acervo.models import AuditEntry, RenditionKind
from acervo.play import links
from acervo.play.holder import Holder
from tests.play.test_door import make_rendition, play

pytestmark = pytest.mark.usefixtures("one_connection")

BODY = b"OggS a note for whoever holds the link"


@pytest.fixture
def media(kept_file):
    return kept_file(body=BODY)


@pytest.fixture
def later(monkeypatch):
    def pass_by(seconds):
        at = clock.now() + timedelta(seconds=seconds)
        monkeypatch.setattr(clock, "now", lambda: at)

    return pass_by


def test_a_link_opens_the_file_without_a_cookie_and_is_noted(ask, alice, media):
    answer = ask(None, links.mint(alice, media, "original"), range="bytes=5-5")
    assert (answer.status_code, answer.content) == (206, b"a")
    entry = AuditEntry.objects.of("file", media.pk).get(action="file.played")
    assert entry.by == f"member:{ids.text(alice.pk)}"


def test_a_link_may_be_opened_as_often_as_a_player_asks(ask, alice, media):
    address = links.mint(alice, media, "original")
    assert b"".join(ask(None, address, range=f"bytes={at}-{at}").content for at in range(4)) == b"OggS"


def test_a_link_ends_by_itself(ask, alice, media, later):
    address = links.mint(alice, media, "original")
    later(links.LIVES_S - 1)
    assert ask(None, address).status_code == 200
    later(links.LIVES_S)
    assert ask(None, address).status_code == 404


@pytest.mark.parametrize("lives_s", [0, -1, links.MOST_LIVES_S + 1])
def test_no_link_lives_longer_than_an_hour(alice, media, lives_s):
    with pytest.raises(ValueError, match="lives"):
        links.mint(alice, media, "original", lives_s=lives_s)


def test_every_other_key_is_like_none(ask, alice, bob, media, kept_file):
    make_rendition(media, RenditionKind.MP3, b"ID3", "audio/mpeg")
    other = kept_file(body=b"another")
    key = links.mint(alice, media, "original").partition("?key=")[2]
    nothing = ask(None, play(media))
    tampered = [key[:at] + ("A" if key[at] != "A" else "B") + key[at + 1 :] for at in range(len(key))]
    swapped = key.replace(ids.text(alice.pk), ids.text(bob.pk))
    for wrong in [*tampered, swapped, "", "x", key[:-1], key + "A", "%00", ":" * 5, "member:x:1:2"]:
        answer = ask(None, f"{play(media)}?key={wrong}")
        assert (answer.status_code, answer.content) == (404, nothing.content), wrong
    assert ask(None, f"{play(other)}?key={key}").status_code == 404
    assert ask(None, f"{play(media, 'mp3')}?key={key}").status_code == 404
    assert ask(None, f"{play(media)}?key={key}").status_code == 200


def test_a_key_that_is_wrong_is_not_helped_by_a_cookie(ask, alice, media):
    assert ask(alice, f"{play(media)}?key=x").status_code == 404


def test_a_member_who_left_leaves_no_link_behind(ask, alice, media):
    address = links.mint(alice, media, "original")
    alice.is_active = False
    alice.save()
    assert ask(None, address).status_code == 404


def test_a_narrowed_team_closes_the_links_of_its_agents(ask, bob, team, media):
    address = links.mint(bob, media, "original")
    assert ask(None, address).status_code == 200
    team.kinds = ["document"]
    team.save()
    assert ask(None, address).status_code == 404


def test_a_link_to_what_its_holder_may_not_see_is_worth_nothing(ask, charlie, media):
    assert ask(None, links.mint(charlie, media, "original")).status_code == 404


def test_other_holders_count_once_somebody_knows_them(ask, alice, media, monkeypatch):
    address = links.mint("token:01J00000000000000000000000", media, "original")
    assert ask(None, address).status_code == 404
    known = {"01J00000000000000000000000": Holder.of(alice)}
    monkeypatch.setitem(links.HOLDERS, "token", known.get)
    assert ask(None, address).content == BODY
    known.clear()
    assert ask(None, address).status_code == 404
