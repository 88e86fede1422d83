"""Why a file may not be had, as each role reads it, and what each may decide."""

from __future__ import annotations

import html

import pytest

from acervo.base import clock, ids
from acervo.models import AuditEntry, Deed, MediaFile, Role, SizeLimit
from acervo.web import custody, words
from tests.conftest import make_file

pytestmark = pytest.mark.django_db
DECIDING = {Role.ADMINISTRATOR, Role.DPO}


def text(answer):
    return html.unescape(answer.content.decode())


@pytest.fixture(autouse=True)
def nothing_remembered_of_scanners():
    custody._known.clear()


@pytest.fixture
def infected(kept_file):
    """Found by a scan of what people had already: prepared, with everything a page would show."""
    media = kept_file(kind="document", mime="application/pdf", file_name="fatura.pdf")
    at = clock.now()
    MediaFile.objects.filter(pk=media.pk).update(scanned_at=at, infection="Win.Trojan.Agent-1")
    details = {"engine": "ClamAV 1.4.3", "signatures": 27500, "signatures_at": at.isoformat()}
    deed = Deed("file.quarantined", "file", media.pk, "Win.Trojan.Agent-1", details)
    AuditEntry.objects.record(media.workspace_id, "system:scan", [deed])
    return media


@pytest.fixture
def held(kept_file):
    media = kept_file()
    at = clock.now()
    MediaFile.objects.filter(pk=media.pk).update(
        held_at=at, prepared_at=None, mime=None, refusal="scan_too_large", refused_at=at
    )
    return media


@pytest.fixture
def oversized(connection):
    now = clock.now()
    media = make_file(connection, kind="video", refusal="too_large", refused_at=now, gone_at=now)
    details = {"attempts": 1, "size_bytes": 150_000_000, "limit_bytes": 100_000_000}
    AuditEntry.objects.record(
        media.workspace_id, "system:capture", [Deed("file.lost", "file", media.pk, "too_large", details)]
    )
    return media


# ── quarantine ──


@pytest.mark.parametrize("role", Role.values)
def test_what_is_in_quarantine_is_shown_to_nobody_and_decided_by_few(role, infected, everybody, page_of):
    page = text(page_of(everybody[role]).get(f"/m/{infected.slug}"))
    for said in ("This file is in quarantine", "Win.Trojan.Agent-1", "ClamAV 1.4.3", "27500"):
        assert said in page
    assert f"/play/{infected.slug}" not in page
    assert ("Release it from quarantine" in page) is (role in DECIDING)
    assert ("an administrator decides" in page) is (role not in DECIDING)


def test_a_card_of_the_library_says_so_and_shows_nothing_of_it(infected, held, page_of, alice):
    page = text(page_of(alice).get("/library"))
    assert "In quarantine" in page
    assert "Being checked for malware" in page
    for media in (infected, held):
        assert f"/play/{media.slug}" not in page


@pytest.mark.parametrize("role", sorted(DECIDING))
def test_an_officer_releases_with_a_reason(role, infected, everybody, page_of):
    member = everybody[role]
    client, where = page_of(member), f"/m/{infected.slug}/release"
    assert "Say why in a few words" in text(client.post(where, {"reason": "  "}, follow=True))
    infected.refresh_from_db()
    assert infected.is_quarantined
    page = text(client.post(where, {"reason": "The bank confirmed it"}, follow=True))
    assert "Released. Whoever may see the file can open it now." in page
    assert "The bank confirmed it" in page  # in the history
    infected.refresh_from_db()
    assert infected.is_openable
    assert AuditEntry.objects.get(action="file.released").by == f"member:{ids.text(member.pk)}"
    assert "somebody was faster" in text(client.post(where, {"reason": "again"}, follow=True))


def test_an_officer_leaves_it_where_it_is(infected, everybody, page_of):
    client = page_of(everybody[Role.DPO])
    page = text(client.post(f"/m/{infected.slug}/leave-in-quarantine", {"reason": "It is one"}, follow=True))
    assert "The file stays in quarantine" in page
    assert "Leave it in quarantine, once more" in page
    assert "It is one" in page


def test_what_could_not_be_looked_through_is_told_from_what_was_found(infected, page_of, alice):
    MediaFile.objects.update(infection="Heuristics.Limits.Exceeded.MaxFileSize")
    page = text(page_of(alice).get(f"/m/{infected.slug}"))
    assert "could not look through all of it" in page
    assert "found something in it" not in page


# ── held ──


@pytest.mark.parametrize("role", Role.values)
def test_what_is_held_says_why_and_who_can_decide_otherwise(role, held, everybody, page_of):
    page = text(page_of(everybody[role]).get(f"/m/{held.slug}"))
    assert "Not checked for malware yet" in page
    assert "StreamMaxLength" in page
    assert f"/play/{held.slug}" not in page
    assert ("Let it through unchecked" in page) is (role in DECIDING)
    assert ("can decide otherwise" in page) is (role not in DECIDING)


def test_a_check_under_way_offers_nothing_to_decide(held, page_of, alice):
    MediaFile.objects.update(refusal=None, refused_at=None)
    page = text(page_of(alice).get(f"/m/{held.slug}"))
    assert "opens by itself as soon as the scanner has seen it" in page
    assert "Let it through unchecked" not in page


