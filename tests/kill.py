"""Promise 1, broken on purpose: kill -9 of any part at random moments under load, and nothing acknowledged is lost.

An account at each of five simulated vendors knocks at once. Their media hosts fail, some webhooks of those that keep a
list never come, and one vendor blocks whoever fails too often. `python -m tests.kill --kills 20` runs the long form, in
which dropped webhooks are found by the clock alone, and prints what it saw; the suite runs a short one.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from typing import Any

import psycopg

from sandbox import samples
from sandbox.people import EVERYONE
from sandbox.whatsapp import Fault, Sender
from sandbox.whatsapp.messages import SignedWebhook
from tests.accounts import ACCOUNTS, Account, Line
from tests.house import House, house

SETTLE_S = 1200.0
VICTIMS = ("web", "capture", "preparation", "background", "postgres", "all")
DROPPED = 4
"""One webhook of so many is never sent, where the vendor keeps a list."""
CAREFUL = "dialog360"
"""Blocks a number for an hour after a few failed downloads."""
TROUBLE = (
    Fault("server_error", probability=0.1, side="media"),
    Fault("server_error", probability=0.1, side="graph"),
    Fault("host_down", probability=0.05),
    Fault("cut", count=2),  # a third time would be final for a file that meets all of them
)


@dataclass
class Outcome:
    """What a run saw."""

    kills: list[str] = field(default_factory=list)
    files: dict[str, int] = field(default_factory=dict)
    """By provider: how many it held."""
    kept: dict[str, int] = field(default_factory=dict)
    acknowledged: int = 0
    answers: dict[int, int] = field(default_factory=dict)
    dropped: int = 0
    """Webhooks that were never sent."""
    recovered: int = 0
    """Of their files, those that are kept."""
    faults: int = 0
    blocked: int = 0
    """How often the careful vendor blocked us, and what we asked meanwhile."""
    hours: int = 0
    """So often its number had to rest until an hour had passed."""
    lost: int = 0
    duplicates: int = 0
    corrupt: int = 0
    settled_in_s: float = 0.0


@dataclass(frozen=True)
class Load:
    """Of each account."""

    per_second: float = 10.0
    most_each: int = sys.maxsize
    """After so many files there is only what they still cause, and kills."""


@dataclass
class Traffic:
    """One account under load."""

    line: Line
    sender: Sender
    sent: set[str] = field(default_factory=set)
    """SHA-256 of every file that a webhook told of or that stands in the vendor's list."""
    dropped: set[str] = field(default_factory=set)

    @property
    def account(self) -> Account:
        return self.line.account

    async def run(self, over: asyncio.Event, load: Load) -> None:
        """Files of their own bytes each, announced until it is over."""
        await self.sender.deliver_at(self._webhooks(over, load.most_each), per_second=load.per_second)

    async def _webhooks(self, over: asyncio.Event, most: int) -> AsyncIterator[SignedWebhook]:
        note, mime = samples.read("voz-entrega.ogg")
        number = 0
        while not over.is_set() and number < most:
            number += 1
            body = note + f"{self.account.kind} {number}".encode()
            sha256 = hashlib.sha256(body).hexdigest()
            file = await self.line.add(body, mime)
            webhook = await self.line.hold(EVERYONE[number % len(EVERYONE)], file)
            self.sent.add(sha256)
            if self.account.keeps_a_list and number % DROPPED == 0:
                self.dropped.add(sha256)
                continue
            yield webhook


async def run(kills: int, *, seed: int, load: Load, waits_for_clock: bool = False) -> Outcome:
    """Load, a kill every few seconds, then peace, then the count. Unless it waits for the clock, vendors' lists are
    read as soon as there is peace."""
    outcome = Outcome()
    with house() as home, ExitStack() as vendors:
        addresses = {
            account.kind: vendors.enter_context(home.sandbox(account.sandbox, "--seed", str(seed)))
            for account in ACCOUNTS
        }
        home.serve()
        home.move_in()
        async with AsyncExitStack() as stack:
            opening = (_open(home, account, addresses[account.kind], stack) for account in ACCOUNTS)
            traffic = await asyncio.gather(*opening)
            await _storm(home, traffic, outcome, victims(kills, seed), load)
            for one in traffic:
                outcome.faults += sum((await one.line.remote.statistics())["faults"].values())
                await one.line.remote.clear_faults()
            if not waits_for_clock:
                await asyncio.to_thread(_read_lists, home)
            await _settle(home, traffic, outcome)
            await _count_at_vendors(traffic, outcome)
        _count(home, traffic, outcome)
    return outcome


def victims(kills: int, seed: int) -> list[str]:
    """Each equally often, in any order."""
    found = [VICTIMS[number % len(VICTIMS)] for number in range(kills)]
    random.Random(seed).shuffle(found)
    return found


async def _open(home: House, account: Account, vendor: str, stack: AsyncExitStack) -> Traffic:
    url = await asyncio.to_thread(home.connect_account, account, vendor)
    line = Line(account, url, await stack.enter_async_context(account.handle(vendor)))
    await line.look_up_registration()
    sender = account.sender(line.url, concurrency=64, longest_wait_s=2.0)
    return Traffic(line, await stack.enter_async_context(sender))


