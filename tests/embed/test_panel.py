"""What the panel shows: the files of its record, in its account, to whoever may see them, and nothing beside."""

from __future__ import annotations

from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync
from django.test import Client

from acervo.base import clock, ids
from acervo.govern import embeds
from acervo.models import (
    AuditEntry,
    Delivery,
    EmbedAgent,
    EmbedSession,
    Transcript,
    TranscriptSegment,
)
from acervo.models.embed import ENDS_AFTER, RESTS_AFTER
from tests.conftest import make_connection, make_file, make_person
from tests.embed.conftest import CUSTOMER, TICKET, opened, tie
from tests.embed.test_entries import ask_link
from tests.play.conftest import answered

CONTACT = f"contact:{CUSTOMER}"


@pytest.fixture
def voice(zendesk, customer, kept_file):
    tie(zendesk, CUSTOMER, person=customer)
    return kept_file(body=b"OggS of the customer", person=customer, caption="a luz pisca")


@pytest.fixture
def panel(in_zendesk, voice):
    return opened(in_zendesk(), CONTACT)


@pytest.fixture
def later(monkeypatch):
    """Time stands still but for what passes by: a slow machine is no reason for a link to end."""
    began = clock.now()
    monkeypatch.setattr(clock, "now", lambda: began)

    def pass_by(time):
        monkeypatch.setattr(clock, "now", lambda: began + time)

    return pass_by


# ── whose files ──


def test_it_shows_what_the_customer_of_the_record_sent(panel, voice):
    shown = panel.files()
    assert voice.slug in shown
    assert "a luz pisca" in shown
    assert "Marina Duarte" in shown


def test_files_of_others_are_not_there_and_not_played(panel, workspace, kept_file):
    other = kept_file(person=make_person(workspace, "Outra Pessoa", None))
    assert other.slug not in panel.files()
    assert panel.playback(other).status_code == 404


def test_a_file_tied_to_the_ticket_alone_is_there(in_zendesk, zendesk, workspace, kept_file):
    other = kept_file(person=make_person(workspace, "Outra Pessoa", None))
    tie(zendesk, TICKET, "ticket", media=other)
    panel = opened(in_zendesk(), f"ticket:{TICKET}")
    shown = panel.files()
    assert other.slug in shown
    assert f"#{TICKET}" in shown
    assert panel.playback(other).status_code == 200


def test_another_accounts_record_of_the_same_number_means_nothing(
    in_zendesk, workspace, other_workspace, voice, kept_file
):
    second = make_connection(workspace, "zendesk", account_id="boreal", options={"subdomain": "boreal"})
    stranger = make_person(other_workspace, "Estranha", "+15555550143")
    theirs = make_connection(other_workspace, "zendesk", account_id="aurora", options={"subdomain": "aurora"})
    number = make_connection(other_workspace, "meta_cloud", account_id="2")
    hidden = make_file(number, person=stranger)
    tie(theirs, "6001", person=stranger)
    tie(second, "6002", person=voice.person)
    panel = opened(in_zendesk(), "contact:6001", "contact:6002")
    shown = panel.files()
    assert hidden.slug not in shown
    assert voice.slug not in shown
    assert panel.playback(hidden).status_code == panel.playback(voice).status_code == 404


def test_what_may_not_be_seen_is_answered_like_what_never_was(panel, other_workspace, workspace, kept_file):
    number = make_connection(other_workspace, "meta_cloud", account_id="2")
    theirs = make_file(number, person=make_person(other_workspace, "Estranha", None))
    beside = kept_file(person=make_person(workspace, "Outra Pessoa", None))
    hidden = kept_file(person=make_person(workspace, "Oculta", None), hidden_at=clock.now())
    never = ids.text(ids.new())
    for what, method in (("playback", "post"), ("transcript", "get"), ("retry", "post")):
        answers = [
            panel.ask(f"files/{slug}/{what}", method)
            for slug in (never, theirs.slug, beside.slug, hidden.slug)
        ]
        assert {(answer.status_code, answer.content) for answer in answers} == {
            (404, b'{"error": "not_here"}')
        }
        assert all("frame-ancestors 'none'" in answer["Content-Security-Policy"] for answer in answers)


def test_a_panel_of_one_record_shows_no_other(salesforce, customer, kept_file):
    tie(salesforce, "003000000000001AAA", person=customer)
    tie(salesforce, "003000000000002AAA", person=make_person(salesforce.workspace, "Outra", None))
    media = kept_file(person=customer)
    key = embeds.make_key(salesforce, "test")
    path = "/embed/open/" + ask_link(salesforce, key).json()["url"].rpartition("/")[2]
    panel = opened(Client().get(path))
    assert media.slug in panel.answer.content.decode()
    assert panel.ask("files", record="contact:003000000000002AAA").status_code == 404
    assert panel.playback(media).status_code == 200


def test_kinds_are_counted_and_chosen(panel, zendesk, voice, kept_file):
    image = kept_file(person=voice.person, kind="image", mime="image/jpeg", duration_s=None)
    shown = panel.files(kind="image")
    assert image.slug in shown
    assert voice.slug not in shown
    assert panel.ask("files", kind="nonsense").status_code == 200


