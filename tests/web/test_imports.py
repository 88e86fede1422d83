"""The pages of chat exports: an upload is looked into, decided about, brought in and taken out; nobody else sees it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from acervo.base import ids
from acervo.models import (
    AuditEntry,
    ChatImport,
    Connection,
    MediaFile,
    Member,
    Message,
    Person,
    SizeLimit,
    Transcriber,
    Transcript,
)
from acervo.receive import imported, imports, undone
from tests.conftest import make_member

pytestmark = pytest.mark.django_db(transaction=True)

PAYLOADS = Path(__file__).parents[1] / "imports" / "payloads"
ANDROID = PAYLOADS / "Conversa do WhatsApp com Ana Teste.zip"
SPOOFED = PAYLOADS / "spoofed_header_inside_message.txt"
WHERE = "/integrations/import"
Pages = Callable[[Member], Client]


def upload(client: Client, connection: Connection, path: Path = ANDROID, **changes: Any) -> Any:
    given = {"connection": str(connection.pk), "contact": "Ana Teste", "phone": "+55 11 5555-0142",
             "time_zone": "America/Sao_Paulo", "archive": SimpleUploadedFile(path.name, path.read_bytes())}  # fmt: skip
    return client.post(WHERE, given | changes)


def finish(run: ChatImport) -> None:
    async_to_sync(imported.go_on)(run.pk, lambda files: None)
    async_to_sync(undone.undo)(run.pk)
    run.refresh_from_db()


def test_an_upload_is_looked_into_brought_in_and_taken_out(
    page_of: Pages, alice: Member, connection: Connection
) -> None:
    browser = page_of(alice)
    answer = upload(browser, connection)
    run = ChatImport.objects.get()
    assert answer.headers["Location"] == f"{WHERE}/{run}"
    assert (run.state, run.us, Message.objects.count()) == ("waiting", "", 0)
    page = browser.get(f"{WHERE}/{run}").content.decode()
    assert "Nothing is brought in yet" in page
    assert "The phone&#x27;s language writes the day first." in page
    refused = browser.post(f"{WHERE}/{run}/begin", {"us": "", "time_zone": "America/Sao_Paulo"})
    assert refused.status_code == 422
    begun = browser.post(f"{WHERE}/{run}/begin", {"us": "Bia Loja", "time_zone": "America/Sao_Paulo"})
    assert begun.status_code == 302
    finish(run)
    page = browser.get(f"{WHERE}/{run}").content.decode()
    assert "Brought in" in page
    assert "(claimed)" in page
    assert "An export that holds them fills these gaps." in page
    media = MediaFile.objects.get(kind="image")
    shown = browser.get(f"/m/{ids.text(media.pk)}").content.decode()
    assert "Author and time are claims of that file: Bia Loja" in shown
    assert "Received through WhatsApp" not in shown
    assert browser.post(f"{WHERE}/{run}/undo").status_code == 302
    finish(run)
    assert run.state == "undone"
    assert (Message.objects.count(), MediaFile.objects.count(), Person.objects.count()) == (0, 0, 0)
    assert (
        "Everything this import brought is gone, with 6 files"
        in browser.get(f"{WHERE}/{run}").content.decode()
    )
    assert browser.get(WHERE).status_code == 200


def test_a_forged_author_is_shown_as_claimed(page_of: Pages, alice: Member, connection: Connection) -> None:
    browser = page_of(alice)
    upload(browser, connection, SPOOFED)
    run = ChatImport.objects.get()
    page = browser.get(f"{WHERE}/{run}").content.decode()
    assert "Nothing in the file tells." in page
    assert page.count('name="date_order"') == 2
    assert "None of them" not in page
    choice = {"us": "Bia Loja", "time_zone": "America/Sao_Paulo"}
    assert browser.post(f"{WHERE}/{run}/begin", choice).status_code == 422
    browser.post(f"{WHERE}/{run}/begin", choice | {"date_order": "dmy"})
    finish(run)
    page = browser.get(f"{WHERE}/{run}").content.decode()
    assert '<b>Bia Loja</b> <span class="muted">(claimed)' in page
    assert "never a consent" in page


@pytest.mark.parametrize(
    ("name", "body", "words"),
    [
        ("a.zip", b"PK\x03\x04 broken", "damaged or not complete"),
        ("a.txt", b"Dear all,\nthis is\na letter\nand no chat\n", "no chat in this file"),
        ("a.pdf", b"%PDF-1.7", "no chat in this file"),
    ],
)
def test_what_is_no_export_is_refused_in_words(
    page_of: Pages, alice: Member, connection: Connection, name: str, body: bytes, words: str
) -> None:
    answer = upload(page_of(alice), connection, archive=SimpleUploadedFile(name, body))
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert (ChatImport.objects.count(), Person.objects.count()) == (0, 0)


def test_the_same_export_again_leads_to_the_import_there_is(
    page_of: Pages, alice: Member, connection: Connection
) -> None:
    browser = page_of(alice)
    upload(browser, connection)
    again = upload(browser, connection)
    assert again.status_code == 422
    assert f"{WHERE}/{ChatImport.objects.get()}" in again.content.decode()


def test_the_same_export_again_mends_an_upload_that_broke_off(
    page_of: Pages, alice: Member, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = page_of(alice)
    monkeypatch.setattr(imports, "keep_archive", _breaks_off)
    with pytest.raises(MemoryError):
        upload(browser, connection)
    monkeypatch.undo()
    run = ChatImport.objects.get()
    assert run.object_key is None
    assert upload(browser, connection).headers["Location"] == f"{WHERE}/{run}"
    run = ChatImport.objects.get()
    assert run.object_key is not None
    browser.post(f"{WHERE}/{run}/begin", {"us": "Bia Loja", "time_zone": "America/Sao_Paulo"})
    finish(run)
    assert run.state == "finished"


async def _breaks_off(*_: Any) -> None:
    raise MemoryError


def test_only_who_connects_may_and_only_in_their_workspace(
    page_of: Pages, alice: Member, bob: Member, charlie: Member, connection: Connection
) -> None:
    upload(page_of(alice), connection)
    run = ChatImport.objects.get()
    assert page_of(bob).get(WHERE).status_code == 403
    assert page_of(bob).get(f"{WHERE}/{run}").status_code == 403
    assert upload(page_of(bob), connection).status_code == 403
    assert page_of(charlie).get(f"{WHERE}/{run}").status_code == 404
    for act in ("begin", "resume", "undo"):
        assert page_of(charlie).post(f"{WHERE}/{run}/{act}").status_code == 404
    assert upload(page_of(charlie), connection).status_code == 422
    assert ChatImport.objects.count() == 1


def test_a_file_over_the_limit_is_counted_and_named(
    page_of: Pages, alice: Member, connection: Connection
) -> None:
    SizeLimit.objects.create(workspace=connection.workspace, kind="voice", max_bytes=10, changed_by="test")
    browser, run = brought_in(page_of, alice, connection)
    page = browser.get(f"{WHERE}/{run}").content.decode()
    assert "Files over the size limit" in page
    assert "PTT-20261005-WA0013.opus" in page.partition('id="t-large"')[2]
    assert MediaFile.objects.filter(kind="voice").count() == 0
    assert Message.objects.filter(chat_import=run).count() == 11


def test_its_recordings_are_transcribed_only_when_somebody_says_so(
    page_of: Pages, alice: Member, charlie: Member, connection: Connection
) -> None:
    browser, run = brought_in(page_of, alice, connection)
    assert "What is said in it" not in browser.get(f"{WHERE}/{run}").content.decode()
    assert browser.post(f"{WHERE}/{run}/transcribe").status_code == 422
    Transcriber.objects.create(
        workspace=connection.workspace, engine="fake", model="a-model", changed_by="test"
    )
    assert "What is said in it" in browser.get(f"{WHERE}/{run}").content.decode()
    assert page_of(charlie).post(f"{WHERE}/{run}/transcribe").status_code == 404
    assert Transcript.objects.count() == 0
    assert browser.post(f"{WHERE}/{run}/transcribe").status_code == 302
    asked = set(Transcript.objects.values_list("media__kind", flat=True))
    assert "voice" in asked <= {"voice", "audio", "video"}
    assert "What is said in it" not in browser.get(f"{WHERE}/{run}").content.decode()
    assert AuditEntry.objects.filter(action="transcriber.backfilled", subject_id=str(run.pk)).count() == 1


def brought_in(page_of: Pages, member: Member, connection: Connection) -> tuple[Client, ChatImport]:
    browser = page_of(member)
    upload(browser, connection)
    run = ChatImport.objects.get()
    browser.post(f"{WHERE}/{run}/begin", {"us": "Bia Loja", "time_zone": "America/Sao_Paulo"})
    finish(run)
    assert run.state == "finished"
    return browser, run


def test_nobody_is_asked_into_a_team(connection: Connection, workspace: Any, page_of: Pages) -> None:
    manager = make_member(workspace, "Manager", "manager")
    assert page_of(manager).get(WHERE).status_code == 403
