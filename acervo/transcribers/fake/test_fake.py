"""The simulated engine keeps the contract."""

from __future__ import annotations

from typing import Any

import pytest

from acervo.base import ids
from acervo.base.errors import AcervoError
from acervo.transcribers.conformance import SECRET, EngineConformance, MakeEngine
from acervo.transcribers.contract import EngineAway, EngineSettings, NoSuchModel, UnusableAnswer
from acervo.transcribers.fake.adapter import SCRIPTS, FakeEngine, Script

TROUBLES: dict[str, type[AcervoError]] = {
    "away": EngineAway,
    "no_such_model": NoSuchModel,
    "nonsense": UnusableAnswer,
}


class TestFakeEngine(EngineConformance):
    @pytest.fixture
    def make(self) -> MakeEngine:
        def make(says: Any, language: str = "pt", trouble: str | None = None) -> FakeEngine:
            model = ids.text(ids.new())
            SCRIPTS[model] = Script(tuple(says), language, [TROUBLES[trouble]()] if trouble else [])
            return FakeEngine(EngineSettings(model, secrets={"key": SECRET}), None)  # type: ignore[arg-type]

        return make
