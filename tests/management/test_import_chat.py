"""`acervo import-chat`: a chat brought in, named wrongly, brought in twice, listed and taken out, from the command line."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from acervo.models import (
    ChatImport,
    Connection,
    MediaFile,
    Message,
    Person,
    SizeLimit,
    Transcriber,
    Transcript,
)
from acervo.receive import batches, imported
from tests.conftest import make_connection

pytestmark = pytest.mark.django_db(transaction=True)

PAYLOADS = Path(__file__).parents[1] / "imports" / "payloads"
ANDROID = PAYLOADS / "Conversa do WhatsApp com Ana Teste.zip"
SPOOFED = PAYLOADS / "spoofed_header_inside_message.txt"
US = ("--me", "Bia Loja")


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("import_chat", *map(str, arguments), stdout=out, stderr=out)
    return out.getvalue()


def run_json(*arguments: Any) -> Any:
    return json.loads(run(*arguments, "--json"))


def refusal(*arguments: Any) -> str:
    with pytest.raises(CommandError) as refused:
        run(*arguments)
    return str(refused.value)


def test_in_again_listed_and_out(connection: Connection) -> None:
    facts = run_json(ANDROID, *US, "--phone", "+55 11 5555-0142")
    assert (facts["state"], facts["new_messages"], facts["new_files"]) == ("finished", 11, 6)
    assert run_json(ANDROID, *US)["id"] == facts["id"]
    assert ChatImport.objects.count() == 1
    assert run_json("--list")[0]["id"] == facts["id"]
    assert facts["id"] in run("--list")
    undone = run_json("--undo", facts["id"])
    assert (undone["state"], undone["removed_files"]) == ("undone", 6)
    assert run_json("--undo", facts["id"])["removed_files"] == 6
    assert (Message.objects.count(), Person.objects.count()) == (0, 0)
    assert run_json(ANDROID, *US)["new_messages"] == 11


def test_transcripts_are_made_where_they_are_asked_for(connection: Connection) -> None:
    assert "No engine" in refusal(ANDROID, *US, "--transcribe")
    assert ChatImport.objects.count() == 0
    Transcriber.objects.create(
        workspace=connection.workspace, engine="fake", model="a-model", changed_by="test"
    )
    run(ANDROID, *US)
    assert Transcript.objects.count() == 0
    run(ANDROID, *US, "--transcribe")
    assert set(Transcript.objects.values_list("media__kind", flat=True)) <= {"voice", "audio", "video"}
    assert Transcript.objects.count() > 0


def test_what_is_over_a_limit_is_said(connection: Connection) -> None:
    SizeLimit.objects.create(workspace=connection.workspace, kind="voice", max_bytes=10, changed_by="test")
    assert "1 file is over the size limit of its kind and stayed out." in run(ANDROID, *US)


def test_a_dry_run_says_all_and_writes_nothing(connection: Connection) -> None:
    said = run(ANDROID, "--dry-run")
    assert "11 messages of 3 authors" in said
    assert "6 in the archive" in said
    assert run_json(ANDROID, "--dry-run")["date_rule"] == "language"
    assert (ChatImport.objects.count(), Person.objects.count()) == (0, 0)


def test_an_unpacked_folder_does_as_well(connection: Connection, tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(ANDROID) as archive:
        archive.extractall(tmp_path / ANDROID.stem)  # ours, and harmless
    assert run_json(tmp_path / ANDROID.stem, *US)["new_files"] == 6


def test_interrupted_it_goes_on_with_the_same_file(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "LARGEST", 3)
    commit, calls = imported._Walk._commit, []

    def tires(walk: Any, *given: Any) -> bool:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return commit(walk, *given)

    monkeypatch.setattr(imported._Walk, "_commit", tires)
    with pytest.raises(KeyboardInterrupt):
        run(ANDROID, *US)
    assert ChatImport.objects.get().done == 6
    facts = run_json(ANDROID, *US)
    assert (facts["state"], facts["new_messages"], facts["new_files"]) == ("finished", 11, 6)
    assert MediaFile.objects.count() == 6


def test_what_it_has_to_know_is_asked_for_and_nothing_is_written(
    connection: Connection, tmp_path: Path
) -> None:
    assert "--me" in refusal(ANDROID)
    assert "--me must be one of" in refusal(ANDROID, "--me", "Somebody")
    dates = refusal(SPOOFED, *US, "--contact", "Ana")
    assert "dmy: 2026-10-05" in dates
    assert "mdy: 2026-05-10" in dates
    assert "There is no file" in refusal(tmp_path / "nothing.zip")
    assert "Name the file" in refusal()
    assert "no such WhatsApp number" in refusal(ANDROID, *US, "--connection", "Nobody")
    make_connection(connection.workspace, "meta_cloud", name="Another", account_id="2")
    assert "several WhatsApp numbers" in refusal(ANDROID, *US)
    assert "no import" in refusal("--undo", "01J00000000000000000000000")
    assert (ChatImport.objects.count(), Person.objects.count()) == (0, 0)
    facts = run_json(SPOOFED, *US, "--contact", "Ana", "--date-order", "dmy", "--connection", "Another")
    assert facts["new_messages"] == 2


def test_lists_tell_no_names(connection: Connection) -> None:
    run(ANDROID, *US)
    assert "Ana" not in run("--list") + json.dumps(run_json("--list"))
