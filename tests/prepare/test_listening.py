"""From a kept file to what was said: the right bytes reach the engine, in the right pieces."""

from __future__ import annotations

import shutil
import subprocess
import sys
import wave
from dataclasses import replace

import pytest

from acervo.base import ids
from acervo.prepare import listening
from acervo.prepare.isolation import ToolFailed, ToolTimedOut
from acervo.prepare.listening import Span, listen, run_alone, spans
from acervo.transcribers.contract import Capabilities, EngineSettings, Room, Said
from acervo.transcribers.fake.adapter import SCRIPTS, FakeEngine, Script
from tests.prepare.conftest import CORPUS

pytestmark = pytest.mark.django_db(transaction=True)
TAKES = FakeEngine.capabilities


class Recorder(FakeEngine):
    """Remembers what it was given while the files are still there."""

    def __init__(self, capabilities: Capabilities = TAKES, *, says: tuple[Said, ...] | None = None) -> None:
        model = ids.text(ids.new())
        SCRIPTS[model] = Script() if says is None else Script(says)
        super().__init__(EngineSettings(model), None)
        self.capabilities = capabilities
        self.given: list[bytes] = []

    async def transcribe(self, sound, *, language, on_progress):
        self.given.append(sound.path.read_bytes())
        return await super().transcribe(sound, language=language, on_progress=on_progress)


def corpus(name):
    return (CORPUS / name).read_bytes()


def length_of(path):
    argv = ["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", str(path)]
    return float(subprocess.run(argv, check=True, capture_output=True).stdout)


async def hear(media, engine):
    told = []
    heard = await listen(media, engine, language="", on_progress=told.append)
    return heard, told


async def test_an_original_the_engine_reads_is_given_as_it_is(kept_file, voice):
    body, engine = voice, Recorder()
    media = await kept(kept_file, body)
    heard, _ = await hear(media, engine)
    assert engine.given == [body]
    assert [sound.mime for sound in engine.script.heard] == ["audio/ogg"]
    assert [said.text for said in heard.segments] == ["Bom dia", "a entrega não chegou"]


async def test_another_type_is_given_as_the_engine_wants_it(kept_file, voice, tmp_path):
    engine = Recorder(replace(TAKES, takes=frozenset({"audio/wav"}), prepared_as="audio/wav"))
    await hear(await kept(kept_file, voice), engine)
    (given,) = engine.given
    path = tmp_path / "given.wav"
    path.write_bytes(given)
    with wave.open(str(path)) as sound:
        assert (sound.getnchannels(), sound.getframerate(), sound.getsampwidth()) == (1, 16_000, 2)
        assert sound.getnframes() / 16_000 == pytest.approx(4.0, abs=0.1)


async def test_a_damaged_original_is_decoded_by_us_first(kept_file, voice):
    engine = Recorder()
    await hear(await kept(kept_file, voice, is_damaged=True), engine)
    assert [sound.mime for sound in engine.script.heard] == ["audio/mpeg"]


async def test_of_a_film_only_the_sound_travels(kept_file, tmp_path):
    film = tmp_path / "film.mp4"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=s=64x64:d=3", "-f", "lavfi", "-i", "sine=d=3",
         "-c:v", "libx264", "-c:a", "aac", str(film)], check=True,
    )  # fmt: skip
    engine = Recorder()
    await hear(
        await kept(kept_file, film.read_bytes(), kind="video", mime="video/mp4", duration_s=3.0), engine
    )
    (given,) = engine.given
    (tmp_path / "given.mp3").write_bytes(given)
    argv = [
        "ffprobe",
        "-v",
        "error",
        "-show_entries",
        "stream=codec_type",
        "-of",
        "csv=p=0",
        tmp_path / "given.mp3",
    ]
    assert subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split() == ["audio"]


async def test_a_film_without_sound_is_refused_by_the_tools(kept_file, tmp_path):
    film = tmp_path / "silent.mp4"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=s=64x64:d=1", "-c:v", "libx264", str(film)],
        check=True,
    )
    media = await kept(kept_file, film.read_bytes(), kind="video", mime="video/mp4", duration_s=1.0)
    with pytest.raises(ToolFailed):
        await hear(media, Recorder())


async def test_a_long_recording_is_heard_in_pieces_and_told_in_one_time(kept_file, voice, tmp_path):
    engine = Recorder(replace(TAKES, longest_s=1.5), says=(Said(0.0, 1.0, "um"),))
    heard, told = await hear(await kept(kept_file, voice), engine)
    assert len(engine.given) == 3
    assert [said.start_s for said in heard.segments] == pytest.approx([0.0, 4 / 3, 8 / 3], abs=0.35)
    assert told == sorted(told)
    assert told[-1] == pytest.approx(4.0)
    lengths = []
    for piece in engine.given:
        (tmp_path / "piece.mp3").write_bytes(piece)
        lengths.append(length_of(tmp_path / "piece.mp3"))
    assert sum(lengths) == pytest.approx(4.0, abs=0.4)


