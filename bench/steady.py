"""How soon a webhook is answered at a steady rate, while every worker is busy with what the webhooks announce."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import uvloop

from bench import client
from bench.client import Answers
from bench.ground import Ground, ground, knocks
from bench.options import Options
from bench.results import Result, reported, within
from sandbox import samples
from sandbox.whatsapp import RemoteSandbox

PER_SECOND = 500
SECONDS = 10.0
WARM_UP = 50
MEDIAN_MS, SLOWEST_MS = 250.0, 1000.0
"""Meta's bounds: half of the answers within the first, 99 of 100 within the second (webhooks overview, read 2026-03)."""


def run(options: Options) -> Iterator[Result]:
    with ground() as place:
        place.house.serve()
        answers = uvloop.run(_knock(place, options.scaled(SECONDS)))
        kept = place.ask("SELECT count(*) FROM acervo_mediafile WHERE stored_at IS NOT NULL")
        prepared = place.ask("SELECT count(*) FROM acervo_mediafile WHERE prepared_at IS NOT NULL")
    if set(answers.statuses) != {200}:
        raise AssertionError(f"Answered {dict(answers.statuses)}.")
    name = f"steady {PER_SECOND}/s"
    yield within(f"{name}, median", answers.percentile_ms(0.50), "ms", at_most=MEDIAN_MS)
    yield within(f"{name}, 99 %", answers.percentile_ms(0.99), "ms", at_most=SLOWEST_MS)
    yield reported(f"{name}, files kept meanwhile", kept, "files")
    yield reported(f"{name}, files prepared meanwhile", prepared, "files")


async def _knock(place: Ground, seconds: float) -> Answers:
    note, mime = samples.read("voz-obrigado.ogg")
    count = round(PER_SECOND * seconds)
    async with RemoteSandbox(place.meta) as sandbox:
        files = await sandbox.add_copies(note, mime, WARM_UP + count)
    requests = await asyncio.to_thread(knocks, place.hook, files)
    await client.stream(place.port, requests[:WARM_UP], per_second=PER_SECOND)
    return await client.stream(place.port, requests[WARM_UP:], per_second=PER_SECOND)
