"""What pages say and do: a file's page, connections, health, settings, signing in."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from acervo.base import clock, ids
from acervo.models import AuditEntry, Connection, Deed, Delivery, MediaFile, Member, Receipt
from acervo.web import tags
from tests.conftest import PASSWORD, make_connection


@pytest.fixture
def crm(workspace):
    return make_connection(
        workspace, "hubspot", account_id="4242", name="HubSpot Aurora", secrets={"token": "x"}
    )


def promise(media, crm, **facts):
    return Delivery.objects.create(
        workspace=media.workspace,
        connection=crm,
        media=media,
        promised_at=clock.now(),
        due_at=clock.now(),
        **facts,
    )


def text(answer):
    return answer.content.decode()


# ── a file ──


def test_a_voice_note_has_a_player_with_its_waveform(page_of, alice, kept_file):
    media = kept_file(waveform=bytes([128] * 160), duration_s=47.0)
    page = text(page_of(alice).get(f"/m/{media.slug}"))
    assert f'data-src-1="/play/{media.slug}/original"' in page
    assert page.count("V") >= 160
    assert "Voice note from Marina Duarte" in page
    assert "<audio controls" in page  # without JavaScript


@pytest.mark.parametrize(
    ("kind", "mime", "expected"),
    [
        ("video", "video/mp4", "<video controls"),
        ("image", "image/jpeg", '<img src="/play/'),
        ("document", "application/pdf", "filecard"),
    ],
)
def test_each_kind_has_its_viewer(page_of, alice, kept_file, kind, mime, expected):
    assert expected in text(page_of(alice).get(f"/m/{kept_file(kind=kind, mime=mime).slug}"))


def test_a_lost_file_says_why_in_words_and_offers_one_more_try(page_of, alice, announced_file):
    now = clock.now()
    media = announced_file(refusal="expired", refused_at=now, gone_at=now, attempts=7)
    client = page_of(alice)
    page = text(client.get(f"/m/{media.slug}"))
    assert "its time ended before it could be captured" in page
    assert "Given up after 7 tries" in page
    client.post(f"/m/{media.slug}/retry")
    media.refresh_from_db()
    assert media.gone_at is None
    assert AuditEntry.objects.filter(action="file.retried", by=f"member:{ids.text(alice.pk)}").exists()


def test_a_file_that_waits_says_when_the_next_try_is_and_how_long_there_is(page_of, alice, announced_file):
    now = clock.now()
    media = announced_file(
        refusal="unavailable", refused_at=now, attempts=3, due_at=now + timedelta(minutes=4)
    )
    page = text(page_of(alice).get(f"/m/{media.slug}"))
    for said in ("Next try", "in 4 minutes", "WhatsApp keeps it until", "servers were not available"):
        assert said.replace("'", "&#x27;") in page


def test_a_paused_number_is_named_as_the_reason(page_of, alice, announced_file, connection):
    media = announced_file()
    connection.pause(by="system", reason="token_revoked", at=clock.now())
    assert "Reconnect the number" in text(page_of(alice).get(f"/m/{media.slug}"))


def test_where_several_crm_records_fit_the_page_leads_to_whoever_decides(page_of, alice, kept_file, crm):
    media, now = kept_file(), clock.now()
    offered = [
        {"object_type": "contact", "record_id": record, "url": f"https://crm.example/{record}"}
        for record in ("1001", "1002")
    ]
    promise(
        media, crm, refusal="ambiguous", refused_at=now, stopped_at=now, refusal_facts={"candidates": offered}
    )
    page = text(page_of(alice).get(f"/m/{media.slug}"))
    assert "Decide who it is" in page
    assert reverse("review_person", args=[crm.pk, media.person_id]) in page


def test_a_refused_delivery_says_why_and_is_sent_again(page_of, alice, kept_file, crm):
    media, now = kept_file(), clock.now()
    delivery = promise(media, crm, refusal="validation", refused_at=now, stopped_at=now)
    client = page_of(alice)
    assert "did not accept a value" in text(client.get(f"/m/{media.slug}"))
    client.post(f"/m/{media.slug}/deliveries/{delivery}/retry")
    delivery.refresh_from_db()
    assert delivery.stopped_at is None


def test_the_history_names_members_and_tells_deeds_in_words(page_of, alice, bob, kept_file):
    media = kept_file()
    AuditEntry.objects.record(
        media.workspace_id, f"member:{ids.text(bob.pk)}", [Deed("file.played", "file", media.pk)]
    )
    page = text(page_of(alice).get(f"/m/{media.slug}"))
    assert "Played" in page
    assert "Bob" in page
    assert "Received through WhatsApp" in page


def test_the_history_tells_a_delivery_once_and_why_another_stopped(page_of, alice, kept_file, crm):
    media = kept_file()
    promise(media, crm, delivered_at=clock.now())
    about = {"connection": ids.text(crm.pk)}
    AuditEntry.objects.record(
        media.workspace_id,
        "system:deliver",
        [
            Deed("file.delivered", "file", media.pk, "", about),
            Deed("delivery.stopped", "file", media.pk, "validation", about),
        ],
    )
    page = text(page_of(alice).get(f"/m/{media.slug}"))
    assert page.count("Delivered to the CRM") == 1
    assert "Delivery stopped<small>HubSpot Aurora</small>" in page
    assert "The CRM did not accept a value." in page


def test_a_file_lost_when_it_was_announced_says_so_in_history_and_on_its_card(page_of, alice, announced_file):
    now = clock.now()
    media = announced_file(refusal="lost_at_provider", refused_at=now, gone_at=now)
    client = page_of(alice)
    history = text(client.get(f"/m/{media.slug}")).split('id="story"')[1]
    assert "Could not be captured" in history
    assert "WhatsApp could not get it" in text(client.get("/library"))


@pytest.mark.parametrize("seconds", [0.4, 6.7, 47.0, 61.2, 3723.9])
def test_the_marks_under_a_waveform_are_whole_seconds_evenly_spaced(seconds):
    marks = [mark for _place, mark in tags.ruler(seconds)]
    assert 1 <= len(marks) <= 7
    assert len({after - before for before, after in pairwise(marks)}) <= 1
    assert all(mark < seconds for mark in marks)


def test_a_length_is_written_as_the_players_of_browsers_write_it():
    assert tags.playing_time(6.7) == "0:06"


def test_the_same_bytes_from_the_same_person_are_named(page_of, alice, kept_file):
    first, second = kept_file(body=b"same"), kept_file(body=b"same")
    assert f"/m/{first.slug}" in text(page_of(alice).get(f"/m/{second.slug}"))


def test_an_auditor_looks_and_does_not_touch(page_of, everybody, announced_file):
    media = announced_file(refusal="unavailable", refused_at=clock.now())
    client = page_of(everybody["auditor"])
    assert "Try again now" not in text(client.get(f"/m/{media.slug}"))
    assert client.post(f"/m/{media.slug}/retry").status_code == 403


def test_no_title_carries_a_name_or_a_number(page_of, alice, kept_file):
    media = kept_file(caption="laudo")
    for where in (f"/m/{media.slug}", f"/contacts/{ids.text(media.person_id)}", "/library?q=Marina"):
        title = text(page_of(alice).get(where)).split("<title>")[1].split("</title>")[0]
        assert not any(secret in title for secret in ("Marina", "5555", "laudo"))


def test_a_short_address_is_read_in_either_case(page_of, alice, kept_file):
    assert page_of(alice).get(f"/m/{kept_file().slug.lower()}").status_code == 200


# ── contacts ──


def test_a_contact_shows_its_files_and_number(page_of, alice, kept_file):
    media = kept_file(caption="Olá de novo")
    page = text(page_of(alice).get(f"/contacts/{ids.text(media.person_id)}"))
    assert "Olá de novo" in page
    assert "+1 555-555-0142" in page


# ── connections ──


def test_a_number_is_paused_and_resumed_by_a_named_member(page_of, alice, connection):
    client, where = page_of(alice), f"/integrations/{ids.text(connection.pk)}"
    client.post(f"{where}/pause")
    connection.refresh_from_db()
    assert (connection.pause_reason, connection.paused_by) == ("by_hand", f"member:{ids.text(alice.pk)}")
    assert "Paused by hand." in text(client.get("/integrations"))
    client.post(f"{where}/resume")
    connection.refresh_from_db()
    assert connection.paused_at is None


def test_new_secrets_go_in_and_never_come_out(page_of, alice, connection):
    connection.pause(by="system", reason="token_revoked", at=clock.now())
    client, where = page_of(alice), f"/integrations/{ids.text(connection.pk)}/reconnect"
    assert "t0k3n" not in text(client.get(where))
    assert client.post(where, {"token": " "}).status_code == 422
    client.post(where, {"token": "n3w-t0k3n"})
    connection.refresh_from_db()
    assert connection.paused_at is None
    from acervo.keep import credentials

    assert credentials.open_secrets(connection)["token"] == "n3w-t0k3n"
    assert not AuditEntry.objects.filter(details__icontains="n3w").exists()


def test_the_list_tells_the_deadline_of_the_most_urgent_file_and_the_webhook(
    page_of, alice, everybody, connection, announced_file
):
    announced_file(fetch_before=clock.now() + timedelta(hours=5))
    page = text(page_of(alice).get("/integrations"))
    assert "Most urgent deadline" in page
    assert f"/hooks/meta_cloud/{ids.text(connection.pk)}" in page
    assert "/hooks/" not in text(page_of(everybody["manager"]).get("/integrations"))


# ── health ──


def test_health_begins_with_the_worst_and_its_button(page_of, alice, everybody, connection, announced_file):
    client = page_of(alice)
    assert "Everything works" in text(client.get("/health"))
    announced_file(refusal="expired", refused_at=clock.now(), gone_at=clock.now())
    assert "1 file was lost in the last 24 hours" in text(client.get("/health"))
    connection.pause(by="system", reason="token_revoked", at=clock.now())
    page = text(client.get("/health"))
    assert "Suporte is paused" in page
    assert f"/integrations/{ids.text(connection.pk)}/reconnect" in page
    assert "/reconnect" not in text(page_of(everybody["dpo"]).get("/health"))


def test_receipts_that_were_not_understood_are_listed_and_read_again(page_of, alice, workspace, connection):
    facts = {
        "workspace": workspace,
        "connection": connection,
        "received_at": clock.now(),
        "read_at": clock.now(),
        "body": b"{}",
    }
    receipt = Receipt.objects.create(
        **facts, unread=[{"pointer": "/entry/0", "type": "change", "reason": "unheard of"}]
    )
    client = page_of(alice)
    assert "unheard of" in text(client.get("/health"))
    client.post("/health/replay", {"receipt": str(receipt)})
    receipt.refresh_from_db()
    assert receipt.read_at is None


def test_nobody_replays_the_receipts_of_others(page_of, charlie, workspace, connection):
    facts = {
        "workspace": workspace,
        "connection": connection,
        "received_at": clock.now(),
        "read_at": clock.now(),
        "body": b"{}",
    }
    receipt = Receipt.objects.create(**facts, unread=[{"type": "x", "reason": "y"}])
    page_of(charlie).post("/health/replay", {"receipt": str(receipt)})
    receipt.refresh_from_db()
    assert receipt.read_at is not None


# ── language, theme, time zone ──


def test_a_stranger_chooses_language_and_theme_before_signing_in(db):
    client = Client()
    assert '<html lang="en">' in text(client.get("/sign-in"))
    client.post("/appearance", {"language": "pt-br", "next": "/sign-in"})
    client.post("/appearance", {"theme": "dark", "next": "/sign-in"})
    page = text(client.get("/sign-in"))
    assert '<html lang="pt-br" data-theme="dark">' in page
    assert "Entrar no Acervo" in page


def test_a_member_keeps_language_theme_and_time_zone(page_of, alice, kept_file):
    media = kept_file()
    MediaFile.objects.update(received_at="2026-11-17T17:32:00Z")
    client = page_of(alice)
    client.post(
        "/me", {"language": "pt-br", "theme": "dark", "time_zone": "America/Sao_Paulo", "name": "Alice"}
    )
    page = text(client.get(f"/m/{media.slug}"))
    assert '<html lang="pt-br" data-theme="dark">' in page
    assert "ter., 17 de nov. de 2026" in page
    assert "14:32" in page
    assert "Áudio de Marina Duarte" in page


@pytest.mark.parametrize("away", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_no_switch_leads_away(db, away):
    assert Client().post("/appearance", {"theme": "dark", "next": away})["Location"] == "/"


def test_nonsense_is_not_kept(page_of, alice):
    page_of(alice).post("/me", {"language": "xx", "theme": "neon", "time_zone": "Mars/Olympus"})
    alice.refresh_from_db()
    assert (alice.language, alice.theme) == ("en", "auto")


# ── signing in ──


@pytest.fixture
def fresh_limits():
    cache.clear()
    yield
    cache.clear()


def sign_in(client, email, password):
    return client.post("/sign-in", {"login": email, "password": password})


@pytest.mark.usefixtures("fresh_limits")
def test_a_member_signs_in_reaches_the_page_asked_for_and_signs_out(alice):
    client = Client()
    answer = client.post(
        "/sign-in?next=/health", {"login": "alice@example.com", "password": PASSWORD, "next": "/health"}
    )
    assert answer["Location"] == "/health"
    assert client.get("/library").status_code == 200
    client.post("/sign-out")
    assert client.get("/library").status_code == 302


@pytest.mark.usefixtures("fresh_limits")
def test_a_wrong_password_tells_nothing_about_who_exists(alice):
    known = text(sign_in(Client(), "alice@example.com", "wrong"))
    unknown = text(sign_in(Client(), "nobody@example.com", "wrong"))
    problem = known.split('id="problem">')[1].split("</p>")[0]
    assert problem.strip()
    assert unknown.split('id="problem">')[1].split("</p>")[0] == problem


@pytest.mark.usefixtures("fresh_limits")
def test_guessing_is_slowed_down(alice):
    client = Client()
    for _ in range(6):
        sign_in(client, "alice@example.com", "wrong")
    assert "_auth_user_id" not in client.session
    sign_in(client, "alice@example.com", PASSWORD)
    assert "_auth_user_id" not in client.session


@pytest.mark.usefixtures("fresh_limits")
def test_who_left_cannot_sign_in(alice):
    alice.is_active = False
    alice.save()
    client = Client()
    sign_in(client, "alice@example.com", PASSWORD)
    assert "_auth_user_id" not in client.session


def test_nobody_signs_up(db):
    client = Client()
    assert "by invitation" in text(client.get("/sign-up"))
    client.post("/sign-up", {"email": "eve@example.com", "password1": PASSWORD})
    assert not Member.objects.filter(email="eve@example.com").exists()


def test_an_open_page_of_an_ended_session_is_left_as_a_whole(db):
    answer = Client().get(
        "/library", headers={"HX-Request": "true", "HX-Current-URL": "http://testserver/library?kind=voice"}
    )
    assert answer["HX-Redirect"] == "/sign-in?next=%2Flibrary%3Fkind%3Dvoice"


def test_a_removed_connection_is_gone_from_pages(page_of, alice, connection):
    Connection.objects.update(removed_at=clock.now(), removed_by="test")
    client = page_of(alice)
    assert "Suporte" not in text(client.get("/integrations"))
    assert client.post(f"/integrations/{ids.text(connection.pk)}/resume").status_code == 404
