"""Finding: what is shown, in which order, page by page, at which cost."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from acervo.base import clock, ids
from acervo.models import Delivery, MediaFile
from acervo.organise import search
from acervo.organise.search import Cursor, Wish
from tests.conftest import make_connection, make_file, make_person


def shown(answer):
    """The files of a page, in order."""
    text = answer.content.decode()
    return [part[:26] for part in text.split('id="c-')[1:]]


@pytest.fixture
def library(page_of, alice):
    client = page_of(alice)
    return lambda query="", **headers: client.get(f"/library?{query}", headers=headers)


@pytest.fixture
def five(connection, workspace):
    """Five files of two people, newest last."""
    marina, caio = make_person(workspace, "Marina Duarte"), make_person(workspace, "Caio Figueira", None)
    now = clock.now()
    facts = [
        {"kind": "voice", "person": marina, "received_at": now - timedelta(days=40)},
        {
            "kind": "video",
            "person": marina,
            "received_at": now - timedelta(days=10),
            "caption": "o portão quebrado",
        },
        {
            "kind": "image",
            "person": caio,
            "received_at": now - timedelta(days=2),
            "caption": "Caixa AMASSADA, veja",
        },
        {
            "kind": "document",
            "person": caio,
            "received_at": now - timedelta(minutes=2),
            "file_name": "contrato_fibra-2026.pdf",
        },
        {"kind": "voice", "person": marina, "received_at": now - timedelta(minutes=1)},
    ]
    return [make_file(connection, **fact) for fact in facts]


def test_the_newest_comes_first(library, five):
    assert shown(library()) == [media.slug for media in reversed(five)]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("kind=voice", [4, 0]),
        ("kind=voice&kind=video", [4, 1, 0]),
        ("received=7d", [4, 3, 2]),
        ("received=30d", [4, 3, 2, 1]),
        ("q=marina", [4, 1, 0]),
        ("q=MARINÁ", [4, 1, 0]),
        ("q=mari", [4, 1, 0]),
        ("q=portoes", [1]),
        ("q=portão", [1]),
        ("q=caixa amassada", [2]),
        ("q=uma foto de caixa", []),
        ("q=contrato", [3]),
        ("q=fibra 2026", [3]),
        ("q=o portão de marina", [1]),
        ("q=marina caixa", []),
        ("q=caio&kind=image", [2]),
        ("capture=lost", []),
        ("capture=waiting&kind=image", [2]),
        ("kind=nonsense", [4, 3, 2, 1, 0]),
        ("received=nonsense&from=nonsense", [4, 3, 2, 1, 0]),
    ],
)
def test_filters_and_words_find_what_fits_all_of_them(library, five, query, expected):
    assert shown(library(query)) == [five[index].slug for index in expected]


@pytest.mark.parametrize(
    "text", ["'", "\\", "a & b | !c", ":*", "'':*", "%", "ﷺ", "x" * 500, "\x00", "<->", "½ №"]
)
def test_no_search_is_taken_for_a_command(library, five, text):
    from urllib.parse import quote

    assert library(f"q={quote(text)}").status_code == 200


def test_a_period_is_of_whole_days_in_the_readers_time_zone(library, alice, connection):
    alice.time_zone = "America/Sao_Paulo"
    alice.save()
    late = make_file(
        connection, received_at=clock.now().replace(2026, 11, 18, hour=2, minute=30)
    )  # 17 Nov, 23:30 there
    assert shown(library("received=period&from=2026-11-17&to=2026-11-17")) == [late.slug]
    assert shown(library("received=period&from=2026-11-18&to=2026-11-18")) == []


@pytest.mark.parametrize(
    ("state", "facts"),
    [
        ("delivered", {"delivered_at": "2026-11-25T10:00Z"}),
        ("waiting", {}),
        (
            "stopped",
            {"stopped_at": "2026-11-25T10:00Z", "refusal": "validation", "refused_at": "2026-11-25T10:00Z"},
        ),
        ("none", None),
    ],
)
def test_files_are_found_by_what_became_of_them_in_the_crm(library, five, workspace, state, facts):
    crm = make_connection(workspace, "hubspot", account_id="1", secrets={"token": "x"})
    for media in five[1:]:
        Delivery.objects.create(
            workspace=workspace,
            connection=crm,
            media=media,
            promised_at=clock.now(),
            due_at=clock.now(),
            delivered_at=clock.now(),
        )
    Delivery.objects.filter(media=five[2]).delete()
    if facts is None:
        expected = [five[2].slug, five[0].slug]
    else:
        Delivery.objects.create(
            workspace=workspace,
            connection=crm,
            media=five[2],
            promised_at=clock.now(),
            due_at=clock.now(),
            **facts,
        )
        expected = [five[2].slug]
    found = shown(library(f"crm={state}"))
    assert found == expected if state != "delivered" else set(found) == {media.slug for media in five[1:]}


def test_pages_follow_each_other_without_gap_or_repetition(library, connection, workspace):
    person, at = make_person(workspace), clock.now()
    made = [
        make_file(connection, person=person, received_at=at - timedelta(seconds=index // 3))
        for index in range(130)
    ]
    seen, query = [], ""
    for _ in range(3):
        answer = library(query)
        seen += shown(answer)
        following = answer.content.decode().split('class="more"><a class="btn" href="/library?')
        query = following[1].split('"')[0].replace("&amp;", "&") if len(following) > 1 else ""
    assert len(seen) == len(set(seen)) == 130
    assert set(seen) == {media.slug for media in made}
    assert query == ""


def test_the_newest_part_again_reaches_down_to_where_the_first_page_ended(library, connection, workspace):
    person, at = make_person(workspace), clock.now()
    made = [
        make_file(connection, person=person, received_at=at - timedelta(seconds=index)) for index in range(70)
    ]
    last = Cursor.of(made[59])
    arrived = make_file(connection, person=person, received_at=at + timedelta(seconds=1))
    answer = library(f"down_to={last}", **{"X-Acervo-Live": "1"})
    assert shown(answer) == [arrived.slug, *(media.slug for media in made[:60])]
    assert "71 files" in answer.content.decode()
    assert "<html" not in answer.content.decode()


def test_a_place_in_the_list_survives_the_address():
    place = Cursor(clock.now(), ids.new())
    assert Cursor.parse(str(place)) == place


@pytest.mark.parametrize("place", ["", "x", "1-2", "99999999999999999999-01ARZ3NDEKTSV4RRFFQ69G5FAV", "-"])
def test_a_place_that_cannot_be_read_is_the_beginning(library, five, place):
    assert len(shown(library(f"after={place}"))) == 5


def test_counts_beside_the_filters_are_of_everything_else_wished_for(alice, five):
    today = clock.now() - timedelta(days=1)
    counts = search.count(
        alice, Wish(text="marina", kinds=("voice",)), since={"today": today}, channels=[five[0].connection_id]
    )
    assert (counts.total, counts.kinds["voice"], counts.kinds["video"], counts.kinds["image"]) == (2, 2, 1, 0)
    assert (counts.since["today"], counts.capture["waiting"], counts.crm["none"]) == (1, 2, 2)
    assert counts.channels == {five[0].connection_id: 2}


def test_counting_stops_at_a_ceiling(alice, five, monkeypatch):
    monkeypatch.setattr(search, "COUNT_CEILING", 3)
    assert search.count(alice, Wish(), since={}, channels=[]).total == 4


@pytest.mark.parametrize(
    ("where", "most"),
    [("/library", 17), ("/library?q=marina", 17), ("/contacts", 17), ("/health", 25), ("/integrations", 17)],
)
def test_a_list_costs_as_many_queries_with_forty_files_as_with_two(
    where, most, page_of, alice, connection, workspace
):
    client = page_of(alice)

    def cost():
        with CaptureQueriesContext(database) as queries:
            assert client.get(where).status_code == 200
        return len(queries)

    make_file(connection, person=make_person(workspace))
    lost = {"refusal": "expired", "refused_at": clock.now(), "gone_at": clock.now()}
    make_file(connection, person=make_person(workspace, "Caio", None), **lost)
    client.get(where)
    few = cost()
    for index in range(38):
        make_file(connection, person=make_person(workspace, f"Marina {index}", None), **lost)
    assert cost() <= few
    assert few <= most


def test_a_filter_changes_only_the_results_the_chips_and_the_counts(library, five):
    answer = library("kind=voice", **{"HX-Request": "true", "HX-Target": "results"})
    text = answer.content.decode()
    assert text.lstrip().startswith('<div id="results"')
    assert text.count("hx-swap-oob") == 2
    assert "<html" not in text
    boosted = library("kind=voice", **{"HX-Request": "true", "HX-Boosted": "true"})
    assert "<html" in boosted.content.decode()


def test_nothing_found_offers_the_way_back_and_nothing_at_all_says_what_will_come(
    library, page_of, charlie, five
):
    assert "Nothing fits these words" in library("q=zzz").content.decode()
    assert "Nothing fits these filters" in library("q=zzz&kind=voice").content.decode()
    assert "Nothing has arrived yet" in page_of(charlie).get("/library").content.decode()


def test_a_page_of_sixty_is_light(library, connection, workspace):
    import gzip

    person = make_person(workspace)
    for index in range(60):
        make_file(
            connection, person=person, caption=f"mensagem número {index} sobre a entrega do roteador novo"
        )
    MediaFile.objects.update(waveform=bytes((index * 37) % 256 for index in range(160)))
    assert len(gzip.compress(library().content)) <= 15_000


def test_an_agent_sees_only_what_the_team_shows(bob, team, connection, workspace, page_of, kept_file):
    other = make_connection(workspace, "meta_cloud", account_id="106500000000009", name="Vendas")
    voice = kept_file(kind="voice")
    hidden = [
        make_file(other, kind="voice", person=make_person(workspace, "Outra Pessoa", None)),
        make_file(connection, kind="image"),
    ]
    client = page_of(bob)
    shown = client.get("/library").content.decode()
    assert f"/m/{voice.slug}" in shown
    assert "Outra Pessoa" not in client.get("/contacts").content.decode()
    for media in hidden:
        assert media.slug not in shown
        assert client.get(f"/m/{media.slug}").status_code == 404
    assert "1 file<" in shown
