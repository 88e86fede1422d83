"""The page of earlier files: chosen, counted, started, paused, ended, and what became of them, each with a way to it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse

from acervo.base import clock
from acervo.deliver import backfill as backfilling
from acervo.models import AuditEntry, Backfill, Delivery
from acervo.organise import address
from tests.conftest import make_connection, make_person

pytestmark = pytest.mark.django_db


@pytest.fixture
def crm(workspace):
    return make_connection(
        workspace, "hubspot", name="HubSpot Aurora", account_id="4242", secrets={"token": "x"}
    )


@pytest.fixture
def files(kept_file, workspace):
    """Three of two people, one of them a video; and one from long ago."""
    other = make_person(workspace, "Otávio", "+15555550199")
    return [
        kept_file(),
        kept_file(person=other),
        kept_file(person=other, kind="video", mime="video/mp4"),
        kept_file(received_at=clock.now() - timedelta(days=400)),
    ]


def place(crm, name="backfill", **more):
    return reverse(name, kwargs={"crm": crm.pk, **more})


def shown(answer):
    return answer.content.decode()


def start(client, crm, **typed):
    return client.post(place(crm), {"since": "all", "query": "", **typed})


def test_it_counts_before_anything_starts_and_counts_again_as_one_chooses(page_of, alice, crm, files):
    page = shown(page_of(alice).get(place(crm)))
    assert '<dt>To write</dt><dd class="num">3</dd>' in page
    for typed, expected in (
        ({"since": "all"}, 4),
        ({"since": "all", "kind": "video"}, 1),
        ({"since": "day", "from": "2020-01-01"}, 4),
        ({"since": "all", "query": "/library?kind=video"}, 1),
    ):
        part = shown(page_of(alice).get(place(crm, "count_backfill"), typed))
        assert f'<dt>To write</dt><dd class="num">{expected}</dd>' in part
    assert not Backfill.objects.exists()


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"since": "day", "from": ""}, "Choose the day to begin with."),
        ({"since": "day", "from": "31/31/2020"}, "no word"),
        ({"query": "/library?colour=blue"}, "no word “colour”"),
        ({"query": "kind=hologram"}, "no word “kind=hologram”"),
        ({"query": "q=zeppelin"}, "promised to this CRM already"),
    ],
)
def test_what_cannot_be_started_says_why_and_keeps_what_was_typed(page_of, alice, crm, files, typed, said):
    answer = start(page_of(alice), crm, **typed)
    assert answer.status_code == 422
    assert said in shown(answer)
    assert typed.get("query", "") in shown(answer)
    assert not Backfill.objects.exists()


def test_it_starts_and_is_watched_paused_resumed_and_ended(page_of, alice, crm, files):
    client = page_of(alice)
    answer = start(client, crm, kind="video")
    assert (answer.status_code, answer["Location"]) == (302, place(crm))
    run = Backfill.objects.get()
    assert (run.query, run.total) == ("kind=video", 1)
    page = shown(client.get(place(crm)))
    assert "1 file is on its way to HubSpot Aurora." in page
    assert 'data-every="3"' in page
    assert 'name="since"' not in page, "one run at a time"
    for name, state in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        assert client.post(place(crm, f"{name}_backfill", run=run.pk)).status_code == 302
        run.refresh_from_db()
        assert run.state == state
        client.get(place(crm))
    page = shown(client.get(place(crm)))
    assert "Earlier runs" in page
    assert 'name="since"' in page
    assert "This run is over" in shown(client.post(place(crm, "pause_backfill", run=run.pk), follow=True))
    actions = (
        AuditEntry.objects.filter(subject_type="backfill").order_by("number").values_list("action", flat=True)
    )
    assert [action.partition(".")[2] for action in actions] == ["started", "paused", "resumed", "cancelled"]


def test_a_second_run_waits_for_the_first(page_of, alice, crm, files):
    client = page_of(alice)
    start(client, crm, kind="video")
    answer = start(client, crm)
    assert answer.status_code == 422
    assert Backfill.objects.count() == 1


def test_the_report_names_reasons_and_leads_to_the_files(page_of, alice, crm, files):
    run = backfilling.ask(crm, query="kind=voice", by="test", chosen_by=address.found_in)
    backfilling.go_on(crm.pk, chosen_by=address.found_in)
    first, second, third = Delivery.objects.filter(connection=crm)
    now = clock.now()
    Delivery.objects.filter(pk=first.pk).update(
        stopped_at=now, refusal="ambiguous", refused_at=now, attempts=1
    )
    Delivery.objects.filter(pk=second.pk).update(refusal="locked", refused_at=now, attempts=1)
    Delivery.objects.filter(pk=third.pk).update(delivered_at=now, backfill=None)
    Backfill.objects.filter(pk=run.pk).update(written=1)
    page = shown(page_of(alice).get(place(crm)))
    assert 'href="/library?kind=voice&amp;crm=delivered"' in page
    assert 'href="/library?kind=voice&amp;crm=stopped"' in page
    assert "1 file waits for a person. Several records in the CRM have this number." in page
    assert "1 file is tried again. The record is locked in the CRM." in page
    assert "2 of 3 files" in page
    assert '<h2 id="bf-now">Voice note</h2>' in page


def test_a_new_crm_offers_it_and_one_that_was_filled_does_not(page_of, alice, crm, files):
    client = page_of(alice)
    where = reverse("connection", args=[crm.pk])
    assert "Choose which to write" in shown(client.get(where))
    start(client, crm)
    assert "Choose which to write" not in shown(client.get(where))
    assert place(crm) in shown(client.get(reverse("connections")))


def test_a_paused_connection_says_that_the_run_waits_for_it(page_of, alice, crm, files):
    client = page_of(alice)
    start(client, crm)
    type(crm).objects.filter(pk=crm.pk).update(
        paused_at=clock.now(), paused_by="test", pause_reason="auth_revoked"
    )
    assert "The connection is paused: the run goes on when it does." in shown(client.get(place(crm)))


def test_whoever_only_operates_may_watch(page_of, everybody, crm, files):
    page = shown(page_of(everybody["auditor"]).get(place(crm)))
    assert "Administrators can write earlier files to the CRM." in page
    assert start(page_of(everybody["auditor"]), crm).status_code == 403


def test_a_number_is_no_crm_to_fill(page_of, alice, connection):
    assert page_of(alice).get(place(connection)).status_code == 404
