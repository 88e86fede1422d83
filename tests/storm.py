"""Promise 2 and 3, broken on purpose: everything goes wrong at once, and each file arrives whole, once, everywhere.

Every webhook three times, shuffled, from four senders at once; senders without a phone number; three messages in one
webhook; the media host away, the store away, 40 % of look-ups refused, 20 % of files cut or altered on the way.
`python -m tests.storm --away-s 30` runs the long form and prints what it saw; the suite runs a short one.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import random
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import aiohttp

from acervo.crms.hubspot.api import HUBSPOT_API_VERSION
from sandbox import samples
from sandbox.people import EVERYONE
from sandbox.whatsapp import Fault, RemoteSandbox, Sender, message, webhook
from sandbox.whatsapp.messages import SignedWebhook
from tests.house import PATIENCE_S, House, house, wait_for

TOKEN = "pat-na1-storm"
SAMPLES = (
    "voz-entrega.ogg",
    "foto-caneca.jpg",
    "contrato-fibra.pdf",
    "voz-mesa.ogg",
    "figurinha-obrigado.webp",
)
KINDS = {"ogg": "audio", "jpg": "image", "pdf": "document", "webp": "sticker"}


@dataclass
class Outcome:
    """What came of the storm."""

    files: int = 0
    kept: int = 0
    rows: int = 0
    wrong: int = 0
    in_crm: int = 0
    doubled_in_crm: int = 0
    tries: int = 0
    """Of all files together: more than there are files, because much went wrong."""
    settled_in_s: float = 0.0


async def run(files: int, *, away_s: float, seed: int) -> Outcome:
    """`away_s`: how long the media host and then the store are away, in seconds."""
    outcome = Outcome(files=files)
    with (
        house() as home,
        home.sandbox("sandbox.whatsapp", "--seed", str(seed)) as meta,
        home.sandbox("sandbox.hubspot", "--token", TOKEN) as hubspot,
    ):
        home.serve()
        url = home.connect(meta, hubspot, token=TOKEN)
        async with RemoteSandbox(meta) as shelf:
            sent, webhooks = await _write(shelf, files)
            await _spoil(shelf, sent, away_s)
            store = asyncio.create_task(_store_away(home, away_s))
            async with Sender(url, concurrency=4, longest_wait_s=2.0) as sender:
                await sender.deliver_all(webhooks, copies=3, seed=seed)
            await store
            await asyncio.sleep(away_s)
            # Every storm ends: what still waits for its next try finds good weather.
            await shelf.clear_faults()
            started = time.monotonic()
            # A file that failed six times waits five minutes for its next try.
            patience_s = PATIENCE_S + 20 * away_s
            await asyncio.to_thread(wait_for, lambda: _kept(home) >= files, "everything kept", patience_s)
            await _wait_for_records(hubspot, files, patience_s)
            outcome.settled_in_s = time.monotonic() - started
        _count(home, sent, outcome)
        records = await _records(hubspot)
        outcome.in_crm, outcome.doubled_in_crm = len(set(records)), len(records) - len(set(records))
    return outcome


async def _write(shelf: RemoteSandbox, files: int) -> tuple[dict[str, str], list[SignedWebhook]]:
    """Files on the shelf and webhooks that announce them, three messages in every fourth."""
    sent: dict[str, str] = {}
    messages: list[Any] = []
    for number in range(files):
        name = SAMPLES[number % len(SAMPLES)]
        data, mime = samples.read(name)
        body = data + number.to_bytes(4, "big")
        announced = await shelf.add(body, mime, file_name=name)
        sent[announced.media_id] = hashlib.sha256(body).hexdigest()
        kind = KINDS[name.rpartition(".")[2]]
        # Every second one brings no link, so that it must be looked up.
        customer = EVERYONE[number % len(EVERYONE)]
        messages.append(message(customer, file=announced, kind=kind, with_url=number % 2 == 0))
    webhooks, left = [], list(messages)
    while left:
        size = 3 if len(webhooks) % 4 == 0 else 1
        webhooks.append(webhook(left[:size]))
        left = left[size:]
    return sent, webhooks


async def _spoil(shelf: RemoteSandbox, media_ids: Iterable[str], away_s: float) -> None:
    await shelf.fault(Fault("host_down", for_s=away_s))
    await shelf.fault(Fault("rate_limited", probability=0.4))
    for number, media_id in enumerate(media_ids):
        # A fifth of all files: cut or altered twice, then whole (a third time would be final).
        if number % 5 == 0:
            await shelf.fault(Fault("cut" if number % 2 else "altered", media_id=media_id, count=2))


async def _store_away(home: House, away_s: float) -> None:
    """The folder of the store cannot be entered: a file stands where it was. Begins when the media host is back."""
    await asyncio.sleep(away_s)
    store = home.folder / "data" / "files"
    hidden = store.with_name("files-away")
    if store.exists():
        store.rename(hidden)
    store.touch()
    await asyncio.sleep(away_s)
    store.unlink()
    if hidden.exists():
        hidden.rename(store)


def _kept(home: House) -> int:
    return int(home.ask("SELECT count(stored_at) FROM acervo_mediafile")[0][0])


def _count(home: House, sent: dict[str, str], outcome: Outcome) -> None:
    rows = home.json("media", "list", "--limit", "1000000")
    outcome.rows = len(rows)
    outcome.kept = sum(row["stored_at"] is not None for row in rows)
    outcome.tries = sum(row["attempts"] for row in rows)
    outcome.wrong = sum(row["sha256"] != sent.get(row["provider_id"]) for row in rows)
    verdict = home.json("verify")
    outcome.wrong += verdict["damaged"] + verdict["missing"]


async def _wait_for_records(hubspot: str, files: int, patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    while len(await _records(hubspot)) < files:
        assert time.monotonic() < deadline, "the CRM did not get everything"
        await asyncio.sleep(1.0)


async def _records(hubspot: str) -> list[str]:
    """The media id of every record the simulated account holds, as its own API tells."""
    found: list[str] = []
    headers = {"Authorization": f"Bearer {TOKEN}"}
    base = f"{hubspot}/crm/objects/{HUBSPOT_API_VERSION}"
    present = {"propertyName": "wa_media_id", "operator": "HAS_PROPERTY"}
    query = {"filterGroups": [{"filters": [present]}], "properties": ["wa_media_id"], "limit": 200}
    async with aiohttp.ClientSession(headers=headers) as session:
        schemas = await _ask(session, "GET", f"{hubspot}/crm-object-schemas/{HUBSPOT_API_VERSION}/schemas")
        for schema in schemas["results"]:
            page = await _ask(session, "POST", f"{base}/{schema['objectTypeId']}/search", json=query)
            assert "paging" not in page, "more records than one page holds"
            found += [record["properties"]["wa_media_id"] for record in page["results"]]
    return found


async def _ask(session: aiohttp.ClientSession, method: str, url: str, **body: Any) -> Any:
    """What the account answers, once its limit, which it counts for us as for Acervo, lets us ask."""
    while True:
        async with session.request(method, url, **body) as answer:
            if answer.status != 429:
                answer.raise_for_status()
                return await answer.json()
        await asyncio.sleep(1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=120)
    parser.add_argument("--away-s", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    options = parser.parse_args()
    random.seed(options.seed)
    outcome = asyncio.run(run(options.files, away_s=options.away_s, seed=options.seed))
    print(f"seed {options.seed}: {outcome}")
    well = outcome.kept == outcome.rows == outcome.in_crm == outcome.files
    sys.exit(not well or bool(outcome.wrong or outcome.doubled_in_crm))


if __name__ == "__main__":
    main()
