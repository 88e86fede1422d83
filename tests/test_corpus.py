"""Every file of the corpus goes through the real pipeline, and all that its manifest expects holds; so do broken ones.

Each expectation is looked up in a table below by its very words: one that no check stands for fails.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import IntegrityError, transaction
from PIL import Image

from acervo.base.errors import AcervoError
from acervo.base.filetypes import by_mime
from acervo.keep import vault
from acervo.models import Connection, MediaFile, MediaPolicy, Rendition
from acervo.prepare import isolation, launcher, limits, renditions
from acervo.prepare.forkserver import ForkServer
from acervo.prepare.previews import examine
from acervo.prepare.workroom import PREFIX
from tests.conftest import keep, make_file
from tests.prepare.conftest import tools_at_work

CORPUS = Path(__file__).parent / "corpus"
MANIFEST: list[dict[str, Any]] = json.loads((CORPUS / "manifest.json").read_text())["files"]
HOSTILE = [entry for entry in MANIFEST if entry["kind"] == "hostile"]
GOOD = [entry for entry in MANIFEST if entry["kind"] != "hostile"]
DECLARED = {"audio": "voice", "video": "video", "image": "image"}
SIDE_BY_SIDE = 3
MUTATIONS = 500
SEED = 20_261_125


@dataclass
class Kept:
    """A file of the corpus after its journey."""

    entry: dict[str, Any]
    media: MediaFile
    original: bytes
    copies: dict[str, Rendition] = field(default_factory=dict)
    bodies: dict[str, bytes] = field(default_factory=dict)
    unmade: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return str(self.entry["name"])

    def says_it_is_broken(self) -> bool:
        return self.media.is_damaged or self.media.is_mistyped


# ── what the words of the manifest mean ──


def is_stored(kept: Kept) -> None:
    assert kept.media.state == "ready"
    assert not kept.says_it_is_broken()


def is_refused(kept: Kept) -> None:
    """Kept for whoever must look into it, and never passed off as good; why, says the other expectation."""
    assert kept.media.state == "ready"
    assert kept.says_it_is_broken() or kept.name in IN_DISGUISE_OF or not kept.copies


def is_nothing_known(kept: Kept) -> None:
    """Nothing is made of it, and nothing is ever shown of it."""
    assert not by_mime(kept.media.mime or "").inline
    assert kept.media.mime in ("application/octet-stream", "text/plain")
    assert kept.media.is_mistyped
    assert kept.copies == {}


def is_unreadable(kept: Kept) -> None:
    assert kept.media.is_damaged
    assert kept.copies == {}
    assert set(kept.unmade.values()) <= {"tool_failed"}


def is_too_many_pixels(kept: Kept) -> None:
    is_unreadable(kept)
    assert (kept.media.width, kept.media.height) == (None, None)


IN_DISGUISE_OF = {
    "hostile/bitflip_0_v_h264.3gp": "video_h264.3gp",
    "hostile/bitflip_1_voice_30s_16k.ogg": "voice_30s_16k.ogg",
    "hostile/bitflip_3_img720.jpg": "img720.jpg",
    "hostile/bitflip_5_img720.webp": "img720.webp",
}


def is_caught_by_its_hash(kept: Kept) -> None:
    """What was announced was the good file: these bytes can never be a kept file's."""
    good = hashlib.sha256((CORPUS / IN_DISGUISE_OF[kept.name]).read_bytes()).hexdigest()
    with pytest.raises(IntegrityError, match="byte_identical"), transaction.atomic():
        MediaFile.objects.filter(pk=kept.media.pk).update(announced_sha256=good)


def is_damaged(kept: Kept) -> None:
    assert kept.media.is_damaged


def is_opaque(kept: Kept) -> None:
    filetype = by_mime(kept.media.mime or "")
    assert (filetype.kind, filetype.inline) == ("document", False)
    assert kept.copies == {}


def is_octets(kept: Kept) -> None:
    is_opaque(kept)
    assert kept.media.mime == "application/octet-stream"


def is_attachment(kept: Kept) -> None:
    assert not by_mime(kept.media.mime or "").inline


def is_picture_and_mistyped(kept: Kept) -> None:
    assert (kept.media.mime, kept.media.is_mistyped) == ("image/jpeg", True)
    assert {"thumb_96", "thumb_320", "thumb_640"} == set(kept.copies)


def is_mpeg_sound(kept: Kept) -> None:
    """Of the same family as declared, so no mismatch; its type is what the bytes are."""
    assert kept.media.mime == "audio/mpeg"
    assert kept.copies == {}