def test_a_held_file_is_checked_again_or_let_through(held, page_of, everybody):
    client = page_of(everybody[Role.DPO])
    assert "being checked again now" in text(client.post(f"/m/{held.slug}/scan-again", follow=True))
    page = text(client.post(f"/m/{held.slug}/waive-scan", {"reason": "We made it ourselves"}, follow=True))
    assert "Let through unchecked" in page
    held.refresh_from_db()
    assert held.is_openable


# ── too large ──


@pytest.mark.parametrize("role", Role.values)
def test_a_file_over_the_limit_says_its_size_the_limit_and_who_can_change_it(
    role, oversized, everybody, page_of
):
    SizeLimit.objects.create(
        workspace=oversized.workspace, kind="video", max_bytes=20_000_000, changed_by="test"
    )
    page = text(page_of(everybody[role]).get(f"/m/{oversized.slug}"))
    for said in ("This file is larger than the limit", "Limit today: Video", "WhatsApp keeps it until"):
        assert said in page
    assert "150" in page
    assert "20" in page
    assert "Try again now" not in page
    assert ("Fetch it by hand" in page) is (role == Role.ADMINISTRATOR)
    assert ("An administrator can raise the limit" in page) is (role != Role.ADMINISTRATOR)


def test_an_administrator_fetches_it_by_hand(oversized, page_of, alice):
    client, where = page_of(alice), f"/m/{oversized.slug}/fetch-by-hand"
    assert "Say why in a few words" in text(client.post(where, follow=True))
    page = text(client.post(where, {"reason": "The judge asked for it"}, follow=True))
    assert "being fetched now" in page
    assert "The judge asked for it" in page
    oversized.refresh_from_db()
    assert oversized.gone_at is None
    assert oversized.limit_lifted_at is not None
    assert "cannot be lifted" in text(client.post(where, {"reason": "again"}, follow=True))


@pytest.mark.parametrize("role", [Role.AGENT, Role.MANAGER, Role.DPO, Role.AUDITOR])
def test_nobody_else_fetches_it(role, oversized, everybody, page_of):
    answer = page_of(everybody[role]).post(f"/m/{oversized.slug}/fetch-by-hand", {"reason": "I want it"})
    assert answer.status_code == 403
    oversized.refresh_from_db()
    assert oversized.limit_lifted_at is None


def test_after_the_deadline_there_is_nothing_to_fetch(oversized, page_of, alice):
    MediaFile.objects.update(fetch_before=clock.now())
    page = text(page_of(alice).get(f"/m/{oversized.slug}"))
    assert "WhatsApp no longer has it" in page
    assert "Fetch it by hand" not in page


# ── four voices ──


def test_types_are_shown_apart_where_they_differ(kept_file, page_of, alice):
    media = kept_file(
        kind="video", announced_mime="video/mp4", resolved_mime="video/mp4", served_mime="image/jpeg; q=1",
        mime="image/jpeg", is_mistyped=True,
    )  # fmt: skip
    page = text(page_of(alice).get(f"/m/{media.slug}"))
    for said in ("Announced as", "Looked up as", "Served as", "Found to be", "image/jpeg; q=1"):
        assert said in page
    assert "Announced as a video, it is a picture. It is served as what it is." in page


def test_the_same_type_under_several_names_is_one(kept_file, page_of, alice):
    media = kept_file(
        kind="audio", announced_mime="audio/mp4", resolved_mime="audio/x-m4a; codecs=aac", mime="audio/mp4"
    )
    assert "Looked up as" not in text(page_of(alice).get(f"/m/{media.slug}"))


def test_every_pair_of_families_makes_a_sentence():
    assert set(words.ANNOUNCED_AS) == set(words.KINDS)
    assert set(words.FOUND_TO_BE) == {"audio", "video", "image", "document"}


# ── health ──


def test_health_lists_what_is_in_quarantine_and_what_waits(infected, held, page_of, alice, settings):
    settings.ACERVO_CLAMD = "unix:/nowhere/clamd"
    page = text(page_of(alice).get("/health"))
    for said in (
        "Win.Trojan.Agent-1",
        "The malware scanner does not answer",
        "1 file is kept and held for it",
    ):
        assert said in page
    assert "StreamMaxLength" in page
    assert "Isolation of media tools" in page


def test_a_scanner_that_is_away_while_nothing_waits_is_no_alarm(page_of, alice, settings):
    settings.ACERVO_CLAMD = "unix:/nowhere/clamd"
    page = text(page_of(alice).get("/health"))
    assert "Does not answer" in page
    assert "The malware scanner does not answer" not in page


def test_files_held_for_a_scanner_that_was_switched_off_are_an_alarm(held, page_of, alice, settings):
    settings.ACERVO_CLAMD = None
    assert "The malware scanner is switched off" in text(page_of(alice).get("/health"))


def test_a_page_that_renews_itself_asks_the_scanner_seldom(page_of, alice, settings, monkeypatch):
    settings.ACERVO_CLAMD = "unix:/nowhere/clamd"
    asked = []
    monkeypatch.setattr(custody, "_engine", lambda scanner: asked.append(scanner))
    for _ in range(3):
        page_of(alice).get("/health")
    assert len(asked) == 1
