"""What waits for the scanner or lies in quarantine reaches nobody, in no form; and what was said in a file, as captions."""

from __future__ import annotations

import pytest

from acervo.base import clock
from acervo.models import AuditEntry, MediaFile, RenditionKind
from acervo.play import door
from tests.play.test_door import make_rendition, play

pytestmark = pytest.mark.usefixtures("one_connection")

EVERYTHING = ("original", "original?download=1", "mp3", "thumb_320", "captions.vtt", "page-1", "nothing")


@pytest.fixture
def media(kept_file):
    found = kept_file(body=b"OggS perhaps more than a note")
    make_rendition(found, RenditionKind.MP3, b"ID3", "audio/mpeg")
    make_rendition(found, RenditionKind.THUMB_320, b"RIFF", "image/webp")
    return found


def change(media, **facts):
    MediaFile.objects.filter(pk=media.pk).update(**facts)


@pytest.mark.parametrize("what", EVERYTHING)
def test_a_file_that_waits_for_the_scanner_is_not_served(ask, alice, media, what):
    change(media, held_at=clock.now())
    answer = ask(alice, play(media, what))
    assert answer.status_code == 423
    assert "waiting for the malware scanner" in answer.text
    assert not AuditEntry.objects.of("file", media.pk).exists()


@pytest.mark.parametrize("what", EVERYTHING)
def test_a_file_in_quarantine_is_not_served_until_it_is_released(ask, alice, media, what):
    change(media, held_at=clock.now(), scanned_at=clock.now(), infection="Test.Signature")
    answer = ask(alice, play(media, what))
    assert (answer.status_code, "quarantine" in answer.text) == (423, True)
    assert "Test.Signature" not in answer.text
    change(media, released_at=clock.now())
    assert ask(alice, play(media, what)).status_code == (200 if what in EVERYTHING[:4] else 404)


def test_the_refusal_is_in_the_language_of_the_reader(ask, alice, media, monkeypatch):
    spoken = []
    monkeypatch.setattr(
        door, "_held", lambda found: spoken.append(door.translation.get_language()) or door._not_yet()
    )
    change(media, held_at=clock.now())
    alice.language = "pt-br"
    alice.save()
    ask(alice, play(media))
    assert spoken == ["pt-br"]


def test_to_strangers_a_held_file_does_not_exist(ask, charlie, media):
    change(media, held_at=clock.now())
    assert [ask(who, play(media)).status_code for who in (None, charlie)] == [404, 404]


def test_captions_are_text_that_runs_nowhere(ask, alice, media, monkeypatch):
    monkeypatch.setattr(
        door.transcripts, "captions", lambda pk: "WEBVTT\n\nolá\n" if pk == media.pk else None
    )
    answer = ask(alice, play(media, "captions.vtt"))
    assert (answer.status_code, answer.text) == (200, "WEBVTT\n\nolá\n")
    assert answer.headers["content-type"] == "text/vtt; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    named = ask(alice, play(media, "captions.vtt") + "?download=1").headers["content-disposition"]
    assert named == f'attachment; filename="{media.slug}.vtt"'
    deeds = AuditEntry.objects.of("file", media.pk).values_list("action", flat=True)
    assert set(deeds) == {"file.opened", "file.downloaded"}


def test_a_file_nobody_listened_to_has_no_captions(ask, alice, charlie, media):
    assert ask(alice, play(media, "captions.vtt")).status_code == 404
    assert ask(charlie, play(media, "captions.vtt")).status_code == 404


def test_looking_at_a_page_of_a_document_is_opening_it(ask, alice, kept_file):
    media = kept_file(body=b"%PDF-1.7", kind="document", mime="application/pdf")
    page = make_rendition(media, RenditionKind.POSTER, b"RIFFxxxxWEBP", "image/webp")
    type(page).objects.filter(pk=page.pk).update(kind=RenditionKind.PAGE, page=2)
    assert ask(alice, play(media, "page-2")).headers["cache-control"] == "private, no-store"
    assert [e.details for e in AuditEntry.objects.of("file", media.pk)] == [{"what": "page-2"}]
    assert ask(alice, play(media, "page-1")).status_code == 404
