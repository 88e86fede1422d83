"""Ranges of a sealed video through /play, to a member signed in, beside a server of plain files."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from statistics import median
from uuid import UUID

import uvloop

from bench import client
from bench.ground import Ground, ground, knocks
from bench.options import Options
from bench.processes import serving, wait_for
from bench.results import Result, reported
from bench.visitor import cookie, visitor
from sandbox.whatsapp import RemoteSandbox

VIDEO_BYTES = 5_000_000
RANGE_BYTES = 512 * 1024
REQUESTS = 64
CONNECTIONS = 8
SECONDS = 4.0
PATIENCE_S = 60.0
KEPT = "SELECT id FROM acervo_mediafile WHERE stored_at IS NOT NULL"


def run(options: Options) -> Iterator[Result]:
    video = os.urandom(VIDEO_BYTES)
    with ground() as place:
        plain = place.house.folder / "video.mp4"
        plain.write_bytes(video)
        with (
            place.web(),
            serving("bench.floors.plain_files", str(plain)) as floor,
            visitor(place.port) as browser,
        ):
            path = f"/play/{_keep(place, video)}/original"
            whole = browser.get(path).content
            if whole != video:
                raise AssertionError("Other bytes came back than were sent.")
            ours, theirs = _asked(path, cookie(browser)), _asked("/file", "")
            rates = _Rates(options.scaled(SECONDS))
            for _ in range(options.rounds):
                rates.ours.append(rates.of(place.port, ours))
                rates.floor.append(rates.of(floor.port, theirs))
    yield reported("ranges of a sealed video", median(rates.ours), "MB/s", median(rates.floor))


def _keep(place: Ground, video: bytes) -> UUID:
    async def announce() -> None:
        async with RemoteSandbox(place.meta) as sandbox:
            requests = knocks(place.hook, [await sandbox.add(video, "video/mp4")])
        await client.send_all(place.port, requests, connections=1)

    with place.part("worker", "--queues", "capture,tick"), place.asking() as ask:
        uvloop.run(announce())
        wait_for(lambda: ask(KEPT) is not None, "the video kept", patience_s=PATIENCE_S)
        return UUID(str(ask(KEPT)))


def _asked(path: str, cookies: str) -> list[bytes]:
    dice = random.Random(7)
    starts = [dice.randrange(VIDEO_BYTES - RANGE_BYTES) for _ in range(REQUESTS)]
    return [
        client.get(path, {"Range": f"bytes={start}-{start + RANGE_BYTES - 1}", "Cookie": cookies})
        for start in starts
    ]


class _Rates:
    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.ours: list[float] = []
        self.floor: list[float] = []

    def of(self, port: int, requests: list[bytes]) -> float:
        """Megabytes of file a second."""
        answers = uvloop.run(client.flood(port, requests, connections=CONNECTIONS, seconds=self._seconds))
        if set(answers.statuses) != {206}:
            raise AssertionError(f"Answered {dict(answers.statuses)}.")
        return answers.per_second * RANGE_BYTES / 1e6
