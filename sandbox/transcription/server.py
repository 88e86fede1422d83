"""The simulated server: models and transcriptions under `/v1`, its handles under `/_sandbox`."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import BodyPartReader, web

from sandbox.transcription.faults import Fault, Faults
from sandbox.transcription.speech import length_of, spread

KEY = "sk-sandbox-transcription"
MODEL = "whisper-1"
LARGEST_BODY_BYTES = 25 * 1024 * 1024
READABLE = ("flac", "m4a", "mp3", "mp4", "mpeg", "mpga", "oga", "ogg", "wav", "webm")


@dataclass
class Upload:
    """What one call brought."""

    file_name: str
    mime: str
    size_bytes: int
    fields: dict[str, str] = field(default_factory=dict)


class TranscriptionServer:
    """`async with TranscriptionServer() as server: server.base_url`. A `key` of None lets everybody in."""

    def __init__(
        self,
        *,
        key: str | None = KEY,
        models: tuple[str, ...] = (MODEL,),
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.key, self.models = key, models
        self.faults = Faults()
        self.uploads: list[Upload] = []
        self.says: list[dict[str, Any]] | None = None
        """Segments of every answer; None: sentences spread over the sound."""
        self.language = "portuguese"
        self.base_url = ""
        self._host, self._port = host, port
        app = web.Application(client_max_size=2 * LARGEST_BODY_BYTES)
        app.add_routes(
            [
                web.get("/v1/models", self._models),
                web.post("/v1/audio/transcriptions", self._transcribe),
                web.post("/_sandbox/faults", self._add_fault),
                web.delete("/_sandbox/faults", self._clear_faults),
                web.get("/_sandbox/uploads", self._list_uploads),
                web.post("/_sandbox/says", self._set_says),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)

    async def start(self) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()
        host, port = self._runner.addresses[0][:2]
        self.base_url = f"http://{host}:{port}/v1"

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    # ── what clients call ──

    async def _models(self, request: web.Request) -> web.Response:
        if not self._may_enter(request):
            return _refused(401, "invalid_api_key")
        listed = [{"id": model, "object": "model", "owned_by": "sandbox"} for model in self.models]
        return web.json_response({"object": "list", "data": listed})

    async def _transcribe(self, request: web.Request) -> web.StreamResponse:
        data, upload = await _received(request)
        if not self._may_enter(request):
            return _refused(401, "invalid_api_key")
        self.uploads.append(upload)
        fault = self.faults.take()
        if fault and fault.kind == "slow":
            await asyncio.sleep(fault.after_s)
        if fault and (trouble := await _misbehave(request, fault)):
            return trouble
        if refusal := self._refusal(upload, fault):
            return refusal
        return web.json_response(self._answer(data, upload, has_times=not fault or fault.kind != "no_times"))

    def _may_enter(self, request: web.Request) -> bool:
        return self.key is None or request.headers.get("Authorization") == f"Bearer {self.key}"

    def _refusal(self, upload: Upload, fault: Fault | None) -> web.Response | None:
        if upload.fields.get("model") not in self.models:
            return _refused(404, "model_not_found", param="model")
        if upload.size_bytes > LARGEST_BODY_BYTES:
            return _refused(413, "content_size_limit_exceeded")
        if upload.file_name.rpartition(".")[2] not in READABLE or not upload.size_bytes:
            return _refused(400, "invalid_file", param="file")
        if fault and fault.kind == "no_detail" and upload.fields.get("response_format") == "verbose_json":
            fault.times += 1  # it stays so: this is what the model is like
            return _refused(400, "unsupported_value", param="response_format")
        return None

    def _answer(self, data: bytes, upload: Upload, *, has_times: bool) -> dict[str, Any]:
        duration_s = length_of(data)
        segments = spread(duration_s) if self.says is None else self.says
        text = "".join(segment["text"] for segment in segments).strip()
        if not has_times or upload.fields.get("response_format") != "verbose_json":
            return {"text": text}
        told = upload.fields.get("language") or self.language
        return {
            "task": "transcribe",
            "language": told,
            "duration": duration_s,
            "text": text,
            "segments": segments,
        }

    # ── its handles ──

    async def _add_fault(self, request: web.Request) -> web.Response:
        """A `Fault` as JSON."""
        self.faults.add(Fault(**await request.json()))
        return web.json_response({"success": True})

    async def _clear_faults(self, request: web.Request) -> web.Response:
        self.faults.clear()
        return web.json_response({"success": True})

    async def _list_uploads(self, request: web.Request) -> web.Response:
        return web.json_response([asdict(upload) for upload in self.uploads])

    async def _set_says(self, request: web.Request) -> web.Response:
        """A list of segments, or null."""
        self.says = await request.json()
        return web.json_response({"success": True})


async def _received(request: web.Request) -> tuple[bytes, Upload]:
    data, upload = b"", Upload("", "", 0)
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader) or not part.name:
            continue
        if part.name == "file":
            data = bytes(await part.read())
            upload.file_name, upload.size_bytes = part.filename or "", len(data)
            upload.mime = part.headers.get("Content-Type", "")
        else:
            upload.fields[part.name] = await part.text()
    return data, upload


async def _misbehave(request: web.Request, fault: Fault) -> web.StreamResponse | None:
    if fault.kind == "status":
        return _refused(fault.status, fault.code, retry_after=fault.retry_after)
    if fault.kind == "nonsense":
        return web.Response(text='{"text": "bom dia", "segm', content_type="application/json")
    if fault.kind not in ("cut", "endless"):
        return None
    answer = web.StreamResponse(headers={"Content-Type": "application/json"})
    if fault.kind == "cut":
        answer.content_length = 10_000
    await answer.prepare(request)
    await answer.write(b'{"text": "')
    for _ in range(32 if fault.kind == "endless" else 0):
        await answer.write(b"a" * 1024 * 1024)
    if request.transport:
        request.transport.close()
    return answer


def _refused(status: int, code: str, *, param: str = "", retry_after: str = "") -> web.Response:
    # As OpenAI does, the message repeats what was sent: none of it may be believed to be harmless.
    error = {
        "message": f"Refused: {KEY} may not do this.",
        "type": "invalid_request_error",
        "code": code or None,
    }
    headers = {"Retry-After": retry_after} if retry_after else None
    body = json.dumps({"error": {**error, "param": param or None}})
    return web.Response(status=status, text=body, content_type="application/json", headers=headers)
