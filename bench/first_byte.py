"""How long a player waits for what it can begin with, unsealed on the way, beside the same server giving plain files.

The first 64 KiB of a video by Range, as a browser asks for them; a whole voice note. One player at a time: it is the
wait that is measured, not the throughput (that is `ranges`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median
from uuid import UUID

import uvloop

from bench import client
from bench.ground import Ground, ground, knocks
from bench.options import Options
from bench.processes import serving, wait_for
from bench.results import Result
from bench.visitor import cookie, visitor
from sandbox.whatsapp import RemoteSandbox

VIDEO_BYTES = 5_000_000
NOTE_BYTES = 57_437
FIRST_BYTES = 64 * 1024
SECONDS = 2.0
PATIENCE_S = 60.0
AT_MOST = 6.0
"""Times the floor, which asks no database who may have the bytes, and unseals none: each of our answers is handed over
between loop, threads and PostgreSQL. Measured 4.1 to 4.4; on two cores with eight others at work, 5.5 to 6.3."""
KEPT = "SELECT count(*) FROM acervo_mediafile WHERE stored_at IS NOT NULL"
OF_VIDEO = "SELECT id FROM acervo_mediafile WHERE stored_at IS NOT NULL AND size_bytes > 1000000"
OF_NOTE = "SELECT id FROM acervo_mediafile WHERE stored_at IS NOT NULL AND size_bytes < 1000000"


@dataclass
class Compared:
    """The same bytes from both."""

    name: str
    ours: bytes
    floor: bytes
    floor_port: int
    ours_ms: list[float] = field(default_factory=list)
    floor_ms: list[float] = field(default_factory=list)

    def run(self, port: int, seconds: float) -> None:
        self.ours_ms.append(_wait_ms(port, self.ours, seconds))
        self.floor_ms.append(_wait_ms(self.floor_port, self.floor, seconds))

    @property
    def result(self) -> Result:
        ours, floor = median(self.ours_ms), median(self.floor_ms)
        ratio = ours / floor
        return Result(self.name, ours, "ms", floor, ratio, f"ratio ≤ {AT_MOST:g}", ratio <= AT_MOST)


def run(options: Options) -> Iterator[Result]:
    video, note = os.urandom(VIDEO_BYTES), os.urandom(NOTE_BYTES)
    with ground() as place:
        plain_video, plain_note = place.house.folder / "video.mp4", place.house.folder / "note.ogg"
        plain_video.write_bytes(video)
        plain_note.write_bytes(note)
        with (
            place.web(),
            serving("bench.floors.plain_files", str(plain_video)) as floor_of_video,
            serving("bench.floors.plain_files", str(plain_note)) as floor_of_note,
            visitor(place.port) as browser,
        ):
            paths = [f"/play/{media}/original" for media in _keep(place, video, note)]
            if [browser.get(path).content for path in paths] != [video, note]:
                raise AssertionError("Other bytes came back than were sent.")
            signed_in = {"Cookie": cookie(browser)}
            first = {"Range": f"bytes=0-{FIRST_BYTES - 1}"}
            of_video = Compared(
                "first 64 KiB of a sealed video", client.get(paths[0], signed_in | first),
                client.get("/file", first), floor_of_video.port,
            )  # fmt: skip
            of_note = Compared(
                "a sealed note of 57 KB", client.get(paths[1], signed_in | {"Range": "bytes=0-"}),
                client.get("/file", {"Range": "bytes=0-"}), floor_of_note.port,
            )  # fmt: skip
            for compared in (of_video, of_note):
                for _ in range(options.rounds):
                    compared.run(place.port, options.scaled(SECONDS))
    yield of_video.result
    yield of_note.result


def _keep(place: Ground, video: bytes, note: bytes) -> list[UUID]:
    async def announce() -> None:
        async with RemoteSandbox(place.meta) as sandbox:
            files = [await sandbox.add(video, "video/mp4"), await sandbox.add(note, "audio/ogg; codecs=opus")]
        await client.send_all(place.port, knocks(place.hook, files), connections=1)

    with place.part("worker", "--queues", "capture,tick"), place.asking() as ask:
        uvloop.run(announce())
        wait_for(lambda: ask(KEPT) == 2, "both kept", patience_s=PATIENCE_S)
        return [UUID(str(ask(OF_VIDEO))), UUID(str(ask(OF_NOTE)))]


def _wait_ms(port: int, request: bytes, seconds: float) -> float:
    """The median wait of one player that asks again and again."""
    answers = uvloop.run(client.flood(port, [request], connections=1, seconds=seconds))
    if set(answers.statuses) != {206}:
        raise AssertionError(f"Answered {dict(answers.statuses)}.")
    return answers.percentile_ms(0.5)