async def _storm(
    home: House,
    traffic: Sequence[Traffic],
    outcome: Outcome,
    chosen: Sequence[str],
    load: Load,
) -> None:
    """Load, faults and kills, until every knock is answered."""
    for one in traffic:
        for fault in TROUBLE:
            await one.line.remote.fault(fault)
    over = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for one in traffic:
            group.create_task(one.run(over, load))
        for victim in chosen:
            await asyncio.sleep(random.uniform(1.0, 4.0))
            await asyncio.to_thread(home.kill, victim)
            outcome.kills.append(victim)
            await asyncio.to_thread(home.serve if victim == "all" else home.wait_until_ready)
        await asyncio.sleep(2.0)
        over.set()
    for one in traffic:
        outcome.acknowledged += one.sender.acknowledged
        for status, times in one.sender.answers.items():
            outcome.answers[status] = outcome.answers.get(status, 0) + times


def _read_lists(home: House) -> None:
    """What the clock asks for every few minutes, now."""
    home.acervo("manage", "procrastinate", "defer", "-i", "clock:recover_missed", '{"timestamp": 0}')


async def _settle(home: House, traffic: Sequence[Traffic], outcome: Outcome) -> None:
    started, wanted = time.monotonic(), set[str]().union(*(one.sent for one in traffic))
    while not wanted <= await asyncio.to_thread(_kept, home):
        assert time.monotonic() - started < SETTLE_S, f"not everything kept: {_waiting(home)}"
        careful = next(one for one in traffic if one.account.kind == CAREFUL)
        outcome.hours += await _pass_an_hour(home, careful)
        await asyncio.sleep(3.0)
    outcome.settled_in_s = time.monotonic() - started


def _kept(home: House) -> set[str]:
    """By hash; none while the database is not back yet."""
    try:
        rows = home.ask("SELECT sha256 FROM acervo_mediafile WHERE stored_at IS NOT NULL")
    except psycopg.OperationalError:
        return set()
    return {sha256 for (sha256,) in rows}


async def _pass_an_hour(home: House, traffic: Traffic) -> bool:
    """Where the number rests for an hour of failures, let it pass for both sides; whether it did."""
    is_resting = "SELECT 1 FROM acervo_connection WHERE kind = %s AND breaker_open_until > now()"
    if not await asyncio.to_thread(home.ask, is_resting, CAREFUL):
        return False
    await traffic.line.remote.forward(3601)

    def age() -> None:
        home.ask(
            """UPDATE acervo_mediafile SET due_at = now(), fetch_before = fetch_before - interval '1 hour',
            url_expires_at = url_expires_at - interval '1 hour' WHERE stored_at IS NULL AND gone_at IS NULL
            AND connection_id IN (SELECT id FROM acervo_connection WHERE kind = %s)""",
            CAREFUL,
        )
        home.ask(
            "UPDATE acervo_connection SET failures = '[]', breaker_open_until = NULL WHERE kind = %s",
            CAREFUL,
        )

    await asyncio.to_thread(age)
    return True


def _waiting(home: House) -> list[tuple[Any, ...]]:
    """Why files are not here, for whoever has to find out."""
    return home.ask(
        """SELECT c.kind, f.refusal, f.gone_at IS NOT NULL, count(*) FROM acervo_mediafile f JOIN acervo_connection c
        ON c.id = f.connection_id WHERE f.stored_at IS NULL GROUP BY 1, 2, 3"""
    )


async def _count_at_vendors(traffic: Sequence[Traffic], outcome: Outcome) -> None:
    careful = next(one for one in traffic if one.account.kind == CAREFUL)
    outcome.blocked = sum((await careful.line.remote.block()).values())


def _count(home: House, traffic: Sequence[Traffic], outcome: Outcome) -> None:
    """Against what was sent: every file once, its bytes in the vault byte for byte."""
    rows = home.json("media", "list", "--limit", "1000000")
    here = [row["sha256"] for row in rows if row["stored_at"]]
    sent, found = set[str]().union(*(one.sent for one in traffic)), set(here)
    outcome.lost = len(sent - found)
    outcome.duplicates = len(rows) - len({row["sha256"] or row["id"] for row in rows})
    verdict = home.json("verify")
    outcome.corrupt = verdict["damaged"] + verdict["missing"] + len(found - sent)
    for one in traffic:
        outcome.files[one.account.kind] = len(one.sent)
        outcome.kept[one.account.kind] = len(one.sent & found)
        outcome.dropped += len(one.dropped)
        outcome.recovered += len(one.dropped & found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--per-second", type=float, default=Load.per_second, help="Webhooks of each account.")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    options = parser.parse_args()
    random.seed(options.seed)
    load = Load(options.per_second)
    outcome = asyncio.run(run(options.kills, seed=options.seed, load=load, waits_for_clock=True))
    print(f"seed {options.seed}: {outcome}")
    wrong = outcome.lost, outcome.duplicates, outcome.corrupt, outcome.blocked
    sys.exit(any(wrong) or outcome.recovered != outcome.dropped)


if __name__ == "__main__":
    main()
