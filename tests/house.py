"""A whole installation of a test's own: `acervo serve` with everything real, on a free port, in a folder of its own."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import PIPE
from typing import Any, LiteralString

import psutil
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from acervo.base.postgres import EmbeddedPostgres
from tests import model
from tests.accounts import ACCOUNTS, Account

PARTS = ("web", "capture", "preparation", "background", "postgres")
READY_S = 240.0
PATIENCE_S = 480.0


@dataclass
class House:
    """Start, kill and question an installation from outside, as an operator and a murderer would."""

    folder: Path
    port: int
    environment: dict[str, str]
    log: Path
    serving: subprocess.Popen[bytes] | None = None
    commands: subprocess.Popen[str] | None = None
    """Carries out `acervo` commands, one at a time."""
    asking: threading.Lock = field(default_factory=threading.Lock)
    lifeline: tuple[int, int] = field(default_factory=os.pipe)
    """Whatever becomes of the test, the house ends with it."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def acervo(self, *arguments: str, input: str = "") -> str:
        """Run a command to its end; what it printed."""
        with self.asking:
            done = self._carried_out(arguments, input)
        assert done["code"] == 0, f"{arguments}: {done}"
        return str(done["out"])

    def _carried_out(self, arguments: Sequence[str], given: str) -> dict[str, Any]:
        if self.commands is None:
            command = [sys.executable, "-m", "tests.commands"]
            with self.log.open("ab") as log:
                self.commands = subprocess.Popen(
                    command,
                    env=self.environment,
                    stdin=PIPE,
                    stdout=PIPE,
                    stderr=log,
                    text=True,
                    process_group=0,
                )
        assert self.commands.stdin
        assert self.commands.stdout
        self.commands.stdin.write(json.dumps({"arguments": arguments, "input": given}) + "\n")
        self.commands.stdin.flush()
        ready, _, _ = select.select([self.commands.stdout], [], [], PATIENCE_S)
        assert ready, f"{arguments}: no end within {PATIENCE_S:.0f} s"
        done: dict[str, Any] = json.loads(self.commands.stdout.readline())
        return done

    def json(self, *arguments: str) -> Any:
        return json.loads(self.acervo(*arguments, "--json"))

    def serve(self) -> None:
        """Start, or start again, and wait until it is ready."""
        command = [sys.executable, "-m", "acervo.management.main", "serve", "--port", str(self.port)]
        command += ["--lifeline", str(self.lifeline[0])]
        with self.log.open("ab") as log:
            self.serving = subprocess.Popen(
                command,
                env=self.environment,
                stdout=log,
                stderr=log,
                process_group=0,
                pass_fds=self.lifeline[:1],
            )
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        wait_for(self.is_ready, "ready", READY_S)

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def connect(self, meta: str, hubspot: str | None = None, *, token: str = "pat-na1-test") -> str:
        """A WhatsApp number of the simulated Cloud API, and a HubSpot account; the webhook URL."""
        self.move_in()
        if hubspot:
            self.acervo("connect", "hubspot", "--token", token, "--api-base", hubspot)
        return self.connect_account(ACCOUNTS[0], meta)

    def move_in(self) -> None:
        """A workspace and its administrator."""
        self.acervo(
            "createadmin", "--email", "admin@example.com", "--password-stdin", input="correct horse battery\n"
        )

    def connect_account(self, account: Account, vendor: str) -> str:
        """A WhatsApp account of a simulated vendor, by its address; the webhook URL."""
        made = self.json("connect", account.kind, *account.options, "--api-base", vendor)
        return str(made["webhook_url"])

    @property
    def conninfo(self) -> str:
        """Of its own PostgreSQL."""
        embedded = EmbeddedPostgres(Path(self.environment["ACERVO_DATA_DIR"]))
        return make_conninfo("", **embedded.connection_parameters())

    def ask(self, query: LiteralString, *arguments: Any) -> list[tuple[Any, ...]]:
        """Rows of the database, which must be running; a statement that gives none changes something."""
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            answer = connection.execute(query, arguments)
            return answer.fetchall() if answer.description else []

    def files(self) -> list[dict[str, Any]]:
        """As `acervo media list` prints them, newest first; a process for every look would cost a core."""
        from acervo.management.commands.media import facts
        from acervo.models import Connection, MediaFile

        with psycopg.connect(self.conninfo) as connection:
            accounts = {one.pk: one for one in _all(connection, Connection)}
            files = _all(connection, MediaFile)
        for one in files:
            one.connection = accounts[one.connection_id]
        return [facts(one) for one in sorted(files, key=lambda one: (one.received_at, one.pk), reverse=True)]

    def processes(self, name: str) -> list[psutil.Process]:
        """web, capture, preparation, background or postgres: the process, and of PostgreSQL all of them."""
        if name == "postgres":
            return [process for process in psutil.process_iter() if _is_ours(process, str(self.folder))]
        if self.serving is None:
            return []
        with suppress(psutil.NoSuchProcess):
            children = psutil.Process(self.serving.pid).children()
            return [child for child in children if _plays(child, name)]
        return []

    def kill(self, victim: str) -> None:
        """kill -9 of one part, or of `all`: the keeper of the house, its children and the database. What is not
        there cannot be killed: waits for it, lest a murder that did not happen count as survived."""
        for name in PARTS if victim == "all" else (victim,):
            wait_for(lambda name=name: self.processes(name), f"running: {name}", READY_S)
        self.end(victim)

    def end(self, victim: str) -> None:
        """As `kill`, of whatever is still there."""
        found = [
            process for name in (PARTS if victim == "all" else (victim,)) for process in self.processes(name)
        ]
        if victim == "all" and self.serving:
            self.serving.kill()
            self.serving.wait()
        for process in found:
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def stop(self) -> None:
        if self.commands:
            self.commands.communicate(timeout=60)
            self.commands = None
        if self.serving and self.serving.poll() is None:
            self.serving.send_signal(signal.SIGTERM)
            self.serving.wait(60)

    @contextmanager
    def part(self, *arguments: str) -> Iterator[psutil.Process]:
        """One process of the installation, `acervo web` or `acervo worker`, beside the database."""
        command = [sys.executable, "-m", "acervo.management.main", *arguments]
        with self.log.open("ab") as log:
            started = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log, process_group=0)
        try:
            yield psutil.Process(started.pid)
        finally:
            started.terminate()
            try:
                started.wait(20)
            except subprocess.TimeoutExpired:
                started.kill()
                started.wait()

    @contextmanager
    def sandbox(self, module: str, *arguments: str) -> Iterator[str]:
        """The address of a simulated vendor in a process of its own."""
        command = [sys.executable, "-m", module, "--port", "0", *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, process_group=0)
        try:
            assert process.stdout
            yield next(
                word for word in process.stdout.readline().split() if word.startswith("http://")
            ).rstrip("/")
        finally:
            process.terminate()
            process.wait(10)
            if process.stdout:
                process.stdout.close()


