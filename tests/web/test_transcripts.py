"""Transcripts and their engine as members see them: read, corrected, taken away, set up."""

from __future__ import annotations

import pytest
from django.urls import reverse

from acervo.base import clock, ids
from acervo.keep import credentials
from acervo.models import (
    AuditEntry,
    MediaFile,
    Transcriber,
    Transcript,
    TranscriptEdit,
    TranscriptSegment,
    by_member,
)
from acervo.transcribers.contract import KeyRefused, Said
from acervo.transcribers.fake.adapter import SCRIPTS, Script
from acervo.web import words
from tests.conftest import make_member

SECRET = "sk-canary-90ab"


@pytest.fixture
def transcriber(workspace):
    return Transcriber.objects.create(workspace=workspace, engine="fake", model="a-model", changed_by="test")


def spoken(media, *said, **facts):
    """A transcript as the engine left it."""
    said = said or (Said(0.0, 2.0, "Bom dia", 0.9), Said(2.0, 5.0, "a entrega não chegou", 0.41))
    row = Transcript.objects.create(
        workspace_id=media.workspace_id, media=media, asked_by="test", made_at=clock.now(), engine="fake",
        model="a-model", language="pt", text="\n".join(one.text for one in said), attempts=1, **facts,
    )  # fmt: skip
    for position, one in enumerate(said):
        TranscriptSegment.objects.create(
            transcript=row, position=position, start_s=one.start_s, end_s=one.end_s, text=one.text,
            confidence=one.confidence,
        )  # fmt: skip
    return row


def unmade(media, **facts):
    return Transcript.objects.create(workspace_id=media.workspace_id, media=media, asked_by="test", **facts)


def text(answer):
    return answer.content.decode()


def panel(client, media):
    """The transcript's part of the file's page."""
    page = text(client.get(f"/m/{media.slug}"))
    return (
        page.split('<live-part id="transcript">')[1].split("</live-part>")[0]
        if "transcript-title" in page
        else ""
    )


def form(**changes):
    typed = {
        "engine": "openai", "api_base": "https://api.example.com/v1", "model": "whisper-1", "key": SECRET, "language": "pt",
        "is_automatic": "yes", "longest_minutes": "30",
    }  # fmt: skip
    return {**typed, **changes}


# ── the file's page ──


def test_passages_stand_with_their_times_in_their_own_language(page_of, alice, kept_file, transcriber):
    media = kept_file()
    spoken(media)
    shown = panel(page_of(alice), media)
    assert '<ol class="tr" lang="pt"' in shown
    assert "Bom dia" in shown
    assert 'data-second="2.0" aria-label="Play from 0:02"' in shown
    assert "Portuguese" in shown
    assert "Listen before you quote it." in shown


def test_what_the_engine_doubted_says_so_in_words(page_of, alice, kept_file, transcriber):
    media = kept_file()
    spoken(media)
    shown = panel(page_of(alice), media)
    assert shown.count("doubtful: 41%") == 1
    assert "61% certain" in shown


def test_an_engine_without_times_says_so(page_of, alice, kept_file, transcriber):
    media = kept_file(duration_s=90.0)
    spoken(media, Said(0.0, 90.0, "tudo junto"))
    assert "This engine tells no exact times." in panel(page_of(alice), media)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({}, "Waiting for its turn"),
        ({"attempts": 1}, "The engine is listening"),
        ({"attempts": 1, "heard_s": 3.0}, "0:03 of 0:05 heard"),
        ({"attempts": 2, "refusal": "rate_limited", "refused_at": clock.now()}, "asked us to slow down"),
        (
            {"attempts": 6, "refusal": "sound_refused", "refused_at": clock.now(), "stopped_at": clock.now()},
            "could not read this recording",
        ),
        (
            {"refusal": "no_consent", "refused_at": clock.now(), "stopped_at": clock.now()},
            "did not agree to transcripts",
        ),
    ],
)
def test_a_transcript_that_is_not_there_says_why_and_what_comes(
    facts, said, page_of, alice, kept_file, transcriber
):
    media = kept_file()
    unmade(media, **facts)
    assert said in panel(page_of(alice), media)