def is_not_as_declared(kept: Kept) -> None:
    assert kept.media.mime != kept.entry["declared_mime"]
    assert kept.media.announced_mime == kept.entry["declared_mime"]


def is_seconds(seconds: float) -> Callable[[Kept], None]:
    def check(kept: Kept) -> None:
        assert kept.media.duration_s == pytest.approx(seconds, abs=0.2)

    return check


def is_upright_and_placeless(kept: Kept) -> None:
    with Image.open(io.BytesIO(kept.original)) as original:
        assert original.getexif().get_ifd(0x8825) != {}
    for body in kept.bodies.values():
        with Image.open(io.BytesIO(body)) as copy:
            assert dict(copy.getexif()) == {}
        assert b"Exif" not in body
        assert b"EXIF" not in body
    thumbnail = kept.copies["thumb_320"]
    assert (thumbnail.width, thumbnail.height) == (180, 320)
    assert kept.media.sealing == "acervo"


def is_encoded_anew(kept: Kept) -> None:
    assert b"<script" in kept.original
    has_thumbnails(kept)
    for body in kept.bodies.values():
        assert b"<" + b"script" not in body


def has_thumbnails(kept: Kept) -> None:
    for kind, side in (("thumb_96", 96), ("thumb_320", 320), ("thumb_640", 640)):
        copy = kept.copies[kind]
        with Image.open(io.BytesIO(kept.bodies[kind])) as picture:
            assert (picture.format, picture.size) == ("WEBP", (copy.width, copy.height))
        assert max(copy.width or 0, copy.height or 0) == min(side, max(kept.media.width, kept.media.height))


def has_poster(kept: Kept) -> None:
    with Image.open(io.BytesIO(kept.bodies["poster"])) as picture:
        assert picture.format == "WEBP"


def has_waveform(kept: Kept) -> None:
    assert len(kept.media.waveform) == 160
    assert max(kept.media.waveform) > 30
    assert kept.media.loudness_lufs is not None


def has_mp3(kept: Kept) -> None:
    assert kept.copies["mp3"].serves
    assert [stream["codec_name"] for stream in streams(kept.bodies["mp3"])] == ["mp3"]


def has_larger_mp3(kept: Kept) -> None:
    has_mp3(kept)
    assert len(kept.bodies["mp3"]) > len(kept.original)


def has_no_copy_to_play(kept: Kept) -> None:
    assert not {"mp3", "mp4"} & set(kept.copies)


def is_repacked(kept: Kept) -> None:
    film = kept.bodies["mp4"]
    assert film.index(b"moov") < film.index(b"mdat")
    assert len(film) == pytest.approx(len(kept.original), rel=0.02)
    assert frames(film) == frames(kept.original)


def is_transcoded(kept: Kept) -> None:
    video, *_ = streams(kept.bodies["mp4"])
    assert (video["codec_name"], video["pix_fmt"]) == ("h264", "yuv420p")
    assert kept.copies["mp4"].serves


def streams(film: bytes) -> list[dict[str, Any]]:
    return list(_probed(film, "-show_streams")["streams"])


def frames(film: bytes) -> list[str]:
    """The sizes of all packets of the picture: unchanged exactly when nothing was encoded."""
    packets = _probed(film, "-select_streams", "v", "-show_entries", "packet=size")["packets"]
    return [packet["size"] for packet in packets]


def _probed(film: bytes, *arguments: str) -> Any:
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(film)
        command = ["ffprobe", "-v", "error", *arguments, "-of", "json", file.name]
        return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


