"""What an engine must offer, in types. Engines know neither the database nor the web framework.

An engine hears one sound and tells what was said, with times. Cutting long sounds, retrying and remembering are ours.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final, Protocol

import httpx

from acervo.base.errors import NeedsPerson, Refused, TryLater

LANGUAGES: Final = (
    "af", "ar", "az", "be", "bg", "bn", "bs", "ca", "cs", "cy", "da", "de", "el", "en", "es", "et", "eu", "fa", "fi",
    "fr", "gl", "gu", "he", "hi", "hr", "hu", "hy", "id", "is", "it", "ja", "ka", "kk", "kn", "ko", "lt", "lv", "mk",
    "ml", "mr", "ms", "my", "ne", "nl", "no", "pa", "pl", "pt", "ro", "ru", "sk", "sl", "sq", "sr", "sv", "sw", "ta",
    "te", "th", "tl", "tr", "uk", "ur", "uz", "vi", "yo", "zh",
)  # fmt: skip
"""ISO 639-1, those that Whisper models know."""

OnProgress = Callable[[float], None]
"""Told how many seconds of the sound are done, as often as the engine knows."""


# ── errors, by what can be done ──


class EngineAway(TryLater):
    """The transcription engine does not answer."""

    code = "engine_away"


class RateLimited(TryLater):
    """The transcription engine asks us to slow down."""

    code = "rate_limited"


class UnusableAnswer(TryLater):
    """The transcription engine answered something that is not a transcript."""

    code = "unusable_answer"


class EngineUnusable(NeedsPerson):
    """The transcription engine cannot be used as it is set up: no file will fare better until somebody acts."""

    code = "engine_unusable"


class KeyRefused(EngineUnusable):
    """The transcription engine does not accept the key."""

    code = "key_refused"


class QuotaSpent(EngineUnusable):
    """The account at the transcription engine has no credit left."""

    code = "quota_spent"


class NoSuchModel(EngineUnusable):
    """The transcription engine does not have this model."""

    code = "no_such_model"


class NoSuchService(EngineUnusable):
    """Something answers at this address, and it is no transcription engine."""

    code = "no_such_service"


class PrivateAddress(EngineUnusable):
    """The engine's address lies in a private network that ACERVO_ALLOW_PRIVATE_HOSTS does not name."""

    code = "private_address"


class EngineMissing(EngineUnusable):
    """The engine's package is not installed. On the server, run: pip install 'acervo[whisper]'."""

    code = "engine_missing"


class SoundTooLarge(Refused):
    """The transcription engine refuses a sound of this size."""

    code = "sound_too_large"


class SoundRefused(Refused):
    """The transcription engine cannot read this sound."""

    code = "sound_refused"


# ── what goes in, what comes out ──


@dataclass(frozen=True, slots=True)
class Sound:
    """A local file, of a type the engine takes."""

    path: Path
    mime: str
    duration_s: float


@dataclass(frozen=True, slots=True)
class Said:
    """Some seconds of speech."""

    start_s: float
    end_s: float
    text: str = field(repr=False)
    confidence: float | None = None
    """From 0 to 1, where the engine says."""


@dataclass(frozen=True, slots=True)
class Heard:
    segments: tuple[Said, ...]
    """In order of time; empty where nobody speaks. An engine without times gives one segment over the whole."""
    language: str = ""
    """ISO 639-1; empty where the engine does not say."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine takes, as data: the sound is made to fit before it is asked."""

    takes: frozenset[str]
    """Types it reads as they are. Anything else reaches it as `prepared_as`."""
    prepared_as: str
    """`audio/mpeg`, or `audio/wav` (16 kHz, mono, 16 bit) for one that must not decode what strangers made."""
    largest_bytes: int | None = None
    longest_s: float | None = None
    """A longer sound is cut, so that progress shows and a failure costs one piece."""
    is_remote: bool = True
    """It has an address and perhaps a key; otherwise `model` is a folder on this machine."""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Everything an engine needs of its workspace, handed in."""

    model: str
    api_base: str = ""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Room:
    """What a program that runs alone may use."""

    reads: tuple[Path, ...]
    """Nothing else on this machine is visible to it, and no network at all."""
    memory_bytes: int
    wall_s: float


@dataclass(frozen=True, slots=True)
class Ended:
    returncode: int
    stderr: bytes = field(repr=False)
    """May quote the sound: never log it."""


RunAlone = Callable[[Sequence[str | Path], Room, Callable[[bytes], None]], Awaitable[Ended]]
"""Runs a program in a process of its own, handing over what it prints as it comes. Raises TryLater when its time ends."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """How an engine reaches the world: guarded, or not at all."""

    http: httpx.AsyncClient
    run_alone: RunAlone


class Engine(Protocol):
    """One engine as one workspace set it up. Raises the errors above and nothing else for what the engine answers."""

    kind: ClassVar[str]
    name: ClassVar[str]
    secret_names: ClassVar[tuple[str, ...]]
    capabilities: ClassVar[Capabilities]

    def __init__(self, settings: EngineSettings, surroundings: Surroundings) -> None: ...

    async def transcribe(self, sound: Sound, *, language: str, on_progress: OnProgress) -> Heard:
        """`language` is ISO 639-1, or empty: the engine finds out. Safe to call again."""
        ...