def test_a_paused_engine_is_named_as_the_reason(page_of, alice, bob, kept_file, transcriber):
    media = kept_file()
    unmade(media)
    Transcriber.objects.update(paused_at=clock.now(), pause_reason="key_refused")
    for member, may_configure in ((alice, True), (bob, False)):
        shown = panel(page_of(member), media)
        assert "The engine is paused" in shown
        assert "does not accept the key" in shown
        assert (reverse("settings_transcripts") in shown) is may_configure


def test_without_an_engine_it_says_who_can_choose_one(page_of, alice, bob, kept_file):
    media = kept_file()
    assert reverse("settings_transcripts") in panel(page_of(alice), media)
    assert "An administrator can choose an engine" in panel(page_of(bob), media)


def test_nothing_heard_is_said(page_of, alice, kept_file, transcriber):
    media = kept_file()
    row = spoken(media)
    row.segments.all().delete()
    assert "No speech was heard" in panel(page_of(alice), media)


def test_a_picture_has_no_transcript_at_all(page_of, alice, kept_file, transcriber):
    assert panel(page_of(alice), kept_file(kind="image", mime="image/png", duration_s=None)) == ""


def test_an_auditor_reads_and_changes_nothing(page_of, workspace, kept_file, transcriber):
    media = kept_file()
    spoken(media)
    shown = panel(page_of(make_member(workspace, "Dora", "auditor")), media)
    assert "Bom dia" in shown
    assert "Correct what is said" not in shown
    assert "Transcribe again" not in shown


def test_markup_in_speech_is_only_text(page_of, alice, kept_file, transcriber):
    media = kept_file()
    spoken(media, Said(0, 1, "<script>alert(1)</script>", 0.9))
    assert "<script>alert" not in panel(page_of(alice), media)


def test_asking_sends_it_on_its_way(page_of, bob, kept_file, transcriber):
    media = kept_file()
    answer = page_of(bob).post(reverse("ask_transcript", args=[media.pk]), follow=True)
    assert "on its way to the engine" in text(answer)
    assert Transcript.objects.get().state == "waiting"


def test_asking_again_over_corrections_needs_a_word_for_it(page_of, bob, kept_file, transcriber):
    media = kept_file()
    row = spoken(media, edited_at=clock.now())
    TranscriptEdit.objects.create(segment=row.segments.first(), before="x", after="y", by=by_member(bob))
    client, address = page_of(bob), reverse("ask_transcript", args=[media.pk])
    assert "the corrections may go" in text(client.post(address, follow=True))
    assert Transcript.objects.get().state == "made"
    client.post(address, {"is_sure": "1"})
    assert Transcript.objects.get().state == "waiting"


# ── corrections ──


def test_a_passage_is_corrected_in_place(page_of, bob, kept_file, transcriber):
    media = kept_file()
    one = spoken(media).segments.last()
    client, address = page_of(bob), reverse("segment", args=[media.pk, one.pk])
    htmx = {"HX-Request": "true"}
    opened = text(client.get(address, headers=htmx))
    assert "<textarea" in opened
    assert "a entrega não chegou</textarea>" in opened
    saved = text(client.post(address, {"text": "a encomenda não chegou", "seen": one.text}, headers=htmx))
    assert saved.strip().startswith("<li")
    assert "a encomenda não chegou" in saved
    assert "Corrected by Bob" in saved
    assert "doubtful" not in saved
    page = panel(client, media)
    assert "1 correction" in page
    assert "a entrega não chegou" in page  # what stood there before
    history = text(client.get(f"/m/{media.slug}"))
    assert "The transcript was corrected" in history


def test_a_form_can_be_left(page_of, bob, kept_file, transcriber):
    media = kept_file()
    one = spoken(media).segments.first()
    address = reverse("segment", args=[media.pk, one.pk])
    left = text(page_of(bob).get(f"{address}?leave=1", headers={"HX-Request": "true"}))
    assert "<textarea" not in left
    assert "autofocus" in left  # the keyboard is where it was


