"""What a benchmark stands on: an installation of its own, a simulated provider, and the database both sides share."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, LiteralString
from urllib.parse import urlsplit

import psutil
import psycopg

from bench import client
from bench.processes import Server, serving, wait_for
from sandbox.people import EVERYONE
from sandbox.whatsapp import Announced, message, webhook
from tests.house import House, house

READY_S = 60.0
CAPTIONS = ("", "Boa tarde! Segue o comprovante que combinamos. ", "Olha como chegou a caixa, por favor. ")
USER_AGENT = "facebookexternalua"


@dataclass
class Ground:
    """One installation, with a number of the simulated provider connected to it."""

    house: House
    origin: Server
    hook: str
    """The path webhooks are sent to."""
    conninfo: str

    @property
    def meta(self) -> str:
        return f"http://127.0.0.1:{self.origin.port}"

    @property
    def port(self) -> int:
        return self.house.port

    def ask(self, query: LiteralString) -> Any:
        """One value from the database, or None where there is no row."""
        with self.asking() as ask:
            return ask(query)

    @contextmanager
    def asking(self) -> Iterator[Callable[[LiteralString], Any]]:
        """The same, for many questions."""
        with psycopg.connect(self.conninfo, autocommit=True) as connection:

            def ask(query: LiteralString) -> Any:
                found = connection.execute(query).fetchone()
                return found[0] if found else None

            yield ask

    def postgres(self) -> list[psutil.Process]:
        """The server and its processes."""
        (pid_file,) = (self.house.folder / "data" / "postgres").rglob("postmaster.pid")
        server = psutil.Process(int(pid_file.read_text().split()[0]))
        return [server, *server.children()]

    def part(self, *arguments: str) -> AbstractContextManager[psutil.Process]:
        """See `House.part`."""
        return self.house.part(*arguments)

    @contextmanager
    def web(self) -> Iterator[psutil.Process]:
        with self.part("web", "--port", str(self.port)) as process:
            wait_for(lambda: self._is_alive(), "the web ready", patience_s=READY_S)
            yield process

    def _is_alive(self) -> bool:
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=2):
            return True
        return False


@contextmanager
def ground(**settings: str) -> Iterator[Ground]:
    """Migrated and connected, nothing running but the database and the simulated provider."""
    with house(**settings) as home, serving("sandbox.whatsapp", "--port", "0") as origin:
        home.acervo("migrate")
        hook = urlsplit(home.connect(f"http://127.0.0.1:{origin.port}")).path
        yield Ground(home, origin, hook, home.conninfo)


def knocks(path: str, files: Sequence[Announced]) -> list[bytes]:
    """A signed webhook for each file, of 1 to 2 KB, ready to be sent."""
    made = []
    for number, file in enumerate(files):
        caption = CAPTIONS[number % len(CAPTIONS)] * 4
        note = message(EVERYONE[number % len(EVERYONE)], file=file, caption=caption or None)
        body, headers = webhook([note])
        made.append(client.post(path, body, {**headers, "User-Agent": USER_AGENT, "Accept": "*/*"}))
    return made
