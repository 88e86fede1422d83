"""Exports brought in, brought in again, interrupted and taken out: on the real database and a real vault."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from asgiref.sync import async_to_sync

from acervo.base.errors import Refused
from acervo.crms.fake.account import ACCOUNTS, FakeAccount, FakeUpload
from acervo.deliver import outbox, uploading, uploads
from acervo.keep import storage, sweeper, vault
from acervo.models import (
    AuditEntry,
    Chat,
    ChatImport,
    Connection,
    CrmUpload,
    DataKey,
    Delivery,
    MediaFile,
    Message,
    Person,
    PersonIdentifier,
    SizeLimit,
)
from acervo.receive import imported, imports, undone
from acervo.receive.imports import Choice
from sandbox.chat_exports import PHONES, Said, believable, pack
from tests.conftest import keep, make_connection, make_file, make_person

pytestmark = pytest.mark.django_db(transaction=True)

PAYLOADS = Path(__file__).parent / "payloads"
ANDROID = PAYLOADS / "Conversa do WhatsApp com Ana Teste.zip"
IOS = PAYLOADS / "WhatsApp Chat - Ana Teste.zip"
START = datetime(2026, 3, 16, 9, 0)  # noqa: DTZ001  (a phone's clock)
US, THEM = "Bia Loja", "Ana Teste"
ZONE = "America/Sao_Paulo"


def bring(
    connection: Connection, path: Path, *, us: str = US, phone: str = "+15555550142", **choice: Any
) -> ChatImport:
    """From the archive to the end of its import, as the command does it."""
    run = asked(connection, path, phone=phone)
    us = us if us in run.report["authors"] else ""
    imports.begin(run, Choice(us, ZONE, **choice), by="test")
    return go_on(run, path)


def asked(connection: Connection, path: Path, *, phone: str = "+15555550142") -> ChatImport:
    look = imports.look(path)
    return imports.ask(
        connection, look, name=THEM, phone=phone, archive_name=path.name, time_zone=ZONE, by="test"
    )


def go_on(run: ChatImport, path: Path | None) -> ChatImport:
    async_to_sync(imported.go_on)(run.pk, lambda files: None, path=path)
    run.refresh_from_db()
    return run


def undo(run: ChatImport) -> ChatImport:
    imports.ask_undo(run, by="test")
    async_to_sync(undone.undo)(run.pk)
    run.refresh_from_db()
    return run


def tables() -> dict[str, int]:
    kinds = (Message, MediaFile, Chat, Person, PersonIdentifier, DataKey, Delivery)
    return {kind.__name__: kind._default_manager.count() for kind in kinds}


def objects() -> set[str]:
    async def all_of_them() -> set[str]:
        return {found.key async for found in storage.configured().list()}

    return async_to_sync(all_of_them)()


def long_chat(folder: Path, messages: int, files: int) -> Path:
    said = list(believable(messages, files, us=US, them=THEM, start=START))
    bodies = {one.file_name: f"file {one.file_name}\n".encode() * 20 for one in said if one.file_name}
    return pack(folder, said, bodies, PHONES["android pt"], THEM)


def test_what_an_export_says_becomes_messages_and_sealed_files(connection: Connection) -> None:
    run = bring(connection, ANDROID)
    assert (run.state, run.done, run.total, run.new_messages, run.new_files) == ("finished", 11, 11, 11, 6)
    assert run.missing_files == 1
    voice = MediaFile.objects.get(kind="voice")
    assert voice.sent_at == datetime(2026, 10, 5, 17, 34, tzinfo=UTC)
    assert voice.received_at == voice.sent_at
    assert voice.file_name == "PTT-20261005-WA0013.opus"
    assert voice.message.chat_import == run
    assert voice.message.extra["claimed"] == {"author": THEM, "at": "05/10/2026 14:34", "line": 8}
    assert voice.sealing == "acervo"
    assert async_to_sync(vault.read_all)(voice)[:4] == b"OggS"
    image = MediaFile.objects.get(kind="image")
    assert (image.direction, image.caption) == ("out", "Segue o comprovante")
    (absent,) = Message.objects.filter(type="absent_file")
    assert absent.extra["absent"] == {"kind": ""}


def test_an_export_of_another_kind_of_phone_says_the_same(connection: Connection) -> None:
    run = bring(connection, IOS)
    assert (run.state, run.new_files, run.missing_files) == ("finished", 3, 2)
    assert MediaFile.objects.get(kind="document").caption == "Recibo.pdf • 1 página"


def test_importing_twice_changes_nothing(connection: Connection) -> None:
    bring(connection, ANDROID)
    before, held = tables(), objects()
    with pytest.raises(imports.AlreadyImported):
        asked(connection, ANDROID)
    assert (tables(), objects()) == (before, held)


def test_a_later_longer_export_brings_only_what_is_new(connection: Connection, tmp_path: Path) -> None:
    said = list(believable(300, 10, us=US, them=THEM, start=START))
    bodies = {one.file_name: one.file_name.encode() for one in said if one.file_name}
    for name, part in (("first", said[:200]), ("second", said)):
        folder = tmp_path / name
        folder.mkdir()
        pack(folder, part, bodies, PHONES["android pt"], THEM)
    name = "Conversa do WhatsApp com Ana Teste.zip"
    first = bring(connection, tmp_path / "first" / name)
    second = bring(connection, tmp_path / "second" / name)
    assert (first.new_messages, second.new_messages, second.known_messages) == (200, 100, 200)
    assert Message.objects.count() == 300
    assert MediaFile.objects.count() == 10


def test_another_phone_of_the_same_chat_doubles_nothing(connection: Connection, tmp_path: Path) -> None:
    said = [
        Said(START, THEM, "bom dia"),
        Said(START + timedelta(seconds=40), THEM, "tudo bem?"),
        Said(START + timedelta(minutes=3), US, "tudo"),
    ]
    android = pack(tmp_path, said, {}, PHONES["android pt"], THEM)
    ios = pack(
        tmp_path, [replace(one, at=one.at + timedelta(seconds=7)) for one in said], {}, PHONES["ios pt"], THEM
    )
    bring(connection, android)
    again = bring(connection, ios)
    assert (again.new_messages, again.known_messages) == (0, 3)


def test_a_file_that_was_captured_is_linked_and_not_stored_again(
    connection: Connection, tmp_path: Path
) -> None:
    person = make_person(connection.workspace, THEM)
    long_ago = datetime(2025, 1, 1, tzinfo=UTC)
    captured = keep(
        make_file(connection, person=person, sent_at=long_ago, kind="document"), b"the same bytes"
    )
    path = pack(
        tmp_path,
        [Said(START, THEM, kind="file", file_name="A.pdf"), Said(START, US, kind="file", file_name="B.pdf")],
        {"A.pdf": b"the same bytes", "B.pdf": b"the same bytes"},
        PHONES["android pt"],
        THEM,
    )
    held = objects()
    run = bring(connection, path)
    assert (run.new_messages, run.new_files, run.linked_files) == (2, 0, 2)
    assert objects() == held
    for message in Message.objects.filter(chat_import=run):
        assert message.extra["same_as"] == str(captured.pk)
    undo(run)
    captured.refresh_from_db()
    assert async_to_sync(vault.read_all)(captured) == b"the same bytes"


def test_a_message_that_was_captured_is_not_doubled(connection: Connection, tmp_path: Path) -> None:
    person = make_person(connection.workspace, THEM)
    moment = datetime(2026, 3, 16, 12, 0, 41, tzinfo=UTC)
    captured = keep(make_file(connection, person=person, sent_at=moment, kind="document"), b"bytes")
    Message.objects.create(
        workspace=connection.workspace, connection=connection, chat=captured.chat, provider_id="wamid.1",
        direction="in", type="text", text="bom  dia", sent_at=moment,
    )  # fmt: skip
    said = [
        Said(START, THEM, "bom dia"),
        Said(START, THEM, "bom dia"),
        Said(START, THEM, kind="file", file_name="A.pdf"),
    ]
    run = bring(connection, pack(tmp_path, said, {"A.pdf": b"bytes"}, PHONES["android pt"], THEM))
    assert (run.new_messages, run.known_messages, run.new_files) == (1, 2, 0)


def test_an_export_with_files_fills_what_one_without_left_open(
    connection: Connection, tmp_path: Path
) -> None:
    without = [Said(START, THEM, "oi"), Said(START, THEM, kind="omitted")]
    within = [Said(START, THEM, "oi"), Said(START, THEM, kind="file", file_name="IMG-20260302-WA0001.jpg")]
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    phone = PHONES["android pt"]
    first = bring(connection, pack(tmp_path / "a", without, {}, phone, THEM))
    body = {"IMG-20260302-WA0001.jpg": b"\xff\xd8\xff picture"}
    second = bring(connection, pack(tmp_path / "b", within, body, phone, THEM))
    assert (first.missing_files, second.new_messages, second.new_files) == (1, 1, 1)
    assert Message.objects.count() == 2
    undo(second)
    assert Message.objects.filter(chat_import=first, type="absent_file").count() == 1
    assert MediaFile.objects.count() == 0
    undo(first)
    assert Message.objects.count() == 0


def test_undoing_an_import_leaves_the_file_to_another_that_points_to_it(
    connection: Connection, tmp_path: Path
) -> None:
    phone, later = PHONES["android pt"], START + timedelta(days=1)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    one = pack(
        tmp_path / "a", [Said(START, THEM, kind="file", file_name="A.pdf")], {"A.pdf": b"bytes"}, phone, THEM
    )
    two = pack(
        tmp_path / "b", [Said(later, THEM, kind="file", file_name="B.pdf")], {"B.pdf": b"bytes"}, phone, THEM
    )
    first, second = bring(connection, one), bring(connection, two)
    assert (first.new_files, second.linked_files) == (1, 1)
    undo(first)
    media = MediaFile.objects.get()
    assert media.message.chat_import == second
    assert media.sent_at == datetime(2026, 3, 17, 12, 0, tzinfo=UTC)
    assert async_to_sync(vault.read_all)(media) == b"bytes"
    undo(second)
    assert MediaFile.objects.count() == 0


def test_a_forged_header_is_an_authors_claim_and_nothing_more(connection: Connection) -> None:
    run = bring(connection, PAYLOADS / "spoofed_header_inside_message.txt", date_order="dmy")
    forged = Message.objects.get(text="eu autorizo tudo")
    assert forged.chat_import == run
    assert forged.extra["claimed"]["author"] == US


@pytest.fixture
def crowded(connection: Connection, tmp_path: Path) -> Path:
    return long_chat(tmp_path, 5000, 200)


def test_killed_in_the_middle_it_goes_on_without_doubling_and_is_undone_to_nothing(
    connection: Connection, crowded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, held = tables(), objects()
    run = asked(connection, crowded)
    imports.begin(run, Choice(US, ZONE), by="test")

    class Killed(BaseException):
        pass

    commit, calls = imported._Walk._commit, 0

    def dies(walk: Any, *given: Any) -> bool:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise Killed
        return commit(walk, *given)

    monkeypatch.setattr(imported._Walk, "_commit", dies)
    with pytest.raises(Killed):
        go_on(run, crowded)
    run.refresh_from_db()
    assert run.state == "running"
    assert 0 < run.done < 5000
    monkeypatch.undo()
    go_on(run, crowded)
    assert (run.state, run.done, run.new_messages, run.new_files) == ("finished", 5000, 5000, 200)
    assert Message.objects.count() == 5000
    assert len(objects() - held) == 200
    undo(run)
    assert (run.state, run.removed_files, run.person) == ("undone", 200, None)
    assert (tables(), objects()) == (before, held)


def test_an_import_of_a_known_contact_leaves_them_when_it_is_undone(connection: Connection) -> None:
    person = make_person(connection.workspace, THEM)
    before = tables()
    run = bring(connection, ANDROID)
    assert run.person == person
    undo(run)
    assert tables() | {"DataKey": 0} == before | {"DataKey": 0}
    assert run.person == person


def test_a_file_over_the_limit_of_its_kind_stays_out_and_its_message_stays(
    connection: Connection, tmp_path: Path
) -> None:
    said = [
        Said(START, THEM, "o vídeo", kind="file", file_name="VID-20260316-WA0001.mp4"),
        Said(START + timedelta(minutes=1), THEM, kind="file", file_name="DOC-20260316-WA0002.pdf"),
        Said(START + timedelta(minutes=2), THEM, kind="file", file_name="VID-20260316-WA0003.mp4"),
        Said(START + timedelta(minutes=3), THEM, kind="file", file_name="VID-20260316-WA0004.mp4"),
    ]
    bodies = {said[0].file_name: b"v" * 2000, said[1].file_name: b"d" * 2000, said[2].file_name: b"v" * 1000}
    path = pack(tmp_path, said, bodies, PHONES["android pt"], THEM)
    limit = SizeLimit.objects.create(
        workspace=connection.workspace, kind="video", max_bytes=1000, changed_by="test"
    )
    run = bring(connection, path)
    assert (run.state, run.new_messages, run.new_files, run.missing_files) == ("finished", 4, 2, 1)
    assert set(MediaFile.objects.values_list("file_name", flat=True)) == {
        said[1].file_name,
        said[2].file_name,
    }
    (kept_out,) = imports.too_large(run)
    assert kept_out.extra["absent"] == {
        "kind": "video", "name": said[0].file_name, "why": "too_large", "size_bytes": 2000,
    }  # fmt: skip
    assert "o vídeo" in (kept_out.text or "")
    assert [one.extra["absent"]["name"] for one in imports.missing(run)] == [said[3].file_name]
    undo(run)
    limit.delete()
    run = bring(connection, path)
    assert (run.new_files, run.missing_files, imports.too_large(run).count()) == (3, 1, 0)


def test_a_larger_limit_lets_a_longer_export_fill_what_was_kept_out(
    connection: Connection, tmp_path: Path
) -> None:
    video = Said(START, THEM, kind="file", file_name="VID-20260316-WA0001.mp4")
    bodies = {video.file_name: b"v" * 2000}
    paths = []
    for name, said in (("first", [video]), ("second", [video, Said(START + timedelta(hours=1), US, "oi")])):
        (tmp_path / name).mkdir()
        paths.append(pack(tmp_path / name, said, bodies, PHONES["android pt"], THEM))
    limit = SizeLimit.objects.create(
        workspace=connection.workspace, kind="video", max_bytes=1000, changed_by="test"
    )
    first = bring(connection, paths[0])
    assert (first.new_files, imports.too_large(first).count()) == (0, 1)
    limit.delete()
    second = bring(connection, paths[1])
    assert (second.new_files, MediaFile.objects.get().message.type) == (1, "video")
    assert imports.too_large(first).count() == imports.too_large(second).count() == 0
    assert Message.objects.count() == 2


def test_two_that_go_on_at_once_do_the_work_once(connection: Connection, tmp_path: Path) -> None:
    path = long_chat(tmp_path, 600, 30)
    run = asked(connection, path)
    imports.begin(run, Choice(US, ZONE), by="test")

    async def both() -> None:
        await asyncio.gather(*(imported.go_on(run.pk, lambda files: None, path=path) for _ in range(2)))

    async_to_sync(both)()
    run.refresh_from_db()
    assert (run.state, run.new_messages, run.new_files) == ("finished", 600, 30)


def test_what_is_imported_stays_out_of_the_crms_unless_asked(connection: Connection, tmp_path: Path) -> None:
    make_connection(connection.workspace, "hubspot", account_id="42")
    for at, name, delivers, promised in ((START, "a", False, 0), (START + timedelta(hours=1), "b", True, 1)):
        (tmp_path / name).mkdir()
        said = [Said(at, THEM, kind="file", file_name=f"{name}.pdf")]
        path = pack(tmp_path / name, said, {f"{name}.pdf": name.encode()}, PHONES["android pt"], THEM)
        bring(connection, path, delivers=delivers)
        files = MediaFile.objects.filter(file_name=f"{name}.pdf")
        files.update(prepared_at=START.replace(tzinfo=UTC), mime="application/pdf")
        assert outbox.promise(list(files.values_list("pk", flat=True))) == promised


def test_undoing_withdraws_promises_and_tells_how_many_were_kept(
    connection: Connection, tmp_path: Path
) -> None:
    make_connection(connection.workspace, "hubspot", account_id="42")
    run = bring(connection, ANDROID, delivers=True)
    MediaFile.objects.update(prepared_at=START.replace(tzinfo=UTC), mime="application/pdf")
    assert outbox.promise(list(MediaFile.objects.values_list("pk", flat=True))) == 6
    kept = Delivery.objects.order_by("pk").first()
    assert kept
    Delivery.objects.filter(pk=kept.pk).update(delivered_at=START.replace(tzinfo=UTC))
    undo(run)
    assert Delivery.objects.count() == 0
    assert (run.removed_files, run.told_to_crm) == (6, 1)


def test_undoing_takes_out_the_bytes_that_lie_in_a_crm(connection: Connection, tmp_path: Path) -> None:
    crm = make_connection(
        connection.workspace, "fake", purpose="crm", account_id="7", secrets={"token": "undone"}
    )
    run, at = bring(connection, ANDROID, delivers=True), START.replace(tzinfo=UTC)
    there, waiting = MediaFile.objects.order_by("pk")[:2]
    for media in (there, waiting):
        CrmUpload.objects.create(
            workspace=crm.workspace, connection=crm, media=media, asked_at=at, asked_by="test", due_at=at
        )
    account = FakeAccount("undone")
    account.uploads["1"] = FakeUpload(f"image-{there.slug}.jpg", "7", b"bytes")
    CrmUpload.objects.filter(media=there).update(
        file_name=f"image-{there.slug}.jpg", holder_type="media", holder_id="7"
    )
    try:
        undo(run)
        assert uploads.due_connections() == [crm.pk]
        assert async_to_sync(uploading.go_on)(crm.pk, http=httpx.AsyncClient())
    finally:
        ACCOUNTS.pop("undone")
    assert not account.uploads
    assert not CrmUpload.objects.exists()
    assert AuditEntry.objects.get(action="file.upload_removed").subject_id == there.pk


def test_an_uploaded_archive_is_read_sealed_and_let_go(connection: Connection) -> None:
    run = asked(connection, ANDROID)
    async_to_sync(imports.keep_archive)(run, ANDROID)
    run.refresh_from_db()
    assert run.object_key
    imports.begin(run, Choice(US, ZONE), by="test")
    archive_key = run.object_key
    go_on(run, None)
    assert (run.state, run.new_files, run.object_key) == ("finished", 6, None)
    assert archive_key not in objects()


def test_an_archive_whose_import_died_at_its_very_end_is_let_go(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = asked(connection, ANDROID)
    async_to_sync(imports.keep_archive)(run, ANDROID)
    imports.begin(run, Choice(US, ZONE), by="test")
    run.refresh_from_db()
    archive_key = run.object_key

    class Killed(BaseException):
        pass

    async def dies(run: ChatImport) -> None:
        raise Killed

    monkeypatch.setattr(imported, "_forget_archive", dies)
    with pytest.raises(Killed):
        go_on(run, None)
    monkeypatch.undo()
    run.refresh_from_db()
    assert (run.state, run.object_key) == ("finished", archive_key)
    assert list(ChatImport.objects.unfinished()) == [run], "the clock would not come back to it"
    go_on(run, None)
    assert (run.state, run.object_key) == ("finished", None)
    assert archive_key not in objects()
    assert not ChatImport.objects.unfinished().exists()


def test_no_step_of_undoing_leaves_more_than_the_sweeper_clears_away(
    connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = objects()
    run = bring(connection, long_chat(tmp_path, 300, 300))
    steps: list[int] = []
    discard = vault.discard

    async def counted(keys: list[str]) -> None:
        steps.append(len(keys))
        await discard(keys)

    monkeypatch.setattr(vault, "discard", counted)
    undo(run)
    assert sum(steps) == 300
    assert max(steps) <= sweeper.FEW
    assert (run.state, run.removed_files, objects()) == ("undone", 300, held)


def test_a_second_upload_after_a_broken_one_gives_the_import_its_archive(connection: Connection) -> None:
    run = asked(connection, ANDROID)
    assert imports.lacks_archive(run)
    async_to_sync(imports.keep_archive)(run, ANDROID)
    run.refresh_from_db()
    assert not imports.lacks_archive(run)
    held = objects()
    async_to_sync(imports.keep_archive)(run, ANDROID)  # both came through after all
    assert objects() == held


def test_an_import_without_its_archive_says_so_and_can_go_on(connection: Connection) -> None:
    run = asked(connection, ANDROID)
    imports.begin(run, Choice(US, ZONE), by="test")
    assert go_on(run, None).state == "stopped"
    assert run.refusal == "archive_away"
    imports.resume(run, by="test")
    assert go_on(run, ANDROID).state == "finished"


def test_every_step_has_an_author(connection: Connection) -> None:
    run = bring(connection, ANDROID)
    undo(run)
    told = AuditEntry.objects.of("import", run.pk).order_by("number").values_list("action", "by")
    assert list(told) == [
        ("import.asked", "test"),
        ("import.started", "test"),
        ("import.finished", "system:import"),
        ("import.undo_asked", "test"),
        ("import.undone", "test"),
    ]
    assert AuditEntry.objects.filter(action="file.imported").count() == 6
    assert AuditEntry.objects.filter(action="file.removed").count() == 6
    everything = str(list(AuditEntry.objects.values_list("details", "reason")))
    assert THEM not in everything
    assert "IMG" not in everything


def test_a_choice_nobody_can_make_is_asked_for(connection: Connection, tmp_path: Path) -> None:
    said = [Said(START.replace(day=3), THEM, "oi"), Said(START.replace(day=3, hour=11), US, "oi")]
    run = asked(connection, pack(tmp_path, said, {}, PHONES["android es"], THEM))
    assert run.date_order == ""
    assert run.us == US
    for choice, error in (
        (Choice(US, ZONE), imports.DateOrderMissing),
        (Choice("Somebody", ZONE, "dmy"), imports.UsMissing),
        (Choice(US, "Mars/Base", "dmy"), imports.UnknownZone),
    ):
        with pytest.raises(error):
            imports.begin(run, choice, by="test")
    imports.begin(run, Choice(US, ZONE, "mdy"), by="test")
    with pytest.raises(imports.NotWaiting):
        imports.begin(run, Choice(US, ZONE, "dmy"), by="test")


@pytest.mark.parametrize(
    ("name", "phone", "error"),
    [("", "", "contact_missing"), ("Ana", "0155", "wrong_phone"), ("Two", "", "several_contacts")],
)
def test_a_contact_must_be_somebody(connection: Connection, name: str, phone: str, error: str) -> None:
    for _ in range(2):
        make_person(connection.workspace, "Two", phone=None)
    with pytest.raises(Refused) as refused:
        imports.ask(
            connection,
            imports.look(ANDROID),
            name=name,
            phone=phone,
            archive_name="x.zip",
            time_zone=ZONE,
            by="test",
        )
    assert refused.value.code == error
    assert ChatImport.objects.count() == 0


def test_files_go_on_their_journey_in_the_transaction_that_keeps_them(connection: Connection) -> None:
    run = asked(connection, ANDROID)
    imports.begin(run, Choice(US, ZONE), by="test")
    told: list[UUID] = []
    async_to_sync(imported.go_on)(run.pk, told.extend, path=ANDROID)
    assert set(told) == set(MediaFile.objects.values_list("pk", flat=True))


def test_held_for_the_scanner_like_every_other_file(connection: Connection, settings: Any) -> None:
    settings.ACERVO_CLAMD = "127.0.0.1:1"
    bring(connection, ANDROID)
    assert MediaFile.objects.awaiting_scan().count() == 6


def test_the_hours_that_a_clock_skips_or_repeats_stop_nothing() -> None:
    skipped, twice = datetime(2026, 3, 29, 2, 30), datetime(2026, 10, 25, 2, 30)  # noqa: DTZ001
    assert imports.moment_in("Europe/Berlin", skipped) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert imports.moment_in("Europe/Berlin", twice) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