@contextmanager
def house(*, is_new: bool = False, **settings: str) -> Iterator[House]:
    """Everything is removed afterwards; the log is shown when the test fails (pytest prints what we print). Its
    database is made already, except where the house is to be new."""
    made = _plot(**settings)
    try:
        if not is_new:
            model.copy_to(Path(made.environment["ACERVO_DATA_DIR"]))
        yield made
    except BaseException:
        print(made.log.read_text()[-8000:] if made.log.exists() else "no log")
        raise
    finally:
        made.stop()
        made.end("all")
        shutil.rmtree(made.folder, ignore_errors=True)


def _all(connection: psycopg.Connection[Any], model: Any) -> list[Any]:
    columns = {one.column: one.attname for one in model._meta.concrete_fields}
    query = sql.SQL("SELECT {} FROM {}").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(model._meta.db_table)
    )
    rows = connection.execute(query).fetchall()
    return [model.from_db(None, list(columns.values()), row) for row in rows]


def _plot(**settings: str) -> House:
    folder = Path(tempfile.mkdtemp(prefix="acervo-house-"))
    folder.chmod(0o755)
    port = free_port()
    environment = model.clean_environment() | {
        "ACERVO_DATA_DIR": str(folder / "data"),
        "ACERVO_BASE_URL": f"http://127.0.0.1:{port}",
        "ACERVO_ALLOW_PRIVATE_HOSTS": "127.0.0.1",
        "ACERVO_LANGUAGE": "en",
        "DJANGO_SETTINGS_MODULE": "acervo.settings",
        **settings,
    }
    return House(folder, port, environment, folder / "log")


def wait_for(
    condition: Callable[[], Any], what: str, patience_s: float = PATIENCE_S, *, every_s: float = 0.25
) -> Any:
    """What the condition gives once it gives something true."""
    deadline = time.monotonic() + patience_s
    while True:
        if found := condition():
            return found
        assert time.monotonic() < deadline, f"not {what} within {patience_s:.0f} s"
        time.sleep(every_s)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_ours(process: psutil.Process, folder: str) -> bool:
    with suppress(psutil.Error):
        return "postgres" in process.name() and (
            folder in " ".join(process.cmdline()) or _of_ours(process, folder)
        )
    return False


def _of_ours(process: psutil.Process, folder: str) -> bool:
    """PostgreSQL's own children do not show their folder; their parent does."""
    parent = process.parent()
    return bool(parent and "postgres" in parent.name() and folder in " ".join(parent.cmdline()))


def _plays(child: psutil.Process, name: str) -> bool:
    words = {
        "web": "main web",
        "capture": "--queues capture",
        "preparation": "--queues prepare",
        "background": "--queues transcribe",
    }[name]
    with suppress(psutil.Error):
        return words in " ".join(child.cmdline())
    return False
