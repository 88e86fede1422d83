"""How much each process grows while one large document passes: announced, captured, prepared, downloaded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from uuid import UUID

import psutil
import uvloop

from bench import client
from bench.ground import Ground, ground, knocks
from bench.options import Options
from bench.processes import memory_peaks, wait_for
from bench.results import Result, within
from bench.visitor import visitor
from sandbox.whatsapp import RemoteSandbox

DOCUMENT_MB = 100
"""WhatsApp's own ceiling (Media page, April 2026)."""
MOST_MB = 100.0
PATIENCE_S = 120.0
FOUND = "SELECT id FROM acervo_mediafile WHERE prepared_at IS NOT NULL"


def run(options: Options) -> Iterator[Result]:
    with ground() as place:
        place.house.serve()
        size_bytes = options.count(DOCUMENT_MB * 1_000_000)
        requests = uvloop.run(_announce(place, size_bytes))
        with memory_peaks(lambda: _everybody(place)) as peaks, visitor(place.port) as browser:
            uvloop.run(client.send_all(place.port, requests, connections=1))
            with place.asking() as ask:
                wait_for(lambda: ask(FOUND) is not None, "the document ready", patience_s=PATIENCE_S)
                slug = UUID(str(ask(FOUND)))
            with browser.stream("GET", f"/play/{slug}/original?download=1") as answer:
                read = sum(len(chunk) for chunk in answer.iter_raw())
        if read != size_bytes:
            raise AssertionError(f"{read} bytes came back of {size_bytes} ({answer.status_code}).")
    most = max(peaks.values(), key=lambda peak: peak.grown_mb)
    for peak in sorted(peaks.values(), key=lambda peak: -peak.grown_mb)[:8]:
        print(f"  {peak.name}: {peak.idle_bytes / 1e6:.0f} MB idle, {peak.grown_mb:+.0f} MB")
    yield within(f"memory, most grown ({most.name})", most.grown_mb, "MB", at_most=MOST_MB)


async def _announce(place: Ground, size_bytes: int) -> list[bytes]:
    document = b"%PDF-1.7\n" + os.urandom(size_bytes - 9)
    async with RemoteSandbox(place.meta) as sandbox:
        return knocks(place.hook, [await sandbox.add(document, "application/pdf")])


def _everybody(place: Ground) -> list[psutil.Process]:
    """`acervo serve`, what it started, and the database."""
    assert place.house.serving is not None
    keeper = psutil.Process(place.house.serving.pid)
    return [
        *{
            process.pid: process for process in (keeper, *keeper.children(recursive=True), *place.postgres())
        }.values()
    ]
