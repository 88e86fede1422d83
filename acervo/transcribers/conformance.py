"""What every engine must do: each subclasses `EngineConformance` beside itself and overrides nothing in it."""

from __future__ import annotations

import logging
import math
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from acervo.base.errors import AcervoError, NeedsPerson, TryLater
from acervo.transcribers.contract import (
    Engine,
    EngineAway,
    Heard,
    NoSuchModel,
    Said,
    Sound,
)

SECRET = "sk-canary-5e1f"  # noqa: S105  (looked for in everything an engine says)
SPOKEN = "canary-spoken-77"
"""A word of the sound: looked for in logs and errors."""

MakeEngine = Callable[..., Engine]
"""`make(says=[Said, …], language="pt", trouble=None | "away" | "no_such_model" | "nonsense")`."""


def a_sound(folder: Path, *, duration_s: float = 4.0) -> Sound:
    """Silence as every engine can be given it: WAV, 16 kHz, mono."""
    path = folder / "sound.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(bytes(2 * int(16_000 * duration_s)))
    return Sound(path, "audio/wav", duration_s)


class EngineConformance:
    """Give a fixture `make`, a `MakeEngine` whose engines have SECRET among their secrets if they take any."""

    async def hear(self, engine: Engine, sound: Sound, language: str = "") -> tuple[Heard, list[float]]:
        told: list[float] = []
        return await engine.transcribe(sound, language=language, on_progress=told.append), told

    async def test_it_says_what_was_said_in_order_and_within_the_sound(
        self, make: MakeEngine, tmp_path: Path
    ) -> None:
        says = [Said(0.0, 1.5, "Bom dia", 0.9), Said(1.5, 4.0, "não chegou", 0.4)]
        heard, _ = await self.hear(make(says=says), a_sound(tmp_path))
        assert [said.text for said in heard.segments] == ["Bom dia", "não chegou"]
        assert [(said.start_s, said.end_s) for said in heard.segments] == [(0.0, 1.5), (1.5, 4.0)]
        assert heard.language == "pt"
        for said, meant in zip(heard.segments, says, strict=True):
            assert said.confidence is None or math.isclose(
                said.confidence, meant.confidence or 0, abs_tol=1e-3
            )

    async def test_progress_grows_and_ends_within_the_sound(self, make: MakeEngine, tmp_path: Path) -> None:
        says = [Said(float(second), second + 1.0, f"frase {second}", 0.8) for second in range(4)]
        _, told = await self.hear(make(says=says), a_sound(tmp_path))
        assert told
        assert told == sorted(told)
        assert 0 <= told[0] <= told[-1] <= 4.0

    async def test_a_sound_in_which_nobody_speaks_has_no_segments(
        self, make: MakeEngine, tmp_path: Path
    ) -> None:
        heard, _ = await self.hear(make(says=[]), a_sound(tmp_path))
        assert heard.segments == ()

    async def test_the_language_can_be_given(self, make: MakeEngine, tmp_path: Path) -> None:
        heard, _ = await self.hear(make(says=[], language="es"), a_sound(tmp_path), language="es")
        assert heard.language in ("es", "")

    async def test_it_can_be_asked_twice(self, make: MakeEngine, tmp_path: Path) -> None:
        engine, sound = make(says=[Said(0.0, 1.0, "Bom dia", 0.9)]), a_sound(tmp_path)
        first, _ = await self.hear(engine, sound)
        second, _ = await self.hear(engine, sound)
        assert first == second

    @pytest.mark.parametrize(
        ("trouble", "family"), [("away", TryLater), ("no_such_model", NeedsPerson), ("nonsense", TryLater)]
    )
    async def test_a_trouble_is_an_error_of_its_family_and_tells_nothing(
        self, trouble: str, family: type[AcervoError], make: MakeEngine, tmp_path: Path, caplog: Any
    ) -> None:
        engine = make(says=[Said(0.0, 1.0, SPOKEN, 0.9)], trouble=trouble)
        with caplog.at_level(logging.DEBUG), pytest.raises(family) as raised:
            await self.hear(engine, a_sound(tmp_path))
        expected = {"away": EngineAway, "no_such_model": NoSuchModel}.get(trouble, TryLater)
        assert isinstance(raised.value, expected)
        for told in (str(raised.value), repr(raised.value), caplog.text):
            assert SECRET not in told
            assert SPOKEN not in told

    async def test_nothing_it_holds_shows_a_secret_or_a_word(
        self, make: MakeEngine, tmp_path: Path, caplog: Any
    ) -> None:
        engine = make(says=[Said(0.0, 1.0, SPOKEN, 0.9)])
        with caplog.at_level(logging.DEBUG):
            heard, _ = await self.hear(engine, a_sound(tmp_path))
        for told in (repr(engine), repr(heard.segments[0]), caplog.text):
            assert SECRET not in told
            assert SPOKEN not in told

    def test_what_it_takes_is_told_as_data(self, make: MakeEngine) -> None:
        can = make(says=[]).capabilities
        assert can.prepared_as in can.takes
        assert can.prepared_as in ("audio/mpeg", "audio/wav")
        assert can.largest_bytes is None or can.largest_bytes > 1_000_000
        assert can.longest_s is None or can.longest_s >= 60
