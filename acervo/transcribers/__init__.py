"""Engines that write down what is said. This table is the whole registration: an adapter is a folder and a line."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from acervo.transcribers.contract import Engine

ENGINES = {
    "fake": "acervo.transcribers.fake.adapter.FakeEngine",
    "faster_whisper": "acervo.transcribers.faster_whisper.adapter.FasterWhisper",
    "openai": "acervo.transcribers.openai.adapter.OpenAi",
}
OFFERED = ("openai", "faster_whisper")
"""Those people may choose; the other is for tests of everything that stands on engines."""


def get(kind: str) -> type[Engine]:
    """The engine class of a kind. Raises KeyError for a kind that is not in the table."""
    module_name, _, class_name = ENGINES[kind].rpartition(".")
    return cast(type[Engine], getattr(import_module(module_name), class_name))