MEANING: dict[tuple[str, Any], list[Callable[[Kept], None]]] = {
    ("action", "store"): [is_stored],
    ("action", "quarantine/refuse rendition"): [is_refused],
    # With a scanner: tests/prepare/test_scan.py. Without one it is text, which is only ever downloaded.
    ("action", "quarantine when a scanner is on"): [is_opaque],
    ("action", "store original encrypted; thumbnail rotated 180x320 and without EXIF"): [
        is_stored,
        is_upright_and_placeless,
    ],
    ("action", "opaque attachment only, Content-Type application/octet-stream"): [is_octets],
    ("action", "store; duration from streams/decoded"): [is_seconds(10.134)],
    ("action", "store; duration from decoded samples; -t cap"): [is_seconds(5.0), has_mp3],
    ("action", "store as sniffed image/jpeg, never as declared"): [is_picture_and_mistyped],
    ("action", "store as sniffed audio/mpeg"): [is_mpeg_sound],
    ("action", "attachment only"): [is_attachment],
    ("action", "store; thumbnail re-encoded; serve with nosniff + attachment/CSP sandbox"): [
        is_stored,
        is_encoded_anew,  # the headers: tests/play
    ],
    ("action", "store as opaque document, attachment only, never inline, never rendered"): [is_octets],
    ("action", "store opaque; never unpack"): [is_opaque],
    ("action", "store opaque; never unpack; clamd reports Limits.Exceeded"): [is_opaque],
    ("why", "sha256 mismatch first; decode may succeed with errors"): [is_caught_by_its_hash],
    ("why", "pixel cap 50M before decode"): [is_too_many_pixels],
    ("why", "pixel cap"): [is_too_many_pixels],
    ("why", "playlist in disguise"): [is_nothing_known],
    ("why", "playlist in disguise: text; no request may reach port 18080"): [is_nothing_known],
    ("why", "test signature"): [is_opaque],
    ("why", "executable; ffprobe accepts it as image2/mjpeg by extension"): [is_nothing_known],
    ("why", "format.duration = 4294967 s"): [is_seconds(10.134)],
    ("why", "ffprobe says 1 576 800 000 s"): [is_seconds(5.0)],
    ("why", "type mismatch"): [is_not_as_declared],
    ("why", "XSS if served without nosniff"): [is_encoded_anew],
    ("why", "GIF is not a WhatsApp type; does not decode"): [is_unreadable],
    ("why", "unknown type"): [is_nothing_known],
    ("why", "svg in disguise"): [is_nothing_known],
    ("why", "Pillow raises OSError truncated"): [is_unreadable],
    (
        "why",
        "even strict decode succeeds: only size/sha256 or the missing EOS page flag catches it",
    ): [is_damaged],
    (
        "why",
        "ffprobe says OK, 10 s: only size/sha256 or strict decode (-xerror -err_detect explode) catches it",
    ): [is_damaged],
    (
        "why",
        "moov atom not found; must be caught by declared size/sha256 before any probe",
    ): [is_unreadable],
    ("why", "zero bytes: refuse (size and sha256 mismatch)"): [is_nothing_known],
    ("rendition", "mp3 (larger than the original: keep original)"): [has_larger_mp3],
    ("rendition", "mp3/m4a required: no browser plays AMR"): [has_mp3],
    ("rendition", "none: already playable"): [has_no_copy_to_play],
    ("rendition", "none (compatible, faststart): copy"): [has_no_copy_to_play],
    ("rendition", "copy"): [has_no_copy_to_play],
    ("rendition", "remux to faststart (copy)"): [is_repacked],
    ("rendition", "remux to mp4 (copy)"): [is_repacked],
    ("rendition", "remux"): [is_repacked],
    ("rendition", "transcode to H.264"): [is_transcoded],
    ("poster", True): [has_poster],
    ("thumbnail", True): [has_thumbnails],
    ("waveform", True): [has_waveform],
    ("serve", "attachment"): [is_attachment],
}


# ── the journey ──


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
async def test_every_file_of_the_corpus_is_handled_as_its_manifest_expects(
    connection: Connection, rooms_of_our_own: None
) -> None:
    before = left_behind()
    room = asyncio.Semaphore(SIDE_BY_SIDE)

    async def travel(entry: dict[str, Any]) -> Kept:
        async with room:
            return await journey_of(entry, connection)

    journeys = await asyncio.gather(*(travel(entry) for entry in MANIFEST))
    assert len(journeys) == 57
    for kept in journeys:
        is_kept_as_received(kept)
        for expectation in kept.entry["expected"].items():
            for check in MEANING[expectation]:
                await sync_to_async(check)(kept)
    assert left_behind() == before


def test_every_word_of_the_manifest_has_a_meaning_and_every_meaning_a_word() -> None:
    assert {words for entry in MANIFEST for words in entry["expected"].items()} == set(MEANING)


async def journey_of(entry: dict[str, Any], connection: Connection) -> Kept:
    original = (CORPUS / entry["name"]).read_bytes()
    media = await sync_to_async(_stored)(entry, original, connection)
    await renditions.prepare(media.pk, lambda pk: None)
    await media.arefresh_from_db()
    kept = Kept(entry, media, original)
    async for copy in media.renditions.all():
        kept.copies[copy.what] = copy
        kept.bodies[copy.what] = await vault.read_all(copy)
    kept.unmade = {row.kind: row.reason async for row in media.unmade_renditions.all()}
    assert await vault.read_all(media) == original
    return kept


def _stored(entry: dict[str, Any], original: bytes, connection: Connection) -> MediaFile:
    kind = entry["kind"]
    if kind == "hostile":
        kind = DECLARED.get(entry["declared_mime"].split("/")[0], "document")
    media = keep(make_file(connection, kind=kind, announced_mime=entry["declared_mime"]), original)
    MediaFile.objects.filter(pk=media.pk).update(prepared_at=None, mime=None, duration_s=None)
    media.refresh_from_db()
    return media


