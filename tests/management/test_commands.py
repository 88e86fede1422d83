"""The command line: data for machines, sentences for people, failure as an exit code, and never a secret."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import override_settings

from acervo.keep import credentials, storage
from acervo.management.commands import settings as settings_command
from acervo.management.commands.doctor import Finding, examine
from acervo.models import AuditEntry, Connection, MediaFile, Member, Receipt, Workspace

pytestmark = pytest.mark.django_db

META = {
    "phone-number-id": "106500000000001", "waba-id": "102900000000001", "token": "EAAG-secret-token",
    "app-secret": "app-secret-value", "verify-token": "verify-token-value",
}  # fmt: skip


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def run_json(*arguments: str) -> Any:
    return json.loads(run(*arguments, "--json"))


def connect_meta(**changes: str) -> list[str]:
    return [part for name, value in {**META, **changes}.items() for part in (f"--{name}", value)]


def test_createadmin_makes_a_workspace_and_an_administrator_whose_password_works() -> None:
    made = run_json("createadmin", "--email", "ana@example.com", "--workspace", "Aurora")
    member = Member.objects.get()
    assert (member.workspace.name, member.role) == ("Aurora", "administrator")
    assert member.check_password(made["password"])
    assert AuditEntry.objects.get(action="member.made").by.startswith("command:")


def test_createadmin_refuses_an_address_twice_and_nonsense() -> None:
    run("createadmin", "--email", "ana@example.com")
    for email in ("ANA@example.com", "nonsense"):
        with pytest.raises(CommandError):
            run("createadmin", "--email", email)
    assert Member.objects.count() == 1


def test_connect_meta_cloud_gives_the_webhook_address(workspace: Workspace) -> None:
    made = run_json("connect", "meta_cloud", *connect_meta())
    assert made["webhook_url"] == f"http://127.0.0.1:8000/hooks/meta_cloud/{made['id']}"
    assert Connection.objects.get().options["waba_id"] == META["waba-id"]


def test_connect_prints_no_secret(workspace: Workspace) -> None:
    said = run("connect", "meta_cloud", *connect_meta())
    assert not any(META[name] in said for name in ("token", "app-secret", "verify-token"))


def connect_twilio(**changes: str) -> list[str]:
    given = {
        "account-sid": f"AC{'0' * 31}1",
        "number": "+15555550123",
        "auth-token": "auth-token-value",
        **changes,
    }
    return [part for name, value in given.items() for part in (f"--{name}", value)]


def test_connect_twilio_gives_the_webhook_address_and_prints_no_secret(workspace: Workspace) -> None:
    key = connect_twilio(**{"api-key-sid": "SK1", "api-key-secret": "key-secret-value"})
    said = run("connect", "twilio", *key, "--forget", "--json")
    made = json.loads(said)
    assert made["webhook_url"] == f"http://127.0.0.1:8000/hooks/twilio/{made['id']}"
    assert not any(secret in said for secret in ("auth-token-value", "key-secret-value"))
    row = Connection.objects.get()
    assert (row.account_id, row.options["account_sid"], row.options["forgets"]) == (
        "+15555550123",
        f"AC{'0' * 31}1",
        True,
    )
    assert set(credentials.open_secrets(row)) == {"auth_token", "api_key_sid", "api_key_secret"}


@pytest.mark.parametrize(
    "odd", [{"number": "5555"}, {"number": "whatsapp"}, {"account-sid": "AC1"}, {"api-key-sid": "SK1"}]
)
def test_connect_twilio_refuses_what_cannot_work(workspace: Workspace, odd: dict[str, str]) -> None:
    with pytest.raises(CommandError):
        run("connect", "twilio", *connect_twilio(**odd))
    assert not Connection.objects.exists()


@override_settings(ACERVO_ALLOW_PRIVATE_HOSTS=())
@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "https://10.0.0.1", "http://api.example.com"])
def test_connect_refuses_a_private_address_that_was_not_named(workspace: Workspace, address: str) -> None:
    with pytest.raises(CommandError, match="refused"):
        run("connect", "meta_cloud", *connect_meta(), "--api-base", address)
    with pytest.raises(CommandError, match="refused"):
        run("connect", "hubspot", "--token", "pat-na1", "--api-base", address)
    assert not Connection.objects.exists()


def test_connect_needs_a_workspace() -> None:
    with pytest.raises(CommandError, match="createadmin"):
        run("connect", "meta_cloud", *connect_meta())


@pytest.mark.django_db(transaction=True)
def test_media_are_listed_and_their_bytes_written(
    kept_file: Callable[..., MediaFile], tmp_path: Path
) -> None:
    media = kept_file(b"the bytes of a note", caption="a secret caption")
    (row,) = run_json("media", "list")
    assert (row["id"], row["state"], row["size_bytes"]) == (media.slug, "ready", 19)
    assert "secret caption" not in json.dumps(row)
    run("media", "get", media.slug, "-o", str(tmp_path / "note"))
    assert (tmp_path / "note").read_bytes() == b"the bytes of a note"
    assert AuditEntry.objects.get(action="file.downloaded").subject_id == media.pk


def test_media_get_says_why_there_is_nothing(
    announced_file: Callable[..., MediaFile], tmp_path: Path
) -> None:
    media = announced_file()
    with pytest.raises(CommandError, match="waiting"):
        run("media", "get", media.slug, "-o", str(tmp_path / "note"))
    with pytest.raises(CommandError):
        run("media", "get", "nonsense", "-o", str(tmp_path / "note"))


def test_receipts_that_could_not_be_read_are_listed_and_replayed(connection: Connection) -> None:
    from acervo.base import clock

    part = {"pointer": "/entry/0", "type": "novelty", "reason": "unknown"}
    receipt = Receipt.objects.create(
        workspace=connection.workspace, connection=connection, received_at=clock.now(), read_at=clock.now(), body=b"{}",
        unread=[part],
    )  # fmt: skip
    assert run_json("receipts", "list")[0]["unread"] == [part]
    assert run_json("receipts", "replay") == {"replayed": 1}
    receipt.refresh_from_db()
    assert receipt.read_at is None


@pytest.mark.django_db(transaction=True)
def test_verify_finds_what_was_changed_in_the_store(kept_file: Callable[..., MediaFile]) -> None:
    media = kept_file(b"whole")
    assert run_json("verify")["whole"] >= 1
    path = Path(storage.configured()._path(media.object_key))  # type: ignore[attr-defined]
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(CommandError):
        run("verify")


def test_sweep_counts_and_audit_verifies(kept_file: Callable[..., MediaFile]) -> None:
    kept_file()
    assert run_json("sweep", "--dry-run")["orphans"] == 0
    AuditEntry.objects.record(Workspace.objects.get().pk, "test", [])
    assert all(row["broken_at"] is None for row in run_json("audit"))


def test_doctor_tries_every_part_for_real(workspace: Workspace) -> None:
    findings = {finding.part: finding for finding in examine()}
    assert {"database", "storage", "ffmpeg", "ffprobe", "isolation", "clock", "keys"} <= set(findings)
    assert all(finding.is_well for finding in findings.values()), findings


@pytest.mark.django_db(transaction=True)
@override_settings(ACERVO_FFMPEG="no-such-ffmpeg", ACERVO_STORAGE_URL="file:///dev/null/nowhere")
def test_doctor_says_the_cure_of_what_is_not_well(connection: Connection) -> None:
    Connection.objects.update(api_base="http://127.0.0.1:9")
    ill = {finding.part.split()[0]: finding for finding in examine() if not finding.is_well}
    assert {"storage", "ffmpeg", "meta_cloud"} <= set(ill)
    assert all(isinstance(finding, Finding) and finding.cure for finding in ill.values())
    with pytest.raises(CommandError):
        run("doctor")


def test_every_setting_is_documented() -> None:
    rows = settings_command.reference()
    assert {"DATABASE_URL", "ACERVO_DATA_DIR", "ACERVO_SEALING"} <= {row["name"] for row in rows}
    assert all(row["help"] for row in rows)


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["connect"], ["media", "get"]])
def test_a_wrong_call_exits_with_a_failure_and_no_traceback(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "acervo.management.main", *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr


@pytest.mark.django_db(transaction=True)
def test_connect_dialog360_makes_its_own_secrets_and_registers_them(workspace: Workspace) -> None:
    from sandbox.dialog360 import Dialog360Sandbox, Number
    from tests.served import served

    with served(Dialog360Sandbox()) as sandbox:
        number = Number()
        arguments = ["--phone-number-id", number.phone_number_id, "--api-base", sandbox.base_url]
        made = run_json("connect", "dialog360", "--api-key", number.access_token, *arguments)
        registered = sandbox.registered[number.phone_number_id]
    assert registered["url"] == made["webhook_url"]
    segment = made["webhook_url"].rpartition("/")[2]
    assert len(segment) == 32
    assert segment not in str(registered["headers"])
    assert {"X-Hook-Secret", "Authorization"} == set(registered["headers"])
    assert AuditEntry.objects.filter(action="connection.registered").exists()
    assert not AuditEntry.objects.filter(details__icontains=segment).exists()


@pytest.mark.django_db(transaction=True)
def test_connect_dialog360_without_registering_asks_nobody(workspace: Workspace) -> None:
    arguments = ["--phone-number-id", "1", "--api-key", "k", "--api-base", "http://127.0.0.1:9"]
    made = run_json("connect", "dialog360", "--no-register", *arguments)
    assert "/hooks/dialog360/" in made["webhook_url"]