def test_a_long_list_comes_in_parts_without_gaps(panel, voice, connection):
    made = [make_file(connection, person=voice.person) for _ in range(25)]
    shown = panel.files()
    more = shown.partition('data-more="')[2].partition('"')[0].replace("&amp;", "&")
    answer = Client().get(f"/embed/files?{more}", HTTP_AUTHORIZATION=f"Bearer {panel.token}")
    rest = answer.content.decode()
    every = {media.slug for media in [*made, voice]}
    assert {slug for slug in every if f"f-{slug}" in shown} | {
        slug for slug in every if f"f-{slug}" in rest
    } == every
    assert not {slug for slug in every if f"f-{slug}" in shown and f"f-{slug}" in rest}


# ── why there is nothing ──


def test_it_says_why_there_is_nothing(in_zendesk, zendesk, workspace):
    panel = opened(in_zendesk(), "contact:1")
    assert "Not tied to anybody" in panel.files()
    tie(zendesk, "2", person=make_person(workspace, "Nova", None))
    panel.records = ("contact:2",)
    assert "Nothing has come yet" in panel.files()


# ── who may look ──


def link_panel(account, email, record="003000000000001AAA"):
    key = embeds.make_key(account, "test")
    user = {"id": f"005-{email}", "email": email, "name": "Ana"}
    path = "/embed/open/" + ask_link(account, key, user=user, record=record).json()["url"].rpartition("/")[2]
    embeds.revoke_key(account.embed_keys.get(revoked_at=None), "test")
    return opened(Client().get(path, HTTP_ACCEPT_LANGUAGE="en"))


@pytest.fixture
def files(salesforce, customer, kept_file):
    tie(salesforce, "003000000000001AAA", person=customer)
    return {
        "voice": kept_file(person=customer),
        "image": kept_file(person=customer, kind="image", mime="image/jpeg"),
        "hidden": kept_file(person=customer, hidden_at=clock.now()),
    }


def seen(panel, files):
    shown = panel.answer.content.decode()
    return {name for name, media in files.items() if f"f-{media.slug}" in shown}


def test_an_agent_of_the_crm_sees_everything_but_what_was_hidden(salesforce, files):
    assert seen(link_panel(salesforce, "ana@example.com"), files) == {"voice", "image"}


def test_an_agent_here_sees_in_the_crm_what_their_team_shows(salesforce, files, bob, team):
    panel = link_panel(salesforce, "BOB@example.com")
    assert seen(panel, files) == {"voice"}
    assert panel.playback(files["image"]).status_code == 404


def test_no_crm_lends_the_rights_of_an_administrator(salesforce, files, alice):
    panel = link_panel(salesforce, "alice@example.com")
    assert seen(panel, files) == {"voice", "image"}
    assert panel.playback(files["hidden"]).status_code == 404


def test_whoever_left_sees_nothing_in_the_crm_either(salesforce, files, bob):
    bob.is_active = False
    bob.save()
    panel = link_panel(salesforce, "bob@example.com")
    assert seen(panel, files) == set()
    assert "Not for you to see" in panel.answer.content.decode()


def test_where_an_account_is_asked_for_others_see_nothing(salesforce, files, bob):
    embeds.change(salesforce, embeds.Wanted(shown_to="members"), "test")
    assert seen(link_panel(salesforce, "ana@example.com"), files) == set()
    assert seen(link_panel(salesforce, "bob@example.com"), files) == {"voice", "image"}


def test_a_team_that_shows_none_of_it_is_told_so(salesforce, files, bob, team):
    team.kinds = ["document"]
    team.save()
    assert "Not for you to see" in link_panel(salesforce, "bob@example.com").answer.content.decode()


# ── how long ──


def test_a_panel_nobody_uses_ends_and_one_in_use_goes_on(panel, later):
    later(RESTS_AFTER - timedelta(seconds=1))
    assert panel.ask("renew", "post").status_code == 204
    later(RESTS_AFTER + timedelta(minutes=5))
    assert panel.ask("renew", "post").status_code == 204
    later(RESTS_AFTER * 3)
    assert panel.ask("renew", "post").status_code == 401


def test_no_panel_is_open_for_more_than_half_a_day(panel, later):
    session = EmbedSession.objects.get()
    EmbedSession.objects.update(expires_at=session.ends_at)
    later(ENDS_AFTER - timedelta(minutes=1))
    assert panel.ask("renew", "post").status_code == 204
    later(ENDS_AFTER + timedelta(seconds=1))
    assert panel.ask("renew", "post").status_code == 401


@pytest.mark.parametrize("wrong", ["", "x", "é"])
def test_a_wrong_token_learns_nothing(panel, voice, wrong):
    for path, method in (("files", "get"), (f"files/{voice.slug}/playback", "post"), ("renew", "post")):
        answer = panel.ask(path, method, token=wrong)
        assert (answer.status_code, answer.json()) == (401, {"error": "over"})