async def test_the_language_of_the_first_piece_is_that_of_the_others(kept_file, voice):
    asked = []

    class Asked(Recorder):
        async def transcribe(self, sound, *, language, on_progress):
            asked.append(language)
            return await super().transcribe(sound, language=language, on_progress=on_progress)

    engine = Asked(replace(TAKES, longest_s=2.5))
    heard, _ = await hear(await kept(kept_file, voice), engine)
    assert asked == ["", "pt"]
    assert heard.language == "pt"


async def test_too_many_bytes_are_too_long(kept_file, voice):
    engine = Recorder(replace(TAKES, largest_bytes=len(voice) - 1))
    await hear(await kept(kept_file, voice), engine)
    assert all(sound.mime == "audio/mpeg" for sound in engine.script.heard)


def test_a_short_sound_is_one_span():
    assert spans(599.0, 600.0, b"") == [Span(0.0, 599.0)]


@pytest.mark.parametrize(
    ("duration_s", "longest_s"), [(601, 600), (1200, 600), (7200, 600), (1801.5, 600), (5, 0.7)]
)
def test_spans_are_whole_without_gaps_and_never_too_long(duration_s, longest_s):
    parts = spans(duration_s, longest_s, bytes([200] * 160))
    assert parts[0].begin_s == 0
    ends = [part.begin_s + part.length_s for part in parts]
    assert ends[:-1] == pytest.approx([part.begin_s for part in parts[1:]])
    assert ends[-1] == pytest.approx(duration_s)
    assert all(0 < part.length_s <= longest_s + 1e-6 for part in parts)
    assert min(part.length_s for part in parts) > longest_s / 3  # no crumbs


def test_a_cut_goes_where_the_waveform_is_quiet():
    waveform = bytearray([200] * 160)
    waveform[75] = 3
    first, second = spans(1000.0, 600.0, bytes(waveform))
    assert first.length_s == pytest.approx(75.5 * 1000 / 160)
    assert second.begin_s == first.length_s


def test_no_cut_goes_into_a_word_that_is_only_a_little_quieter():
    waveform = bytearray([200] * 160)
    waveform[75] = 100
    first, _ = spans(1000.0, 600.0, bytes(waveform))
    assert first.length_s == pytest.approx(500.0)


async def test_the_sample_is_speech_of_the_length_it_says():
    assert length_of(listening.SAMPLE) == pytest.approx(listening.SAMPLE_S, abs=0.05)
    engine = Recorder()
    await listening.try_out(engine, language="pt")
    assert engine.given == [listening.SAMPLE.read_bytes()]


# ── programs of engines ──


def room(*reads, wall_s=20.0):
    interpreter = listening.Path(sys.prefix), listening.Path(sys.base_prefix)
    return Room(reads=(*interpreter, *reads), memory_bytes=1 << 30, wall_s=wall_s)


async def test_an_engine_of_ones_own_sees_what_it_needs_and_reaches_nobody(tmp_path, trap):
    seen, hidden = tmp_path / "seen", tmp_path / "hidden"
    seen.write_text("model")
    hidden.write_text("secret")
    code = (
        "import socket, sys\n"
        "print(open(sys.argv[1]).read())\n"
        "try:\n    print(open(sys.argv[2]).read())\nexcept OSError: print('hidden')\n"
        "try:\n    socket.create_connection(('127.0.0.1', int(sys.argv[3])))\nexcept OSError: print('alone')\n"
    )
    output = []
    ended = await run_alone(
        [sys.executable, "-I", "-c", code, seen, hidden, str(trap.port)], room(seen), output.append
    )
    said = b"".join(output).decode().split()
    assert ended.returncode == 0
    assert said[0] == "model"
    assert said[-1] == "alone"
    assert trap.visits == 0
    if listening.isolation.active().landlock_abi:
        assert said == ["model", "hidden", "alone"]


async def test_an_engine_that_hangs_is_ended():
    with pytest.raises(ToolTimedOut):
        await run_alone(
            [sys.executable, "-I", "-c", "import time; time.sleep(60)"], room(wall_s=1.0), lambda _: None
        )


@pytest.fixture
def voice(tmp_path):
    """Four seconds as WhatsApp sends them."""
    assert shutil.which("ffmpeg")
    path = tmp_path / "voice.ogg"
    argv = [
        "ffmpeg",
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        "sine=f=300:d=4",
        "-ar",
        "16000",
        "-c:a",
        "libopus",
        str(path),
    ]
    subprocess.run(argv, check=True)
    return path.read_bytes()


async def kept(kept_file, body, **facts):
    from asgiref.sync import sync_to_async

    facts = {"duration_s": 4.0, **facts}
    return await sync_to_async(kept_file, thread_sensitive=True)(body, **facts)
