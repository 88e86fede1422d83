"""`python -m tests.n8n --bin PATH`: a real n8n receives `media.ready`, by the example workflow and by our trigger node.

Not part of the suite, since n8n is a gigabyte of packages; it needs nobody while it runs, and ends with 0 only if all of it was
seen. Installed once, anywhere: `npm install n8n@1` (where its build scripts cannot run, `--ignore-scripts` is enough: it
keeps its tables in this archive's PostgreSQL; where only npm is reached, override `xlsx` with 0.18.5 in `package.json`). A customer
sends a sticker at the simulated provider; what n8n's executions hold is compared with what the hooks were told, and a forged
message to the trigger node starts nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg

from acervo.base import ids
from tests.browser.archive import STOCK, Archive, running
from tests.house import free_port, wait_for

PACKAGE = Path(__file__).parents[1] / "integrations" / "n8n"
WORKFLOWS = ("Acervo Trigger", "Acervo: a file is ready")
PREPARE = """
import json, sys
import django
django.setup()
from acervo.govern import api_tokens, subscriptions
from acervo.govern.api_tokens import TokenWish
from acervo.govern.subscriptions import Wish
from acervo.models import Member
member = Member.objects.order_by("created_at").first()
subscriptions.subscribe(member.workspace_id, Wish(sys.argv[1], ["media.ready"], detail="full"), by="command:test")
_, token = api_tokens.make(member, TokenWish("n8n", ["subscriptions:write"], lasts="30d"))
print(json.dumps({"token": token}))
"""
EXECUTIONS = """
SELECT w.name, e.status, d.data FROM execution_entity e JOIN execution_data d ON d."executionId" = e.id
JOIN workflow_entity w ON w.id = e."workflowId" WHERE e.finished
"""


def run(binary: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with running(ACERVO_ALLOW_PRIVATE_HOSTS="127.0.0.1") as archive:
        token = _prepare(archive, f"{url}/webhook/acervo-file-ready")
        environment = _environment(archive, url, port)
        folder = Path(environment["N8N_USER_FOLDER"])
        _import(binary, environment, folder, archive.url, token)
        with _started(binary, environment, url):
            wait_for(lambda: _hooks(archive) >= 2, "subscribed by the trigger node", every_s=2)
            archive.send(STOCK["sticker"])
            found = wait_for(lambda: _received(environment), "received by n8n", every_s=2)
            _forge(archive, found[0][2])
            received = _received(environment)
        _compare(archive, received)


def _forge(archive: Archive, told: dict[str, Any]) -> None:
    """The same words at the address of the trigger node, signed by nobody who knows its secret."""
    ((address,),) = archive.home.ask("SELECT url FROM acervo_subscription WHERE name = 'n8n'")
    stamp = str(int(time.time()))
    headers = {"webhook-id": "evt_forged", "webhook-timestamp": stamp, "webhook-signature": "v1,Zm9yZ2Vk"}
    answer = httpx.post(address, json=told, headers=headers, timeout=30)
    print(f"forged: {answer.status_code}")
    assert answer.status_code == 401, answer.text


def _compare(archive: Archive, received: list[tuple[str, str, dict[str, Any]]]) -> None:
    """Each workflow ran once, on the event that its hook was told of, about the very file."""
    (event, subject), *others = archive.home.ask(
        "SELECT id, subject_id FROM acervo_event WHERE kind = 'media.ready' AND NOT is_sample"
    )
    assert not others
    for name, status, told in received:
        media = told["data"]["media"]
        print(f"{name}: {status}, {told['type']} of a {media['kind']}, {told['id']}")
        assert (status, told["type"], told["is_sample"]) == ("success", "media.ready", False)
        assert (told["id"], media["id"]) == (f"evt_{ids.text(event)}", ids.text(subject))
        assert media["kind"] == "sticker"
    assert sorted(name for name, _, _ in received) == sorted(WORKFLOWS)
    told_of = archive.home.ask(
        "SELECT s.name, d.attempts FROM acervo_eventdelivery d JOIN acervo_subscription s ON s.id = d.subscription_id"
        " WHERE d.delivered_at IS NOT NULL AND d.event_id = %s ORDER BY 1",
        event,
    )
    for name, attempts in told_of:
        print(f"told: {name}, attempts {attempts}")
    assert len(told_of) == len(WORKFLOWS)


def _prepare(archive: Archive, address: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PREPARE, address],
        env={**archive.home.environment, "DATABASE_URL": _database_url(archive)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout.splitlines()[-1])["token"])


def _database_url(archive: Archive) -> str:
    known = psycopg.conninfo.conninfo_to_dict(archive.home.conninfo)
    host = str(known["host"]).replace("/", "%2F")
    return f"postgresql://{known['user']}:{known.get('password', '')}@/{known['dbname']}?host={host}&port={known.get('port', 5432)}"


def _environment(archive: Archive, url: str, port: int) -> dict[str, str]:
    known = psycopg.conninfo.conninfo_to_dict(archive.home.conninfo)
    archive.home.ask("CREATE DATABASE n8n")
    folder = archive.home.folder / "n8n"
    folder.mkdir()
    return {
        **os.environ,
        "DB_TYPE": "postgresdb",
        "DB_POSTGRESDB_HOST": str(known["host"]),
        "DB_POSTGRESDB_PORT": str(known.get("port", 5432)),
        "DB_POSTGRESDB_DATABASE": "n8n",
        "DB_POSTGRESDB_USER": str(known["user"]),
        "DB_POSTGRESDB_PASSWORD": str(known.get("password", "")),
        "N8N_USER_FOLDER": str(folder),
        "N8N_PORT": str(port),
        "N8N_LISTEN_ADDRESS": "127.0.0.1",
        "WEBHOOK_URL": f"{url}/",
        "N8N_CUSTOM_EXTENSIONS": str(PACKAGE),
        "N8N_DIAGNOSTICS_ENABLED": "false",
        "N8N_VERSION_NOTIFICATIONS_ENABLED": "false",
        "N8N_TEMPLATES_ENABLED": "false",
        "N8N_RUNNERS_ENABLED": "false",
        "N8N_EXPRESSION_ENGINE": "legacy",  # the other one is a program that install scripts build
        "N8N_LOG_LEVEL": "info",
    }


def _import(binary: Path, environment: dict[str, str], folder: Path, archive_url: str, token: str) -> None:
    credentials = folder / "credentials.json"
    data = {"baseUrl": archive_url, "token": token}
    credentials.write_text(
        json.dumps([{"id": "acervoTest", "name": "Acervo", "type": "acervoApi", "data": data}])
    )
    ours = {
        "name": "Acervo Trigger",
        "id": "acervoTrigger",  # of more than 16 characters n8n keeps no static data
        "nodes": [
            {
                "id": "1",
                "name": "Acervo Trigger",
                "type": "CUSTOM.acervoTrigger",
                "typeVersion": 1,
                "position": [0, 0],
                "webhookId": "acervo-trigger-test",
                "parameters": {"events": ["media.ready"], "detail": "full"},
                "credentials": {"acervoApi": {"id": "acervoTest", "name": "Acervo"}},
            },
            {"id": "2", "name": "End", "type": "n8n-nodes-base.noOp", "typeVersion": 1, "position": [240, 0], "parameters": {}},
        ],
        "connections": {"Acervo Trigger": {"main": [[{"node": "End", "type": "main", "index": 0}]]}},
        "settings": {"executionOrder": "v1", "saveDataSuccessExecution": "all"},
        "active": False,
    }  # fmt: skip
    example = json.loads((PACKAGE / "workflows" / "file-ready.json").read_text()) | {"id": "acervoFileReady"}
    workflows = folder / "workflows.json"
    workflows.write_text(json.dumps([ours, example]))
    for arguments in (
        ["import:credentials", f"--input={credentials}"],
        ["import:workflow", f"--input={workflows}"],
        ["update:workflow", "--all", "--active=true"],
    ):
        done = subprocess.run(
            [str(binary), *arguments], env=environment, capture_output=True, text=True, check=False
        )
        print(arguments[0], done.returncode, done.stdout.strip().splitlines()[-1:])
        assert done.returncode == 0, done.stderr


@contextmanager
def _started(binary: Path, environment: dict[str, str], url: str) -> Iterator[None]:
    log = Path(environment["N8N_USER_FOLDER"]) / "log"
    with log.open("wb") as out:
        started = subprocess.Popen([str(binary), "start"], env=environment, stdout=out, stderr=out)
    try:
        wait_for(lambda: _is_up(url), "n8n", every_s=2)
        yield
    except BaseException:
        print(log.read_text()[-6000:])
        raise
    finally:
        started.terminate()
        try:
            started.wait(60)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def _is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz/readiness", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def _hooks(archive: Archive) -> int:
    return int(archive.home.ask("SELECT count(*) FROM acervo_subscription WHERE ended_at IS NULL")[0][0])


def _received(environment: dict[str, str]) -> list[tuple[str, str, dict[str, Any]]]:
    """Of both workflows, once both ran."""
    where = {
        "host": environment["DB_POSTGRESDB_HOST"],
        "port": environment["DB_POSTGRESDB_PORT"],
        "user": environment["DB_POSTGRESDB_USER"],
        "password": environment["DB_POSTGRESDB_PASSWORD"],
        "dbname": "n8n",
    }
    with psycopg.connect(**where) as connection:
        rows = connection.execute(EXECUTIONS).fetchall()
    found = [(name, status, _told(json.loads(data))) for name, status, data in rows]
    return found if {name for name, _, _ in found} == set(WORKFLOWS) else []


def _told(flat: list[Any]) -> dict[str, Any]:
    """The event in an execution, which n8n keeps `flatted`: every value once, and numbers that lead to it."""

    def unfold(value: Any) -> Any:
        if isinstance(value, str) and value.isdigit():
            return _plain(flat[int(value)])
        return value

    def _plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: unfold(inner) for name, inner in value.items()}
        return [unfold(inner) for inner in value] if isinstance(value, list) else value

    events = [
        value
        for value in flat
        if isinstance(value, dict) and {"id", "type", "is_sample", "data"} <= set(value)
    ]
    return dict(_plain(events[0]))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--bin", type=Path, required=True, help="n8n's program: node_modules/.bin/n8n")
    run(parser.parse_args().bin)


if __name__ == "__main__":
    main()
