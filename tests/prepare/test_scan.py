"""Nobody has a file before the scanner saw it, nobody has an infected one, and an officer decides about both."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.core.management import CommandError, call_command
from django.db import connection as database

from acervo import journey, timetable
from acervo.base import clock
from acervo.base.database import in_thread
from acervo.deliver import outbox
from acervo.management.commands.doctor import Finding, examine
from acervo.models import AuditEntry, Connection, Delivery, MediaFile, Workspace
from acervo.prepare import quarantine, scan
from acervo.prepare.scan import Verdict
from tests.clamd import EICAR, SIGNATURE, STREAM_MAX_BYTES, Clamd, clamd
from tests.conftest import keep, make_connection, make_file

pytestmark = pytest.mark.django_db(transaction=True)

NOTE = b"OggS as harmless as can be"
Arrive = Callable[..., MediaFile]


@pytest.fixture
def scanner(settings: Any) -> Iterator[Clamd]:
    """A real one, not started yet: the setting names where it will be."""
    with clamd() as made:
        settings.ACERVO_CLAMD = made.address
        yield made


@pytest.fixture
def arrive(connection: Connection) -> Arrive:
    """A file just kept, with a scanner set: held, and not looked into."""

    def make(body: bytes = NOTE, **facts: Any) -> MediaFile:
        media = keep(make_file(connection, **facts), body)
        columns = {"held_at": clock.now(), "prepared_at": None, "mime": None, "duration_s": None}
        MediaFile.objects.filter(pk=media.pk).update(**columns)
        media.refresh_from_db()
        return media

    return make


def jobs(task: str) -> list[str]:
    """Files that jobs of this name wait for."""
    with database.cursor() as cursor:
        cursor.execute(
            "SELECT args->>'media' FROM procrastinate_jobs WHERE task_name = %s AND status = 'todo'",
            [f"acervo:{task}"],
        )
        return [str(row[0]) for row in cursor.fetchall()]


def scanned(media: MediaFile) -> MediaFile:
    """As the step of the journey does it."""
    async_to_sync(journey.scan.func)(media=str(media.pk))
    media.refresh_from_db()
    return media


# ── arriving ──


def test_a_held_file_goes_to_the_scanner_and_to_nobody_else(arrive: Arrive) -> None:
    media = arrive()
    journey.start_prepare([media.pk])
    assert (jobs("scan"), jobs("prepare")) == ([str(media.pk)], [])
    assert media.state == "scanning"
    assert media not in MediaFile.objects.openable()


def test_a_clean_file_is_let_through_and_prepared(arrive: Arrive, scanner: Clamd) -> None:
    scanner.start()
    media = scanned(arrive())
    assert media.is_openable
    assert (media.scanned_at is not None, media.infection) == (True, None)
    assert jobs("prepare") == [str(media.pk)]


def test_an_infected_file_goes_into_quarantine_and_no_further(
    arrive: Arrive, scanner: Clamd, workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    make_connection(workspace, "fake", purpose="crm", account_id="portal")
    scanner.start()
    with caplog.at_level(logging.DEBUG):
        media = scanned(arrive(EICAR, kind="document", file_name="secret-name.com"))
    assert (media.state, media.infection) == ("quarantined", f"{SIGNATURE}.UNOFFICIAL")
    journey.start_prepare([media.pk])
    assert (jobs("prepare"), jobs("scan")) == ([], [])
    MediaFile.objects.filter(pk=media.pk).update(prepared_at=clock.now(), mime="text/plain")
    assert outbox.promise([media.pk]) == 0
    with pytest.raises(CommandError, match="quarantined"):
        call_command("media", "get", media.slug, "-o", "-")
    entry = AuditEntry.objects.get(action="file.quarantined", subject_id=media.pk)
    assert entry.reason == media.infection
    assert entry.details["engine"].startswith("ClamAV")
    assert "secret-name" not in caplog.text + json.dumps(entry.details)


def test_a_second_scan_changes_nothing(arrive: Arrive, scanner: Clamd) -> None:
    scanner.start()
    media = scanned(arrive(EICAR))
    first = media.scanned_at
    assert scanned(media).scanned_at == first
    assert AuditEntry.objects.filter(action="file.quarantined").count() == 1


# ── the scanner is away ──


async def look_for_scanner() -> None:
    await timetable.look_for_scanner.func(0)


def test_files_wait_for_a_scanner_that_is_away_and_go_on_when_it_returns(
    arrive: Arrive, scanner: Clamd
) -> None:
    clean, infected = scanned(arrive()), scanned(arrive(EICAR))
    for media in (clean, infected):
        assert (media.state, media.refusal) == ("scanning", "scanner_away")
        assert not media.is_openable
    async_to_sync(look_for_scanner)()
    assert jobs("scan") == []  # ten thousand files knock at an absent scanner once, together
    scanner.start()
    async_to_sync(look_for_scanner)()
    async_to_sync(look_for_scanner)()
    assert sorted(jobs("scan")) == sorted([str(clean.pk), str(infected.pk)])
    assert (scanned(clean).state, scanned(infected).state) == ("preparing", "quarantined")
    assert jobs("prepare") == [str(clean.pk)]
    assert clean.refusal is None


def test_files_held_for_a_scanner_that_was_switched_off_stay_held_and_say_so(
    arrive: Arrive, settings: Any
) -> None:
    settings.ACERVO_CLAMD = None
    media = scanned(arrive())
    assert (media.state, media.refusal) == ("scanning", "scanner_off")


def test_a_file_larger_than_the_scanner_takes_is_held_with_a_reason(arrive: Arrive, scanner: Clamd) -> None:
    scanner.start()
    media = scanned(arrive(bytes(STREAM_MAX_BYTES + 1)))
    assert (media.state, media.refusal) == ("scanning", "scan_too_large")


def test_bytes_that_cannot_be_read_are_not_clean(arrive: Arrive, scanner: Clamd) -> None:
    scanner.start()
    media = arrive()
    MediaFile.objects.filter(pk=media.pk).update(object_key="ws/nowhere/x")
    assert (scanned(media).state, media.refusal) == ("scanning", "object_missing")


# ── the clock ──


def test_lost_and_failed_scans_are_asked_for_again_and_never_what_is_in_quarantine(arrive: Arrive) -> None:
    now, long_ago = clock.now(), clock.now() - timedelta(minutes=30)

    def held(**columns: Any) -> MediaFile:
        media = arrive()
        MediaFile.objects.filter(pk=media.pk).update(
            **{"held_at": long_ago, "stored_at": long_ago, **columns}
        )
        return media

    again = [
        held(),
        held(refusal="scan_failed", refused_at=long_ago),
        held(refusal="scan_too_large", refused_at=now - timedelta(hours=2)),
    ]
    held(held_at=now)
    held(refusal="scan_failed", refused_at=now)
    held(refusal="scan_too_large", refused_at=long_ago)
    held(refusal="scanner_away", refused_at=long_ago)
    held(scanned_at=now, infection="X")
    cleared = held(scanned_at=now)
    timetable._send_forgotten()
    assert sorted(jobs("scan")) == sorted(str(media.pk) for media in again)
    assert jobs("prepare") == [str(cleared.pk)]


# ── the officer ──


def test_a_released_file_is_everybodys_and_is_prepared(arrive: Arrive) -> None:
    media = arrive()
    MediaFile.objects.filter(pk=media.pk).update(scanned_at=clock.now(), infection="Win.X")
    journey.release(media, "member:x", "  a false alarm  ")
    media.refresh_from_db()
    assert media.is_openable
    assert jobs("prepare") == [str(media.pk)]
    entry = AuditEntry.objects.get(action="file.released")
    assert (entry.by, entry.reason) == ("member:x", "a false alarm")
    with pytest.raises(quarantine.NothingToDecide):
        journey.release(media, "member:x", "again")


@pytest.mark.parametrize("decide", [journey.release, journey.leave_in_quarantine])
def test_a_decision_without_a_reason_is_none(arrive: Arrive, decide: Callable[..., None]) -> None:
    media = arrive()
    MediaFile.objects.filter(pk=media.pk).update(scanned_at=clock.now(), infection="Win.X")
    with pytest.raises(quarantine.ReasonMissing):
        decide(media, "member:x", "   ")
    media.refresh_from_db()
    assert media.is_quarantined
    assert not AuditEntry.objects.filter(subject_id=media.pk).exclude(action="file.kept").exists()


def test_a_file_left_in_quarantine_stays_there(arrive: Arrive) -> None:
    media = arrive()
    MediaFile.objects.filter(pk=media.pk).update(scanned_at=clock.now(), infection="Win.X")
    journey.leave_in_quarantine(media, "member:x", "it is one")
    media.refresh_from_db()
    assert media.is_quarantined
    assert AuditEntry.objects.filter(action="file.left_in_quarantine", reason="it is one").exists()


def test_a_held_file_is_let_through_unscanned_only_by_a_person(arrive: Arrive) -> None:
    media, infected = arrive(), arrive()
    MediaFile.objects.filter(pk=infected.pk).update(scanned_at=clock.now(), infection="Win.X")
    assert journey.waive_scans([media.pk, infected.pk], "member:x", "too large for it") == 1
    media.refresh_from_db()
    infected.refresh_from_db()
    assert (media.is_openable, infected.is_openable) == (True, False)
    assert jobs("prepare") == [str(media.pk)]
    assert AuditEntry.objects.get(action="file.scan_waived").subject_id == media.pk


# ── what people have already ──


async def test_a_file_people_have_stays_open_while_it_is_scanned(
    kept_file: Callable[..., MediaFile], scanner: Clamd
) -> None:
    scanner.start()
    media = await sync_to_async(kept_file)(NOTE)
    assert await scan.rescan(media.pk) == Verdict.CLEAN
    await media.arefresh_from_db()
    assert (media.held_at, media.state) == (None, "ready")


def run(*arguments: str) -> dict[str, int]:
    out = StringIO()
    call_command("scan", *arguments, "--json", stdout=out)
    counts: dict[str, int] = json.loads(out.getvalue())
    return counts


def test_the_archive_is_scanned_by_command_and_goes_on_where_it_was(
    kept_file: Callable[..., MediaFile], scanner: Clamd, workspace: Workspace
) -> None:
    crm = make_connection(workspace, "fake", purpose="crm", account_id="portal")
    files = [kept_file(NOTE + bytes([number])) for number in range(3)]
    infected, large = kept_file(EICAR), kept_file(bytes(STREAM_MAX_BYTES + 1))
    assert outbox.promise([infected.pk]) == 1
    with pytest.raises(CommandError, match="does not answer"):
        run("--unscanned")
    scanner.start()
    assert run("--unscanned", "--limit", "2") == {"clean": 0, "infected": 1, "undecided": 1}
    assert run("--unscanned") == {"clean": 3, "infected": 0, "undecided": 1}
    assert run("--older-than-days", "1") == {"clean": 0, "infected": 0, "undecided": 1}
    assert run("--all") == {"clean": 3, "infected": 0, "undecided": 1}
    for media in [*files, large]:
        media.refresh_from_db()
        assert media.is_openable
    infected.refresh_from_db()
    assert infected.is_quarantined
    assert outbox.due_connections() == []  # what was promised before waits for the officer
    assert outbox.claim(crm.pk) == []
    journey.release(infected, "member:x", "a false alarm")
    assert [row.media_id for row in outbox.claim(crm.pk)] == [infected.pk]
    assert Delivery.objects.count() == 1
    told = AuditEntry.objects.filter(action="workspace.scanned").order_by("number").first()
    assert told is not None
    assert told.details == {"infected": 1, "undecided": 1}


def test_held_files_are_let_through_by_command_when_the_scanner_is_given_up(
    arrive: Arrive, settings: Any
) -> None:
    settings.ACERVO_CLAMD = None
    with pytest.raises(CommandError, match="ACERVO_CLAMD"):
        run("--unscanned")
    media = arrive()
    with pytest.raises(CommandError, match="why"):
        run("--waive", " ")
    assert run("--waive", "no scanner any more") == {"waived": 1}
    media.refresh_from_db()
    assert media.is_openable


# ── the doctor ──


def findings() -> dict[str, Finding]:
    return {found.part: found for found in examine() if found.part.startswith("scanner")}


def test_the_doctor_tries_the_scanner(workspace: Workspace, scanner: Clamd, settings: Any) -> None:
    assert not findings()["scanner"].is_well
    scanner.start()
    settings.ACERVO_MAX_FILE_BYTES = STREAM_MAX_BYTES
    assert all(found.is_well for found in findings().values()), findings()
    settings.ACERVO_MAX_FILE_BYTES = STREAM_MAX_BYTES + 1
    assert not findings()["scanner size"].is_well
    assert "StreamMaxLength" in findings()["scanner size"].cure
    settings.ACERVO_CLAMD = None
    assert findings()["scanner"].is_well


async def test_waiting_files_are_each_given_once(arrive: Arrive) -> None:
    media = await sync_to_async(arrive)()
    at = clock.now()
    await MediaFile.objects.filter(pk=media.pk).aupdate(refusal="scanner_away", refused_at=at)
    assert await in_thread(journey.start_waiting_scans, 10) == 1
    assert await in_thread(journey.start_waiting_scans, 10) == 0