def is_kept_as_received(kept: Kept) -> None:
    entry, media = kept.entry, kept.media
    assert (media.size_bytes, media.sha256) == (entry["size"], entry["sha256"])
    if entry["kind"] == "hostile":
        return
    assert media.mime == entry["mime"].split(";")[0]
    assert "+".join(filter(None, [media.video_codec, media.audio_codec])) == (entry["codec"] or "")
    # No container holds the length of AMR: the manifest has what ffprobe guesses by the bit rate.
    exactness = 1 if entry["codec"] == "amr_nb" else 0.2
    assert media.duration_s == (
        None if entry["duration"] is None else pytest.approx(entry["duration"], abs=exactness)
    )


# ── broken on purpose ──


def mutations() -> Iterator[tuple[str, bytes]]:
    """Flips, cuts and splices of the good files: of each at least one, of those quickly looked at many."""
    chance = random.Random(SEED)
    bodies = {entry["name"]: (CORPUS / entry["name"]).read_bytes() for entry in GOOD}
    small = [name for name, body in bodies.items() if len(body) <= 25_000]
    names = [*bodies]
    while len(names) < MUTATIONS:  # `small`: eight files, of every decoder but that of films
        names.append(chance.choice(small))
    for number, name in enumerate(names[:MUTATIONS]):
        yield name, (flipped, cut, spliced)[number % 3](chance, bodies[name], bodies[chance.choice(small)])


def flipped(chance: random.Random, body: bytes, other: bytes) -> bytes:
    broken = bytearray(body)
    for _ in range(chance.choice((1, 8, 64))):
        broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
    return bytes(broken)


def cut(chance: random.Random, body: bytes, other: bytes) -> bytes:
    return body[: chance.randrange(len(body))]


def spliced(chance: random.Random, body: bytes, other: bytes) -> bytes:
    place, length = chance.randrange(len(body)), chance.randrange(1, 4096)
    start = chance.randrange(len(other))
    return body[:place] + other[start : start + length] + body[place + length * chance.choice((0, 1)) :]


MEASURING = """
import os, sys
pid = os.fork()
if not pid:
    os.execv(sys.executable, [sys.executable, "-I", "-S", "-B", sys.argv[1]])
_, _, usage = os.wait4(pid, 0)
with open(sys.argv[2], "w") as report:
    report.write(str(usage.ru_maxrss))
"""


@pytest.fixture
def rooms_of_our_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests prepare files, too, at this very moment."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


class Measured(ForkServer):
    """Its tools are nobody else's, so that the largest of them can be told. They are forked below a small process: what
    is started by this one counts the memory that the tests before have used as its own."""

    def __init__(self, report: Path) -> None:
        super().__init__(("-c", MEASURING, launcher.__file__, str(report)))
        self._report = report

    def peak_bytes(self) -> int:
        """Ends the server: only then its children are counted."""
        self.stop()
        return int(self._report.read_text()) * (1 if sys.platform == "darwin" else 1024)


@pytest.mark.slow
async def test_five_hundred_broken_files_end_in_facts_and_in_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rooms_of_our_own: None
) -> None:
    before = left_behind()
    tools = Measured(tmp_path / "peak")
    monkeypatch.setattr(isolation, "_tools", tools)
    room = asyncio.Semaphore(SIDE_BY_SIDE)
    looked_at = 0

    async def look(number: int, name: str, body: bytes) -> None:
        nonlocal looked_at
        folder = tmp_path / str(number)
        async with room:
            folder.mkdir()
            path = folder / "original"
            path.write_bytes(body)
            (folder / "made").mkdir()
            try:
                outcome = await examine(path, None, MediaPolicy(), folder / "made")
            except AcervoError:
                pass  # one of the families: the journey knows what to do with it
            else:
                assert {made.path for made in outcome.made} == set((folder / "made").iterdir()), name
            assert path.read_bytes() == body
            looked_at += 1

    await asyncio.gather(*(look(number, *broken) for number, broken in enumerate(mutations())))
    assert looked_at == MUTATIONS
    assert left_behind() == before
    assert 0 < tools.peak_bytes() <= max(limits.DECODING.memory_bytes, limits.DRAWING.memory_bytes)


def left_behind() -> list[object]:
    """Tools still running, and folders of theirs."""
    tools = [one for one in tools_at_work() if one.name().startswith(("ffmpeg", "ffprobe", "python"))]
    return [*tools, *Path(tempfile.gettempdir()).glob(f"{PREFIX}*")]
