"""How many webhooks a second are taken and on disk before the answer, beside two other ways of doing the same."""

from __future__ import annotations

import base64
import random
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import LiteralString

import psutil
import uvloop

from bench import client
from bench.ground import Ground, ground, knocks
from bench.options import Options
from bench.processes import cpu_s, serving
from bench.results import Result, against, reported
from sandbox.whatsapp import Announced, Phone

CONNECTIONS = 64
WEBHOOKS = 512
SECONDS = 5.0
RECEIPTS: LiteralString = "SELECT count(*) FROM acervo_receipt"
BARE_RECEIPTS: LiteralString = "SELECT count(*) FROM floor_receipt"
PLAIN_RECEIPTS: LiteralString = "SELECT count(*) FROM floor_plain_receipt"
BARE, PLAIN = "bench.floors.bare_receiver", "bench.floors.plain_django"


@dataclass
class Side:
    """One of those compared, and what its rounds gave."""

    name: str
    port: int
    knocks: Callable[[list[Announced]], list[bytes]]
    """Signed requests, made anew for each round: some signatures live for a minute."""
    count: Callable[[], int]
    """Rows of this side in the database."""
    process: psutil.Process
    acknowledged: int = 0
    rates: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)

    def run(self, files: list[Announced], seconds: float) -> None:
        requests = self.knocks(files)
        before = cpu_s([self.process])
        answers = uvloop.run(client.flood(self.port, requests, connections=CONNECTIONS, seconds=seconds))
        if set(answers.statuses) != {200}:
            raise AssertionError(f"{self.name} answered {dict(answers.statuses)}.")
        taken = answers.statuses[200]
        self.acknowledged += taken
        self.rates.append(answers.per_second)
        self.cpu_us.append(1e6 * (cpu_s([self.process]) - before) / taken)


def run(options: Options) -> Iterator[Result]:
    files = invented_files(WEBHOOKS)
    with ground() as place:
        floor = {"FLOOR_CONNINFO": place.conninfo, "FLOOR_SECRET": Phone().app_secret}
        with (
            place.web() as web,
            serving(BARE, environment=floor) as bare,
            serving(PLAIN, "--wsgi", environment=floor) as plain,
        ):
            ours = _side(place, "acervo web", place.port, place.hook, RECEIPTS, web)
            bare_side = _side(place, "bare receiver", bare.port, "/hook", BARE_RECEIPTS, bare.process)
            plain_side = _side(place, "plain Django", plain.port, "/hook", PLAIN_RECEIPTS, plain.process)
            sides = (ours, bare_side, plain_side)
            measure(sides, files, options)
    yield from _results(ours, bare_side, plain_side)


def _side(
    place: Ground, name: str, port: int, path: str, count: LiteralString, process: psutil.Process
) -> Side:
    return Side(name, port, lambda files: knocks(path, files), lambda: place.ask(count), process)


def measure(sides: Sequence[Side], files: list[Announced], options: Options) -> None:
    """Each side in turn, so often. A rate counts only if every webhook that was acknowledged is a committed row."""
    for side in sides:
        side.run(files, 1.0)
        side.rates.clear()
        side.cpu_us.clear()
    for _ in range(options.rounds):
        for side in sides:
            side.run(files, options.scaled(SECONDS))
    for side in sides:
        rows = side.count()
        if rows != side.acknowledged:
            raise AssertionError(f"{side.name}: {side.acknowledged} acknowledged, {rows} rows.")


def _results(ours: Side, bare: Side, plain: Side) -> Iterator[Result]:
    rate = median(ours.rates)
    yield against("acceptance", rate, "webhooks/s", median(bare.rates), at_least=0.7)
    yield against("acceptance beside plain Django", rate, "webhooks/s", median(plain.rates), at_least=5)
    yield reported("acceptance, CPU of the web", median(ours.cpu_us), "µs/webhook", median(bare.cpu_us))


def invented_files(count: int) -> list[Announced]:
    """Announcements of files nobody will fetch, with links as long as Meta's."""
    dice = random.Random(7)
    made = []
    for _ in range(count):
        media_id = str(dice.randrange(10**15, 10**16))
        seal = base64.urlsafe_b64encode(secrets.token_bytes(60)).decode()
        url = f"https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid={media_id}&source=webhook&ext=1&hash={seal}"
        made.append(Announced(media_id, "image/jpeg", secrets.token_hex(32), 30_000, url))
    return made
