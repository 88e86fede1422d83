"""A simulated server of OpenAI's transcription call, for tests and for trying things out. Never part of the product."""

from __future__ import annotations

from sandbox.transcription.faults import Fault
from sandbox.transcription.server import KEY, MODEL, TranscriptionServer

__all__ = ["KEY", "MODEL", "Fault", "TranscriptionServer"]
