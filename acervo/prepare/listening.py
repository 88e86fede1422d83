"""One file heard: its sound brought into a form the engine takes, in pieces where it is long, and put together again."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from acervo.base.database import in_thread
from acervo.base.filetypes import by_mime
from acervo.keep import vault
from acervo.models import MediaFile, Rendition, RenditionKind
from acervo.prepare import ffmpeg, isolation, limits
from acervo.prepare.isolation import Limits
from acervo.prepare.workroom import workroom
from acervo.transcribers import answers
from acervo.transcribers.contract import (
    Capabilities,
    Ended,
    Engine,
    Heard,
    OnProgress,
    Room,
    Said,
    Sound,
    SoundTooLarge,
)

# As small as speech may be: what telephones carry, and what Whisper models are trained on.
FORMS: Final[dict[str, tuple[str, ...]]] = {
    "audio/mpeg": (
        "-ac",
        "1",
        "-ar",
        "16000",
        "-c:a",
        "libmp3lame",
        "-q:a",
        "7",
        "-id3v2_version",
        "0",
        "-f",
        "mp3",
    ),
    "audio/wav": ("-ac", "1", "-ar", "16000", "-c:a", "pcm_s16le", "-bitexact", "-f", "wav"),
}
BYTES_PER_S: Final = {"audio/mpeg": 8_000, "audio/wav": 32_000}
"""At most."""
SAMPLE: Final = Path(__file__).with_name("sample.ogg")
SAMPLE_S: Final = 2.12
QUIET: Final = 0.1
"""Of the loudest peak: below it nobody is in the middle of a word."""


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a sound."""

    begin_s: float
    length_s: float


@dataclass(frozen=True, slots=True)
class _Source:
    """Local bytes that the sound is in."""

    path: Path
    mime: str
    duration_s: float
    waveform: bytes = b""
    is_damaged: bool = False


async def listen(media: MediaFile, engine: Engine, *, language: str, on_progress: OnProgress) -> Heard:
    """Raises what the engine raises, and what the vault and the tools do."""
    with workroom() as folder:
        source = await _fetch(media, engine.capabilities, folder)
        return await _hear(source, engine, folder, language=language, on_progress=on_progress)


async def try_out(engine: Engine, *, language: str) -> Heard:
    """Two seconds of speech of our own, given to an engine as every file is. Raises as `listen`."""
    with workroom() as folder:
        sample = _Source(SAMPLE, "audio/ogg", SAMPLE_S)
        return await _hear(sample, engine, folder, language=language, on_progress=lambda second: None)


async def _hear(
    source: _Source, engine: Engine, folder: Path, *, language: str, on_progress: OnProgress
) -> Heard:
    can = engine.capabilities
    if _fits(source, can):
        whole = Sound(source.path, source.mime, source.duration_s)
        return await engine.transcribe(whole, language=language, on_progress=on_progress)
    pieces: list[tuple[float, tuple[Said, ...]]] = []
    for span in spans(source.duration_s, _longest_s(can), source.waveform):
        sound = await _cut(source, span, can, folder)
        heard = await engine.transcribe(sound, language=language, on_progress=_from(span, on_progress))
        sound.path.unlink()
        pieces.append((span.begin_s, heard.segments))
        language = language or heard.language  # what the first piece is in, the others are too
        on_progress(span.begin_s + span.length_s)
    return Heard(answers.in_order(pieces), language)


def spans(duration_s: float, longest_s: float, waveform: bytes) -> list[Span]:
    """Parts of about the same length, none longer than allowed, parted where the waveform shows a pause nearby."""
    cuts = [0.0]
    while duration_s - cuts[-1] > longest_s:
        left_s = duration_s - cuts[-1]
        share_s = left_s / math.ceil(left_s / longest_s)
        earliest, latest = cuts[-1] + 0.75 * share_s, cuts[-1] + min(1.25 * share_s, longest_s)
        pause = _pause(waveform, duration_s, earliest, latest)
        cuts.append(cuts[-1] + share_s if pause is None else pause)
    return [
        Span(begin_s, end_s - begin_s) for begin_s, end_s in zip(cuts, [*cuts[1:], duration_s], strict=True)
    ]


async def run_alone(argv: Sequence[str | Path], room: Room, on_output: Callable[[bytes], None]) -> Ended:
    """A program of an engine, isolated like a media tool. Raises ToolTimedOut."""
    allowed = Limits(
        wall_s=room.wall_s,
        cpu_s=int(room.wall_s * (os.cpu_count() or 1)),
        memory_bytes=room.memory_bytes,
        open_files=256,
    )
    result = await isolation.run(argv, reads=room.reads, limits=allowed, on_stdout=on_output)
    return Ended(result.returncode, result.stderr)


async def _fetch(media: MediaFile, can: Capabilities, folder: Path) -> _Source:
    """The original where the engine reads it as it is, else the MP3 we made, else the original to be decoded."""
    mime, duration_s, waveform = media.mime or "", media.duration_s or 0.0, bytes(media.waveform or b"")
    if mime not in can.takes and (copy := await in_thread(_mp3_of, media)):
        await vault.copy_to(copy, folder / "copy")
        return _Source(folder / "copy", copy.mime, duration_s, waveform)
    await vault.copy_to(media, folder / "original")
    return _Source(folder / "original", mime, duration_s, waveform, media.is_damaged)


def _mp3_of(media: MediaFile) -> Rendition | None:
    return media.renditions.filter(kind=RenditionKind.MP3).first()


def _fits(source: _Source, can: Capabilities) -> bool:
    """It can be given as it is. What is damaged, another decoder might read otherwise than ours did."""
    is_small = can.largest_bytes is None or source.path.stat().st_size <= can.largest_bytes
    is_short = source.duration_s <= _longest_s(can)
    return source.mime in can.takes and is_small and is_short and not source.is_damaged


def _longest_s(can: Capabilities) -> float:
    by_size = can.largest_bytes / BYTES_PER_S[can.prepared_as] if can.largest_bytes else math.inf
    return min(can.longest_s or math.inf, by_size)


async def _cut(source: _Source, span: Span, can: Capabilities, folder: Path) -> Sound:
    """As much as can be saved of a damaged file, and never its pictures or its tags."""
    path = folder / "piece"
    command = ffmpeg.ffmpeg(source.path, by_mime(source.mime), seek_s=span.begin_s)
    command += ["-map", "0:a:0", *ffmpeg.OUTPUT, "-t", f"{span.length_s:.3f}", *FORMS[can.prepared_as]]
    command.append(f"file:{path}")
    await isolation.must(command, reads=[source.path], writes=folder, limits=limits.ENCODING)
    if can.largest_bytes and path.stat().st_size > can.largest_bytes:
        raise SoundTooLarge()
    return Sound(path, can.prepared_as, span.length_s)


def _from(span: Span, on_progress: OnProgress) -> OnProgress:
    return lambda second: on_progress(span.begin_s + second)


def _pause(waveform: bytes, duration_s: float, earliest: float, latest: float) -> float | None:
    """The middle of the quietest point between two moments, if it is quiet."""
    if not waveform:
        return None
    point_s = duration_s / len(waveform)
    points = range(math.ceil(earliest / point_s), math.floor(latest / point_s))
    quietest = min(points, key=lambda point: waveform[point], default=None)
    if quietest is None or waveform[quietest] > QUIET * max(waveform):
        return None
    return (quietest + 0.5) * point_s
