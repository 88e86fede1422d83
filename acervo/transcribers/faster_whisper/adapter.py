"""faster-whisper in a process of its own: no network, a ceiling of memory, and only sound that we decoded ourselves."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any, ClassVar, Final

from acervo.transcribers import answers
from acervo.transcribers.contract import (
    Capabilities,
    EngineMissing,
    EngineSettings,
    Heard,
    NoSuchModel,
    OnProgress,
    Room,
    Said,
    Sound,
    SoundRefused,
    Surroundings,
    UnusableAnswer,
)
from acervo.transcribers.faster_whisper import listener

WORKER: Final = Path(listener.__file__)
GIB: Final = 1024 * 1024 * 1024
PATIENCE_PER_S: Final = 12.0
"""A large model on one core takes several times the length of a sound; beyond this something hangs."""
LEAST_PATIENCE_S: Final = 600.0
LARGEST_LINE: Final = 64 * 1024
HARDWARE: Final = tuple(
    path for path in map(Path, ("/proc/cpuinfo", "/sys/devices/system/cpu")) if path.exists()
)
"""What numeric libraries read to choose their instructions."""


class FasterWhisper:
    kind: ClassVar[str] = "faster_whisper"
    name: ClassVar[str] = "faster-whisper on this machine"
    secret_names: ClassVar[tuple[str, ...]] = ()
    capabilities: ClassVar[Capabilities] = Capabilities(
        takes=frozenset({"audio/wav"}), prepared_as="audio/wav", is_remote=False
    )

    def __init__(self, settings: EngineSettings, surroundings: Surroundings) -> None:
        self._folder = Path(settings.model)
        self._run_alone = surroundings.run_alone

    async def transcribe(self, sound: Sound, *, language: str, on_progress: OnProgress) -> Heard:
        package = _package()
        if not (self._folder.is_absolute() and (self._folder / "model.bin").is_file()):
            raise NoSuchModel()
        answer = _Answer(sound.duration_s, on_progress)
        room = Room(
            reads=(sound.path, self._folder, WORKER, *package, *HARDWARE),
            memory_bytes=4 * GIB + 3 * _size_of(self._folder),
            wall_s=max(LEAST_PATIENCE_S, PATIENCE_PER_S * sound.duration_s),
        )
        command: list[str | Path] = [
            sys.executable,
            "-I",
            "-B",
            "-X",
            "utf8",
            WORKER,
            self._folder,
            sound.path,
            language or "-",
        ]
        ended = await self._run_alone(command, room, answer.feed)
        if ended.returncode == listener.NO_SUCH_MODEL:
            raise NoSuchModel()
        if ended.returncode == listener.SOUND_REFUSED:
            raise SoundRefused()
        if ended.returncode:
            raise UnusableAnswer(f"ended with {ended.returncode}")
        return answer.heard()


class _Answer:
    """Lines of JSON as they come: one a segment, and a last one that says that all was heard. What is wrong with them
    is told at the end: the process must be read to its end, or it would wait for us."""

    def __init__(self, duration_s: float, on_progress: OnProgress) -> None:
        self._duration_s, self._on_progress = duration_s, on_progress
        self._rest = b""
        self._said: list[Said] = []
        self._language: str | None = None
        self._trouble: UnusableAnswer | None = None

    def feed(self, output: bytes) -> None:
        *lines, self._rest = (self._rest + output).split(b"\n")
        self._rest = self._rest[:LARGEST_LINE]
        for line in lines:
            try:
                self._read(line)
            except UnusableAnswer as error:
                self._trouble = error

    def heard(self) -> Heard:
        if self._trouble:
            raise self._trouble
        if self._language is None:
            raise UnusableAnswer("The engine ended before its last word.")
        return Heard(tuple(self._said), self._language)

    def _read(self, line: bytes) -> None:
        try:
            told: Any = json.loads(line)
        except ValueError as error:
            raise UnusableAnswer("A line is no JSON.") from error
        if isinstance(told, dict) and "language" in told:
            self._language = answers.language_code(told["language"])
            return
        self._said += answers.segments([told], self._duration_s)
        if self._said:
            self._on_progress(self._said[-1].end_s)


def _package() -> tuple[Path, ...]:
    """The folders the package and its interpreter live in. Raises EngineMissing."""
    found = importlib.util.find_spec("faster_whisper")
    if found is None or found.origin is None:
        raise EngineMissing()
    return Path(sys.prefix), Path(sys.base_prefix), Path(found.origin).parent.parent


def _size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
