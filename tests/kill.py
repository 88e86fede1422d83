"""Promise 1, broken on purpose: kill -9 of any part at random moments under load, and nothing acknowledged is lost.

`python -m tests.kill --kills 20` runs the long form and prints what it saw; the suite runs a short one.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import random
import sys
import time
from dataclasses import dataclass, field

from sandbox import samples
from sandbox.people import EVERYONE
from sandbox.whatsapp import RemoteSandbox, Sender, message, webhook
from tests.house import House, house, wait_for

PER_SECOND = 50.0
SETTLE_S = 900.0
VICTIMS = ("web", "capture", "postgres", "all")


@dataclass
class Outcome:
    """What a run saw."""

    kills: list[str] = field(default_factory=list)
    acknowledged: int = 0
    answers: dict[int, int] = field(default_factory=dict)
    lost: int = 0
    duplicates: int = 0
    corrupt: int = 0
    settled_in_s: float = 0.0


async def run(kills: int, *, seed: int, per_second: float = PER_SECOND) -> Outcome:
    """Load at `per_second` webhooks a second, a kill every few seconds, then peace, then the count."""
    chance, outcome = random.Random(seed), Outcome()
    victims = [VICTIMS[number % len(VICTIMS)] for number in range(kills)]
    chance.shuffle(victims)
    with house() as home, home.sandbox("sandbox.whatsapp") as meta:
        home.serve()
        url = home.connect(meta)
        sent: dict[str, str] = {}
        async with RemoteSandbox(meta) as shelf, Sender(url, concurrency=64, longest_wait_s=2.0) as sender:
            over = asyncio.Event()
            load = asyncio.create_task(_load(shelf, sender, sent, over, per_second))
            for victim in victims:
                await asyncio.sleep(chance.uniform(1.0, 4.0))
                await asyncio.to_thread(home.kill, victim)
                outcome.kills.append(victim)
                if victim == "all":
                    await asyncio.to_thread(home.serve)
                else:
                    await asyncio.to_thread(home.wait_until_ready)
            await asyncio.sleep(2.0)
            over.set()
            await load
            outcome.acknowledged, outcome.answers = sender.acknowledged, dict(sender.answers)
        started = time.monotonic()
        await asyncio.to_thread(
            wait_for, lambda: _kept(home) >= len(sent), "everything kept", SETTLE_S, every_s=3.0
        )
        outcome.settled_in_s = time.monotonic() - started
        _count(home, sent, outcome)
    return outcome


async def _load(
    shelf: RemoteSandbox, sender: Sender, sent: dict[str, str], over: asyncio.Event, per_second: float
) -> None:
    """Notes of their own bytes each, announced until `over`; the dictionary holds media id to sha256."""
    note, mime = samples.read("voz-entrega.ogg")

    async def webhooks() -> object:
        number = 0
        while not over.is_set():
            body = note + number.to_bytes(8, "big")
            announced = await shelf.add(body, mime)
            sent[announced.media_id] = hashlib.sha256(body).hexdigest()
            yield webhook(
                [message(EVERYONE[number % len(EVERYONE)], file=announced, kind="audio", voice=True)]
            )
            number += 1

    await sender.deliver_at(webhooks(), per_second=per_second)  # type: ignore[arg-type]


def _kept(home: House) -> int:
    try:
        return sum(row["stored_at"] is not None for row in home.json("media", "list", "--limit", "1000000"))
    except AssertionError:
        return 0


def _count(home: House, sent: dict[str, str], outcome: Outcome) -> None:
    """Against what was sent: every announced file once, its bytes in the vault byte for byte."""
    rows = home.json("media", "list", "--limit", "1000000")
    kept = [row for row in rows if row["stored_at"]]
    found = {row["provider_id"]: row for row in kept}
    outcome.lost = len(set(sent) - set(found))
    outcome.duplicates = len(rows) - len({row["provider_id"] for row in rows})
    verdict = home.json("verify")
    outcome.corrupt = verdict["damaged"] + verdict["missing"]
    outcome.corrupt += sum(
        found[media]["sha256"] != digest for media, digest in sent.items() if media in found
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    options = parser.parse_args()
    outcome = asyncio.run(run(options.kills, seed=options.seed))
    print(f"seed {options.seed}: {outcome}")
    sys.exit(bool(outcome.lost or outcome.duplicates or outcome.corrupt))


if __name__ == "__main__":
    main()
