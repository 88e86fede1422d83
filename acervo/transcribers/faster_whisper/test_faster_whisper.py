"""The local engine, with a stand-in for the package: no model is small enough to keep here."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from acervo.transcribers.conformance import EngineConformance, MakeEngine, a_sound
from acervo.transcribers.contract import (
    Ended,
    EngineAway,
    EngineMissing,
    EngineSettings,
    NoSuchModel,
    Room,
    Sound,
    SoundRefused,
    Surroundings,
)
from acervo.transcribers.faster_whisper import adapter
from acervo.transcribers.faster_whisper.adapter import FasterWhisper

STAND_IN = '''
"""The calls of faster-whisper 1.x that we use, refusing any other argument, over a script beside the model."""

import json
import pathlib
from types import SimpleNamespace


class WhisperModel:
    def __init__(self, model_size_or_path, device="auto", compute_type="default", *, local_files_only=False):
        assert local_files_only, "would ask the network"
        self.script = json.loads((pathlib.Path(model_size_or_path) / "script.json").read_text())
        if self.script["trouble"] == "no_such_model":
            raise RuntimeError("Unable to open file 'model.bin'")

    def transcribe(self, audio, language=None, *, vad_filter=False, beam_size=5):
        assert audio.rate_checked
        if self.script["trouble"] == "nonsense":
            print("a warning that is no answer")
        told = SimpleNamespace(language=language or self.script["language"], language_probability=0.9)
        return (SimpleNamespace(**segment) for segment in self.script["says"]), told
'''
NUMPY = """
class _Samples:
    rate_checked = True
    def astype(self, kind):
        assert kind == "float32"
        return self
    def __truediv__(self, by):
        assert by == 32768.0
        return self


def frombuffer(frames, dtype):
    assert dtype == "<i2"
    return _Samples()
"""


async def run_alone(command: Any, room: Room, on_output: Callable[[bytes], None]) -> Ended:
    """As `prepare` does it, without the isolation (`tests/prepare/test_listening.py` has that)."""
    done = await asyncio.to_thread(subprocess.run, list(map(str, command)), capture_output=True, check=False)
    on_output(done.stdout[:7])
    on_output(done.stdout[7:])
    return Ended(done.returncode, done.stderr)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path of the engine's process that holds the stand-ins."""
    folder = tmp_path / "packages"
    (folder / "faster_whisper").mkdir(parents=True)
    (folder / "faster_whisper/__init__.py").write_text(STAND_IN)
    (folder / "numpy.py").write_text(NUMPY)
    starter = tmp_path / "listener.py"
    real = adapter.WORKER.read_text()
    starter.write_text(
        real.replace("import json\n", f"import sys; sys.path.insert(0, {str(folder)!r})\nimport json\n", 1)
    )
    monkeypatch.setattr(adapter, "WORKER", starter)
    monkeypatch.syspath_prepend(str(folder))
    return folder


@pytest.fixture
def make(package: Path, tmp_path: Path) -> MakeEngine:
    def make(says: Any, language: str = "pt", trouble: str | None = None) -> FasterWhisper:
        model = tmp_path / "model"
        model.mkdir(exist_ok=True)
        (model / "model.bin").write_bytes(b"\0" * 100)
        segments = [
            {"start": said.start_s, "end": said.end_s, "text": f" {said.text}", "avg_logprob": _log(said)}
            for said in says
        ]
        script = {"says": segments, "language": language, "trouble": trouble}
        (model / "script.json").write_text(json.dumps(script))
        run = _away if trouble == "away" else run_alone
        return FasterWhisper(EngineSettings(str(model)), Surroundings(http=None, run_alone=run))  # type: ignore[arg-type]

    return make


async def _away(command: Any, room: Room, on_output: Callable[[bytes], None]) -> Ended:
    raise EngineAway()


def _log(said: Any) -> float:
    import math

    return math.log(said.confidence)


class TestFasterWhisper(EngineConformance):
    """With the fixture `make` of this module."""


async def hear(engine: FasterWhisper, sound: Sound) -> Any:
    return await engine.transcribe(sound, language="", on_progress=lambda second: None)


async def test_without_the_package_it_says_the_command_that_installs_it(make, tmp_path, monkeypatch):
    engine = make(says=[])
    monkeypatch.setattr(adapter.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EngineMissing, match=r"pip install 'acervo\[whisper\]'"):
        await hear(engine, a_sound(tmp_path))


@pytest.mark.parametrize("folder", ["/nowhere/at/all", "small", ""])
async def test_a_folder_without_a_model_is_no_model(folder, package, tmp_path):
    engine = FasterWhisper(EngineSettings(folder), Surroundings(http=None, run_alone=run_alone))
    with pytest.raises(NoSuchModel):
        await hear(engine, a_sound(tmp_path))


async def test_a_sound_we_did_not_make_is_refused_before_it_is_decoded(make, tmp_path):
    engine = make(says=[])
    path = tmp_path / "stranger.wav"
    path.write_bytes(b"OggS not a wave")
    with pytest.raises(SoundRefused):
        await hear(engine, Sound(path, "audio/wav", 2.0))


async def test_it_sees_the_model_the_sound_and_the_package_and_nothing_else(make, tmp_path):
    seen: list[Room] = []

    async def look(command: Any, room: Room, on_output: Callable[[bytes], None]) -> Ended:
        seen.append(room)
        return await run_alone(command, room, on_output)

    engine = make(says=[])
    engine._run_alone = look
    sound = a_sound(tmp_path, duration_s=100.0)
    await hear(engine, sound)
    (room,) = seen
    assert {sound.path, tmp_path / "model", adapter.WORKER} <= set(room.reads)
    assert Path(sys.prefix) in room.reads
    assert not {Path("/"), Path.home(), tmp_path} & set(room.reads)
    assert room.wall_s == 1200.0
    assert room.memory_bytes >= 4 * 1024**3
