"""The library's address as a wish: kindly for a page, strictly where nobody reads what it made of it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.http import QueryDict
from django.test import override_settings
from django.utils import timezone

from acervo.base import clock, ids
from acervo.models import MediaFile, Person
from acervo.organise.address import Asked, UnknownWord, found_in, settled
from tests.conftest import make_connection, make_file, make_person


def test_a_page_reads_an_address_kindly():
    asked = Asked.read(QueryDict("kind=video&kind=nonsense&q= Olá &from=2026-13-01&person=x&view=list"))
    assert asked == Asked(text="Olá", kinds=("video",))


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("kinds=video", "kinds"),
        ("kind=movie", "kind=movie"),
        ("from=yesterday", "from=yesterday"),
        ("person=somebody", "person=somebody"),
        ("channel=x", "channel=x"),
        ("crm=perhaps", "crm=perhaps"),
        ("capture=1", "capture=1"),
        ("received=1h", "received=1h"),
        ("video", "video"),
        ("/m/01J0000000000000000000000X", "/m/01J0000000000000000000000X"),
        ("https://acervo.example.com/contacts?q=x", "/contacts"),
    ],
)
def test_work_without_a_reader_refuses_what_would_not_narrow_and_names_it(query, word):
    with pytest.raises(UnknownWord) as refused:
        Asked.strictly(query)
    assert refused.value.word == word
    assert word in str(refused.value)


def test_an_endless_query_is_refused_rather_than_read():
    with pytest.raises(UnknownWord):
        Asked.strictly("q=" + "x" * 5000)
    with pytest.raises(UnknownWord):
        Asked.strictly("&".join(f"a{n}=1" for n in range(400)) + "&a" * 600)


@pytest.mark.parametrize(
    "address",
    ["kind=video&q=caixa", "?kind=video&q=caixa", "/library?kind=video&q=caixa&view=list&after=1-x",
     "https://acervo.example.com/library?kind=video&q=caixa"],
)  # fmt: skip
def test_a_whole_address_can_be_pasted(address):
    assert Asked.strictly(address) == Asked(text="caixa", kinds=("video",))
    assert settled(address) == "kind=video&q=caixa"


def test_a_kept_query_means_the_same_files_tomorrow(monkeypatch):
    kept = settled("received=7d&to=2020-01-01&kind=voice&crm=")
    week_ago = timezone.localdate() - timedelta(days=6)
    asked = Asked.strictly(kept)
    assert (asked.first, asked.last, asked.kinds) == (week_ago, None, ("voice",))
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(days=3))
    assert Asked.strictly(kept).first == week_ago


@override_settings(TIME_ZONE="America/Sao_Paulo")
def test_days_of_a_query_are_those_of_the_installation():
    with timezone.override("Pacific/Auckland"):
        assert "00:00:00-03:00" in str(found_in(ids.new(), "from=2026-03-01").query).replace(" ", "T") or (
            "03:00:00+00:00" in str(found_in(ids.new(), "from=2026-03-01").query).replace(" ", "T")
        )


@pytest.fixture
def archive(workspace, other_workspace, connection):
    """A video and a voice note of ours, a video of others."""
    film = make_file(connection, kind="video", caption="a caixa amassada")
    note = make_file(connection, kind="voice")
    theirs = make_connection(other_workspace, "meta_cloud", account_id="106500000000009")
    make_file(theirs, kind="video", person=make_person(other_workspace, "Outra", None), caption="a caixa")
    return film, note


@pytest.mark.django_db
def test_a_query_finds_all_files_of_its_workspace_and_no_other(workspace, archive):
    film, note = archive
    found = {
        query: set(found_in(workspace.pk, query)) for query in ("", "kind=video", "q=caixa", "kind=image")
    }
    assert found == {"": {film, note}, "kind=video": {film}, "q=caixa": {film}, "kind=image": set()}


@pytest.mark.django_db
def test_a_person_of_another_workspace_is_nobody(workspace, other_workspace, archive):
    stranger = Person.objects.get(workspace=other_workspace)
    assert not found_in(workspace.pk, f"person={ids.text(stranger.pk)}").exists()
    assert MediaFile.objects.filter(person=stranger).exists()