def test_somebody_else_s_correction_is_shown_and_what_was_typed_is_kept(page_of, bob, kept_file, transcriber):
    media = kept_file()
    one = spoken(media).segments.last()
    TranscriptSegment.objects.filter(pk=one.pk).update(text="o pedido não chegou")
    answer = page_of(bob).post(
        reverse("segment", args=[media.pk, one.pk]),
        {"text": "a encomenda não chegou", "seen": one.text},
        headers={"HX-Request": "true"},
    )
    assert answer.status_code == 409
    assert "a encomenda não chegou</textarea>" in text(answer)
    assert "o pedido não chegou</blockquote>" in text(answer)
    assert 'name="seen" value="o pedido não chegou"' in text(answer)


def test_without_javascript_the_page_itself_has_the_form(page_of, bob, kept_file, transcriber):
    media = kept_file()
    one = spoken(media).segments.last()
    client, address = page_of(bob), reverse("segment", args=[media.pk, one.pk])
    shown = client.get(address, follow=True)
    assert "<textarea" in text(shown)
    answer = client.post(address, {"text": "a encomenda", "seen": one.text})
    assert answer.status_code == 302
    assert TranscriptSegment.objects.get(pk=one.pk).text == "a encomenda"


@pytest.mark.parametrize("member", ["charlie", "bob_in_a_team"])
def test_nobody_corrects_what_they_may_not_see(
    member, page_of, charlie, bob, team, kept_file, transcriber, announced_file
):
    media = kept_file(kind="audio")  # Bob's team sees voice notes
    one = spoken(media).segments.first()
    client = page_of(charlie if member == "charlie" else bob)
    address = reverse("segment", args=[media.pk, one.pk])
    assert client.get(address, headers={"HX-Request": "true"}).status_code == 404
    assert client.post(address, {"text": "x"}).status_code == 404
    assert client.get(reverse("transcript_text", args=[media.pk, "txt"])).status_code == 404
    assert TranscriptSegment.objects.get(pk=one.pk).text == "Bom dia"


def test_a_passage_of_another_file_is_not_reached_through_one_s_own(
    page_of, bob, team, kept_file, transcriber
):
    hidden, own = kept_file(kind="audio"), kept_file(kind="voice")
    one = spoken(hidden).segments.first()
    spoken(own)
    assert page_of(bob).post(reverse("segment", args=[own.pk, one.pk]), {"text": "x"}).status_code == 404


# ── taken away ──


@pytest.mark.parametrize(
    ("kind", "mime", "begins"), [("vtt", "text/vtt", "WEBVTT\n"), ("txt", "text/plain", "[0:00] Bom dia\n")]
)
def test_a_transcript_is_downloaded_under_a_name_that_tells_nothing(
    kind, mime, begins, page_of, bob, kept_file, transcriber
):
    media = kept_file(file_name="exame da Ana.ogg")
    spoken(media)
    answer = page_of(bob).get(reverse("transcript_text", args=[media.pk, kind]))
    assert answer["Content-Type"] == f"{mime}; charset=utf-8"
    assert answer["Content-Disposition"] == f'attachment; filename="{media.slug}.{kind}"'
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert text(answer).startswith(begins)
    entry = AuditEntry.objects.get(action="transcript.downloaded")
    assert (entry.subject_id, entry.reason) == (media.pk, kind)


def test_there_is_nothing_to_download_before_it_is_made(page_of, bob, kept_file, transcriber):
    media = kept_file()
    unmade(media)
    assert page_of(bob).get(reverse("transcript_text", args=[media.pk, "vtt"])).status_code == 404
    assert page_of(bob).get(f"/m/{media.slug}/transcript.exe").status_code == 404


# ── the settings page ──


