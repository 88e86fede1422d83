"""`acervo connect zoho` against its sandbox over a socket, and the first files on their way there."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from django.core.management.base import CommandError

from acervo.base import clock
from acervo.base.http import crm_client
from acervo.deliver import attach, backfill
from acervo.deliver.results import Outcome
from acervo.keep import credentials
from acervo.models import AuditEntry, Connection, Delivery, MediaFile, Workspace
from acervo.organise import address
from tests.management.test_commands import run, run_json

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).parents[2]
GRANT, REFRESH = "1000.grant-code", "1000.refresh-token"
CLIENT = ["--client-id", "1000.SIMULATED", "--client-secret", "simulated-secret"]


@pytest.fixture
def zoho() -> Iterator[str]:
    command = [
        sys.executable,
        "-m",
        "sandbox.zoho",
        "--refresh-token",
        REFRESH,
        "--grant-code",
        GRANT,
        "--demo",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout
        yield process.stdout.readline().strip()
        process.terminate()


async def deliver(connection: Connection) -> Outcome:
    async with crm_client(("127.0.0.1",), timeout_s=30) as http:
        return await attach.deliver(connection.pk, http=http)


def test_a_grant_code_connects_and_the_files_of_the_last_days_follow(
    workspace: Workspace, zoho: str, kept_file: Callable[..., MediaFile]
) -> None:
    file = kept_file()
    MediaFile.objects.filter(pk=file.pk).update(prepared_at=clock.now())
    made = run_json(
        "connect", "zoho", *CLIENT, "--grant-code", GRANT, "--data-centre", "eu", "--api-base", zoho
    )
    connection = Connection.objects.get(kind="zoho")
    assert made["account_id"] == connection.account_id == "716000123"
    assert connection.options["data_centre"] == "eu"
    assert set(credentials.open_secrets(connection)) == {"client_id", "client_secret", "refresh_token"}
    assert REFRESH not in str(made)
    assert not AuditEntry.objects.filter(details__icontains="1000.").exists()

    assert backfill.go_on(connection.pk, chosen_by=address.found_in) == 1
    assert asyncio.run(deliver(connection)).delivered == 1
    assert Delivery.objects.get(connection=connection).delivered_at
    connection.refresh_from_db()
    assert connection.options["model"] == "object"
    assert connection.options["data_centre"] == "eu"
    assert f"/m/{file.slug}" in httpx.get(zoho).text


def test_a_grant_code_that_ended_is_refused_in_words_and_nothing_is_made(
    workspace: Workspace, zoho: str
) -> None:
    with pytest.raises(CommandError, match="data centre") as refusal:
        run("connect", "zoho", *CLIENT, "--grant-code", "1000.old", "--api-base", zoho)
    assert "1000.old" not in str(refusal.value)
    assert not Connection.objects.exists()


def test_it_takes_one_of_code_and_refresh_token(workspace: Workspace) -> None:
    for access in ([], ["--grant-code", GRANT, "--refresh-token", REFRESH]):
        with pytest.raises(CommandError):
            run("connect", "zoho", *CLIENT, *access)
    with pytest.raises(CommandError):
        run("connect", "zoho", *CLIENT, "--refresh-token", REFRESH, "--data-centre", "mars")
    assert not Connection.objects.exists()
