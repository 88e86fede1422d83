"""OpenAI's transcription call, which many servers speak: one multipart upload, segments with times in the answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

import httpx

from acervo.base.http import ForbiddenAddress
from acervo.transcribers import answers
from acervo.transcribers.contract import (
    Capabilities,
    EngineAway,
    EngineSettings,
    Heard,
    OnProgress,
    PrivateAddress,
    Sound,
    Surroundings,
    UnusableAnswer,
)
from acervo.transcribers.openai.refusals import refusal

MIB: Final = 1024 * 1024
LARGEST_UPLOAD: Final = 25 * MIB - 64 * 1024
"""OpenAI's limit is 25 MB for the request; the rest is room for the other fields."""
LARGEST_ANSWER: Final = 16 * MIB
PIECE_S: Final = 600.0

ENDINGS: Final[Mapping[str, str]] = {
    "audio/ogg": "ogg",
    "audio/mpeg": "mp3",
    "audio/mp4": "m4a",
    "audio/wav": "wav",
    "audio/webm": "webm",
    "audio/flac": "flac",
}
"""Servers go by the extension of the uploaded name, not by its type."""

LEAST_PATIENCE_S: Final = 120.0
PATIENCE_PER_S: Final = 4.0
"""A server without a graphics card may need several times the length of a sound."""
CONNECT_S: Final = 10.0

DETAILED, PLAIN = "verbose_json", "json"


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes = field(repr=False)
    retry_after: str | None


class OpenAi:
    kind: ClassVar[str] = "openai"
    name: ClassVar[str] = "OpenAI-compatible server"
    secret_names: ClassVar[tuple[str, ...]] = ("key",)
    capabilities: ClassVar[Capabilities] = Capabilities(
        takes=frozenset(ENDINGS), prepared_as="audio/mpeg", largest_bytes=LARGEST_UPLOAD, longest_s=PIECE_S
    )

    def __init__(self, settings: EngineSettings, surroundings: Surroundings) -> None:
        self._http = surroundings.http
        self._address = address_of(settings.api_base)
        self._model = settings.model
        key = settings.secrets.get("key")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._format = DETAILED

    async def transcribe(self, sound: Sound, *, language: str, on_progress: OnProgress) -> Heard:
        answer = await self._post(sound, language)
        if answer.status in (400, 422) and self._format == DETAILED:
            # Models without times refuse the detailed format, and not every server says so in the same words.
            self._format = PLAIN
            answer = await self._post(sound, language)
        if answer.status != 200:
            raise refusal(answer.status, answer.body, retry_after=answer.retry_after)
        heard = _read(answer.body, sound.duration_s)
        on_progress(sound.duration_s)
        return heard

    async def _post(self, sound: Sound, language: str) -> _Answer:
        fields = {"model": self._model, "response_format": self._format}
        if language:
            fields["language"] = language
        if self._format == DETAILED:
            fields["timestamp_granularities[]"] = "segment"
        patience_s = max(LEAST_PATIENCE_S, PATIENCE_PER_S * sound.duration_s)
        try:
            with sound.path.open("rb") as file:  # read as it is sent, never whole
                request = self._http.build_request(
                    "POST",
                    self._address,
                    data=fields,
                    files={"file": (f"sound.{ENDINGS[sound.mime]}", file, sound.mime)},
                    headers={**self._headers, "Accept": "application/json", "Accept-Encoding": "identity"},
                    timeout=httpx.Timeout(patience_s, connect=CONNECT_S),
                )
                response = await self._http.send(request, stream=True, follow_redirects=False)
                try:
                    body = await _limited(response)
                finally:
                    await response.aclose()
            return _Answer(response.status_code, body, response.headers.get("Retry-After"))
        except httpx.ConnectError as error:
            if isinstance(error.__cause__, ForbiddenAddress):
                raise PrivateAddress() from error
            raise EngineAway("could not be reached") from error
        except httpx.TimeoutException as error:
            raise EngineAway("no answer in time") from error
        except httpx.HTTPError as error:
            raise EngineAway("the connection broke") from error


def address_of(api_base: str) -> str:
    """Where sounds go, of an address with or without its `/v1`."""
    base = api_base.rstrip("/")
    return f"{base if base.endswith('/v1') else f'{base}/v1'}/audio/transcriptions"


async def _limited(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > LARGEST_ANSWER:
            raise UnusableAnswer("The answer has no end.")
    return bytes(body)


def _read(body: bytes, duration_s: float) -> Heard:
    try:
        told: Any = json.loads(body)
    except ValueError as error:
        raise UnusableAnswer("The answer is not JSON.") from error
    if not isinstance(told, dict) or "text" not in told:
        raise UnusableAnswer("The answer is no transcript.")
    listed = told.get("segments")
    # A server may accept the detailed format and still tell no times.
    said = answers.segments(listed, duration_s) if listed else ()
    said = said or answers.whole(told["text"], duration_s)
    return Heard(said, answers.language_code(told.get("language")))
