"""The shortest honest engine: says what a test told it to, for every sound the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from acervo.base.errors import AcervoError
from acervo.transcribers.contract import (
    Capabilities,
    EngineSettings,
    Heard,
    OnProgress,
    Said,
    Sound,
    Surroundings,
)


@dataclass
class Script:
    """What the engine of a model answers."""

    says: tuple[Said, ...] = (Said(0.0, 1.0, "Bom dia", 0.9), Said(1.0, 2.0, "a entrega não chegou", 0.4))
    language: str = "pt"
    troubles: list[AcervoError] = field(default_factory=list)
    """Raised by the next calls, one each."""
    heard: list[Sound] = field(default_factory=list, repr=False)


SCRIPTS: dict[str, Script] = {}
"""By model."""


class FakeEngine:
    kind: ClassVar[str] = "fake"
    name: ClassVar[str] = "Simulated engine"
    secret_names: ClassVar[tuple[str, ...]] = ("key",)
    capabilities: ClassVar[Capabilities] = Capabilities(
        takes=frozenset({"audio/ogg", "audio/mpeg", "audio/wav"}), prepared_as="audio/mpeg"
    )

    def __init__(self, settings: EngineSettings, surroundings: Surroundings) -> None:
        self.script = SCRIPTS.setdefault(settings.model, Script())

    async def transcribe(self, sound: Sound, *, language: str, on_progress: OnProgress) -> Heard:
        self.script.heard.append(sound)
        if self.script.troubles:
            raise self.script.troubles.pop(0)
        on_progress(sound.duration_s)
        told = tuple(said for said in self.script.says if said.end_s <= sound.duration_s)
        return Heard(told, language or self.script.language)
