"""The OpenAI call against the simulated server: the contract, and what this kind alone must do."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from acervo.base.errors import AcervoError
from acervo.base.http import crm_client
from acervo.transcribers.conformance import SECRET, EngineConformance, MakeEngine, a_sound
from acervo.transcribers.contract import (
    EngineAway,
    EngineSettings,
    Heard,
    KeyRefused,
    NoSuchModel,
    NoSuchService,
    PrivateAddress,
    QuotaSpent,
    RateLimited,
    Sound,
    SoundRefused,
    SoundTooLarge,
    Surroundings,
    UnusableAnswer,
)
from acervo.transcribers.openai import adapter
from acervo.transcribers.openai.adapter import OpenAi, address_of
from sandbox.transcription import MODEL, Fault, TranscriptionServer

TROUBLES = {
    "away": Fault("status", status=503),
    "no_such_model": Fault("status", status=404, code="model_not_found"),
    "nonsense": Fault("nonsense"),
}


@pytest.fixture
async def server() -> AsyncIterator[TranscriptionServer]:
    async with TranscriptionServer(key=SECRET) as started:
        yield started


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with crm_client(("127.0.0.1",), timeout_s=5) as client:
        yield client


@pytest.fixture
def engine(server: TranscriptionServer, http: httpx.AsyncClient) -> OpenAi:
    return at(server.base_url, http)


def at(address: str, http: httpx.AsyncClient, *, model: str = MODEL, key: str = SECRET) -> OpenAi:
    settings = EngineSettings(model, api_base=address, secrets={"key": key} if key else {})
    return OpenAi(settings, Surroundings(http, run_alone=None))  # type: ignore[arg-type]


async def hear(engine: OpenAi, sound: Sound, language: str = "") -> Heard:
    return await engine.transcribe(sound, language=language, on_progress=lambda second: None)


class TestOpenAi(EngineConformance):
    @pytest.fixture
    def make(self, server: TranscriptionServer, http: httpx.AsyncClient) -> MakeEngine:
        def make(says: Any, language: str = "portuguese", trouble: str | None = None) -> OpenAi:
            server.says = [
                {"start": said.start_s, "end": said.end_s, "text": f" {said.text}", "avg_logprob": _log(said)}
                for said in says
            ]
            server.language = language
            if trouble:
                server.faults.add(TROUBLES[trouble])
            return at(server.base_url, http)

        return make


def _log(said: Any) -> float:
    import math

    return math.log(said.confidence)


# ── what is sent ──


async def test_the_upload_tells_the_model_and_nothing_of_ours(engine, server, tmp_path):
    await hear(engine, a_sound(tmp_path), language="pt")
    (upload,) = server.uploads
    assert upload.fields == {
        "model": MODEL,
        "response_format": "verbose_json",
        "language": "pt",
        "timestamp_granularities[]": "segment",
    }
    assert (upload.file_name, upload.mime) == ("sound.wav", "audio/wav")
    assert upload.size_bytes == (tmp_path / "sound.wav").stat().st_size


async def test_without_a_language_the_server_finds_out(engine, server, tmp_path):
    heard = await hear(engine, a_sound(tmp_path))
    assert "language" not in server.uploads[0].fields
    assert heard.language == "pt"  # the server said "portuguese"


async def test_a_server_of_ones_own_needs_no_key(http, tmp_path):
    async with TranscriptionServer(key=None) as open_to_all:
        assert (await hear(at(open_to_all.base_url, http, key=""), a_sound(tmp_path))).segments


@pytest.mark.parametrize("base", ["http://host:1", "http://host:1/", "http://host:1/v1", "http://host:1/v1/"])
def test_an_address_is_understood_with_and_without_its_version(base):
    assert address_of(base) == "http://host:1/v1/audio/transcriptions"


# ── what is answered ──


@pytest.mark.parametrize("kind", ["no_times", "no_detail"])
async def test_a_server_without_times_gives_one_segment_over_the_whole(kind, engine, server, tmp_path):
    server.faults.add(Fault(kind))
    heard = await hear(engine, a_sound(tmp_path, duration_s=4.0))
    (said,) = heard.segments
    assert (said.start_s, said.end_s, said.confidence) == (0.0, 4.0, None)
    assert said.text.startswith("Bom dia, aqui é o Josué.")


async def test_a_server_without_times_is_not_asked_for_them_again(engine, server, tmp_path):
    server.faults.add(Fault("no_detail"))
    sound = a_sound(tmp_path)
    await hear(engine, sound)
    await hear(engine, sound)
    assert [upload.fields["response_format"] for upload in server.uploads] == ["verbose_json", "json", "json"]


async def test_times_beyond_the_sound_are_brought_back_into_it(engine, server, tmp_path):
    server.says = [
        {"start": 3.5, "end": 31.0, "text": "fim", "avg_logprob": -0.1},
        {"start": -0.2, "end": 1.0, "text": "começo\0 ", "avg_logprob": 0.3},
        {"start": 1.0, "end": 2.0, "text": "   "},
    ]
    heard = await hear(engine, a_sound(tmp_path, duration_s=4.0))
    assert [(said.start_s, said.end_s, said.text) for said in heard.segments] == [
        (0.0, 1.0, "começo"),
        (3.5, 4.0, "fim"),
    ]
    assert heard.segments[0].confidence == 1.0


@pytest.mark.parametrize(
    "says",
    [[{"start": "0", "end": 1, "text": "x"}], [{"start": 0, "end": 1, "text": 5}], ["x"], [{"text": "x"}]],
)
async def test_segments_that_are_none_are_refused(says, engine, server, tmp_path, monkeypatch):
    monkeypatch.setattr(server, "_answer", lambda *_, **__: {"text": "x", "segments": says})
    with pytest.raises(UnusableAnswer):
        await hear(engine, a_sound(tmp_path))


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault("status", status=401, code="invalid_api_key"), KeyRefused),
        (Fault("status", status=403), KeyRefused),
        (Fault("status", status=404, code="model_not_found"), NoSuchModel),
        (Fault("status", status=404), NoSuchService),
        (Fault("status", status=302), NoSuchService),
        (Fault("status", status=413), SoundTooLarge),
        (Fault("status", status=429, code="rate_limit_exceeded"), RateLimited),
        (Fault("status", status=429, code="insufficient_quota"), QuotaSpent),
        (Fault("status", status=400, code="invalid_file", times=2), SoundRefused),
        (Fault("status", status=500), EngineAway),
        (Fault("status", status=503, code="overloaded"), EngineAway),
        (Fault("nonsense"), UnusableAnswer),
        (Fault("endless"), UnusableAnswer),
        (Fault("cut"), EngineAway),
    ],
    ids=lambda value: f"{value.kind}-{value.status}-{value.code}" if isinstance(value, Fault) else "",
)
async def test_every_refusal_is_an_error_that_says_what_to_do(
    fault: Fault,
    error: type[AcervoError],
    engine: OpenAi,
    server: TranscriptionServer,
    tmp_path: Any,
    caplog: Any,
) -> None:
    server.faults.add(fault)
    with caplog.at_level(logging.DEBUG), pytest.raises(error) as raised:
        await hear(engine, a_sound(tmp_path))
    for told in (str(raised.value), repr(raised.value), caplog.text):
        assert SECRET not in told


@pytest.mark.parametrize(("told", "after_s"), [("7", 7.0), ("0.5", 0.5), ("999999", 3600.0), ("soon", None)])
async def test_a_server_that_asks_for_a_pause_gets_it(told, after_s, engine, server, tmp_path):
    server.faults.add(Fault("status", status=429, retry_after=told))
    with pytest.raises(RateLimited) as raised:
        await hear(engine, a_sound(tmp_path))
    assert raised.value.after_s == after_s


async def test_a_wrong_key_is_refused(server, http, tmp_path):
    with pytest.raises(KeyRefused):
        await hear(at(server.base_url, http, key="another"), a_sound(tmp_path))


async def test_a_server_that_takes_too_long_is_away(engine, server, tmp_path, monkeypatch):
    monkeypatch.setattr(adapter, "LEAST_PATIENCE_S", 0.2)
    monkeypatch.setattr(adapter, "PATIENCE_PER_S", 0.01)
    server.faults.add(Fault("slow", after_s=3))
    with pytest.raises(EngineAway):
        await hear(engine, a_sound(tmp_path))


async def test_nobody_at_the_address_is_away(http, tmp_path, unused_tcp_port):
    with pytest.raises(EngineAway):
        await hear(at(f"http://127.0.0.1:{unused_tcp_port}", http), a_sound(tmp_path))


async def test_a_private_address_that_nobody_named_is_not_called(server, tmp_path):
    async with crm_client((), timeout_s=5) as guarded:
        with pytest.raises(PrivateAddress):
            await hear(at(server.base_url, guarded), a_sound(tmp_path))
    assert server.uploads == []