def test_an_engine_is_chosen_and_its_key_never_shown_again(page_of, alice, workspace):
    client = page_of(alice)
    answer = client.post(reverse("settings_transcripts"), form(), follow=True)
    assert "Try the engine before you rely on it." in text(answer)
    row = Transcriber.objects.get()
    assert (row.engine, row.model, row.language, row.is_automatic, row.longest_s) == (
        "openai", "whisper-1", "pt", True, 1800,
    )  # fmt: skip
    assert credentials.open_engine_secrets(row) == {"key": SECRET}
    assert SECRET not in text(client.get(reverse("settings_transcripts")))
    assert SECRET not in str(list(AuditEntry.objects.values()))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"api_base": "api.example.com"}, "Write a whole address"),
        ({"api_base": "ftp://api.example.com"}, "Write a whole address"),
        ({"api_base": "https://user:pw@api.example.com/v1"}, "Write a whole address"),
        ({"api_base": "https://127.0.0.1/v1"}, "private network"),
        ({"model": ""}, "Write the model"),
        ({"engine": "fake"}, "Choose one of these"),
        ({"engine": ""}, "Choose one of these"),
        ({"language": "klingon"}, "Choose one of these"),
        ({"longest_minutes": "0"}, "whole number from 1 to 120"),
        ({"longest_minutes": "many"}, "whole number from 1 to 120"),
        ({"engine": "faster_whisper", "model": "small"}, "whole path"),
    ],
)
def test_what_is_wrong_is_said_beside_the_field_and_nothing_is_saved(changes, said, page_of, alice, settings):
    settings.ACERVO_ALLOW_PRIVATE_HOSTS = ()
    answer = page_of(alice).post(reverse("settings_transcripts"), form(**changes))
    assert answer.status_code == 422
    assert said in text(answer)
    assert SECRET not in text(answer)
    assert not Transcriber.objects.exists()


def test_another_address_asks_for_its_own_key(page_of, alice):
    client = page_of(alice)
    client.post(reverse("settings_transcripts"), form())
    answer = client.post(
        reverse("settings_transcripts"), form(key="", api_base="https://other.example.com/v1")
    )
    assert answer.status_code == 422
    assert "only sent to the address it was given for" in text(answer)


def test_trying_the_engine_shows_what_it_heard(page_of, alice, transcriber):
    SCRIPTS["a-model"] = Script((Said(0.0, 1.0, "É só pra confirmar"),))
    assert "it heard: “É só pra confirmar”" in text(page_of(alice).post(reverse("try_engine")))


def test_trying_the_engine_shows_what_went_wrong_in_words(page_of, alice, transcriber):
    SCRIPTS["a-model"] = Script(troubles=[KeyRefused()])
    shown = text(page_of(alice).post(reverse("try_engine")))
    assert str(words.TRANSCRIPT_TROUBLES["key_refused"]) in shown
    assert Transcriber.objects.get().paused_at is None


def test_the_engine_is_paused_resumed_and_switched_off(page_of, alice, transcriber, kept_file):
    client = page_of(alice)
    assert "What arrives waits for it." in text(client.post(reverse("pause_engine"), follow=True))
    assert Transcriber.objects.get().pause_reason == "by_hand"
    assert "What waited is on its way." in text(client.post(reverse("resume_engine"), follow=True))
    assert Transcriber.objects.get().paused_at is None
    spoken(kept_file())
    assert "the key is gone" in text(client.post(reverse("remove_engine"), follow=True))
    assert not Transcriber.objects.exists()
    assert Transcript.objects.count() == 1


def test_files_that_have_none_are_counted_and_asked_for(page_of, alice, transcriber, kept_file):
    client = page_of(alice)
    for _ in range(2):
        kept_file()
    assert "Transcribe the 2 files that have none" in text(client.get(reverse("settings_transcripts")))
    answer = text(client.post(reverse("transcribe_all"), follow=True))
    assert "2 files are on their way to the engine." in answer
    assert "<progress" in answer
    assert Transcript.objects.count() == 2


def test_what_another_workspace_has_is_not_counted(page_of, charlie, transcriber, kept_file):
    kept_file()
    page = text(page_of(charlie).get(reverse("settings_transcripts")))
    assert "that has none" not in page
    assert "No engine is chosen" in page
    page_of(charlie).post(reverse("pause_engine"))
    page_of(charlie).post(reverse("remove_engine"))
    assert Transcriber.objects.get().paused_at is None


def test_a_card_shows_what_was_said(page_of, alice, kept_file, transcriber):
    media = kept_file()
    spoken(media)
    shown = text(page_of(alice).get("/library?q=entrega"))
    assert f"/m/{media.slug}" in shown
    assert "a entrega não chegou" in shown
    assert MediaFile.objects.count() == 1
    assert ids.text(media.pk) == media.slug