# ── hearing ──


@pytest.fixture
def listen(one_connection):
    def ask(address, **how):
        return async_to_sync(answered)({}, address, **how)

    return ask


def test_a_link_of_the_panel_plays_without_a_cookie_and_names_the_agent(panel, voice, listen, zendesk):
    (source, *_rest) = panel.playback(voice).json()["sources"]
    answer = listen(source["address"], headers={"range": "bytes=0-3"})
    assert (answer.status_code, answer.content) == (206, b"OggS")
    entry = AuditEntry.objects.of("file", voice.pk).get(action="file.played")
    agent = EmbedAgent.objects.get(connection=zendesk)
    assert entry.by == agent.author
    assert entry.details["agent"] == "901"


def test_how_far_an_agent_heard_is_written_down_by_the_link_they_hold(panel, voice, listen):
    (source, *_rest) = panel.playback(voice).json()["sources"]
    key = source["address"].partition("?")[2]
    told = b'{"listening": "0123456789ab", "what": "original", "heard_s": 3, "reached_s": 3, "of_s": 5}'
    where = f"/play/{voice.slug}/heard"
    same = {"sec-fetch-site": "same-origin"}
    for _ in range(2):
        assert listen(f"{where}?{key}", method="POST", headers=same, body=told).status_code == 204
    entry = AuditEntry.objects.of("file", voice.pk).get(action="file.heard")
    assert (entry.by.partition(":")[0], entry.details["agent"], entry.details["heard_s"]) == (
        "agent",
        "901",
        3,
    )
    assert listen(where, method="POST", headers=same, body=told).status_code == 404
    assert listen(f"{where}?key=x", method="POST", headers=same, body=told).status_code == 404


def test_links_end_with_the_panel_and_soon_by_themselves(panel, voice, listen, later, zendesk):
    (source, *_rest) = panel.playback(voice).json()["sources"]
    later(timedelta(seconds=299))
    assert listen(source["address"]).status_code == 200
    later(timedelta(seconds=301))
    assert listen(source["address"]).status_code == 404
    later(timedelta(0))
    embeds.turn_off(zendesk, "test")
    assert listen(source["address"]).status_code == 404


def test_a_file_in_quarantine_has_no_links(panel, voice):
    type(voice).objects.filter(pk=voice.pk).update(scanned_at=clock.now(), infection="Eicar")
    told = panel.playback(voice).json()
    assert told == {"sources": [], "preview": "", "captions": "", "download": ""}


def test_what_is_said_in_a_file_in_quarantine_is_not_read_in_the_panel_either(panel, voice, workspace):
    """As over the API."""
    Transcript.objects.create(
        workspace=workspace, media=voice, asked_by="test", made_at=clock.now(), engine="fake", text="a luz"
    )
    assert "data-transcript" in panel.files()
    type(voice).objects.filter(pk=voice.pk).update(scanned_at=clock.now(), infection="Eicar")
    assert "data-transcript" not in panel.files()
    assert panel.playback(voice).json()["captions"] == ""
    assert panel.ask(f"files/{voice.slug}/transcript").status_code == 404


def test_the_transcript_is_read_in_the_panel(panel, voice, workspace):
    assert panel.ask(f"files/{voice.slug}/transcript").status_code == 404
    spoken = Transcript.objects.create(
        workspace=workspace, media=voice, asked_by="test", made_at=clock.now(), engine="fake", text="a luz"
    )
    TranscriptSegment.objects.create(transcript=spoken, position=0, start_s=2, end_s=3, text="a luz <b>")
    assert "data-transcript" in panel.files()
    shown = panel.ask(f"files/{voice.slug}/transcript").content.decode()
    assert "a luz &lt;b&gt;" in shown
    assert 'data-second="2.0"' in shown


# ── what did not arrive in the CRM ──


def test_a_file_that_is_not_in_this_crm_says_so_and_is_tried_again(panel, voice, zendesk, workspace):
    other = make_connection(workspace, "hubspot", account_id="1")
    facts = {"workspace": workspace, "media": voice, "promised_at": clock.now(), "due_at": clock.now()}
    stopped = {"stopped_at": clock.now(), "refusal": "validation", "refused_at": clock.now()}
    Delivery.objects.create(connection=other, **facts, **stopped)
    assert "data-retry" not in panel.files()
    promise = Delivery.objects.create(connection=zendesk, **facts, **stopped)
    assert "data-retry" in panel.files()
    answer = panel.ask(f"files/{voice.slug}/retry", "post")
    assert answer.status_code == 200
    promise.refresh_from_db()
    assert promise.stopped_at is None
    assert AuditEntry.objects.get(action="delivery.retried").by.startswith("agent:")
    assert Delivery.objects.get(connection=other).stopped_at


def test_ended_panels_are_forgotten_after_a_month(panel, later):
    later(timedelta(days=29))
    embeds.forget_ended()
    assert EmbedSession.objects.exists()
    later(timedelta(days=31))
    embeds.forget_ended()
    assert not EmbedSession.objects.exists()
