"""A stage for the conformance suite: a provider answered from a script, on this machine only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import aiohttp
from aiohttp import web

from acervo.providers.contract import AnnouncedFile, Credentials, Provider, Resolved

LOOPBACK = "127.0.0.1"


class Scene(Enum):
    """What the provider's side does next. The last four are played for `check`, the others for `resolve`."""

    FOUND = "the file is there"
    LOST = "the file is gone"
    BUSY = "too many requests, wait 7 seconds"
    REVOKED = "the access is revoked"
    UNWELL = "an error of the provider"
    NONSENSE = "an answer that is not the provider's"
    SILENT = "the line goes dead"
    ALIVE = "check: all is well"
    DEAD = "check: the access is revoked"
    SICK = "check: an error of the provider"
    MUTE = "check: the line goes dead"


BUSY_FOR_S = 7.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One scripted HTTP answer. `hangs_up` closes the line instead."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    hangs_up: bool = False


@dataclass(slots=True)
class Stage:
    """A provider to be asked about `file`, and what came of the script."""

    provider: Provider
    session: aiohttp.ClientSession
    file: AnnouncedFile
    promised: Resolved | None = None
    """What FOUND must resolve to; `url`, `sha256` and `size_bytes` count."""
    script: list[Answer] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    """Paths asked for beyond the script."""
    requests: list[web.BaseRequest] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    """What each of them said."""

    @property
    def unused(self) -> list[Answer]:
        """Answers nobody asked for."""
        return [answer for answer in self.script if not (answer.hangs_up and self.requests)]


@asynccontextmanager
async def http_stage(
    provider: type[Provider],
    credentials: Credentials,
    file: AnnouncedFile,
    answers: Sequence[Answer],
    **more: Any,
) -> AsyncIterator[Stage]:
    """A stage for a provider spoken to over HTTP: `credentials.api_base` becomes a server on loopback."""
    script = list(answers)
    stage: Stage

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        stage.requests.append(request)
        stage.bodies.append(await request.read())
        if not script:
            stage.unexpected.append(request.path)
            return web.Response(status=500)
        # A dead line stays dead: aiohttp asks once more by itself before it gives up.
        scripted = script[0] if script[0].hangs_up else script.pop(0)
        if scripted.hangs_up and request.transport is not None:
            request.transport.abort()
        return web.Response(status=scripted.status, headers=scripted.headers, body=scripted.body)

    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    try:
        site = web.TCPSite(runner, LOOPBACK, 0)
        await site.start()
        port = runner.addresses[0][1]
        here = Credentials(
            account_id=credentials.account_id,
            secrets=credentials.secrets,
            options=credentials.options,
            api_base=f"http://{LOOPBACK}:{port}",
            allowed_hosts=(LOOPBACK,),
        )
        async with local_session() as session:
            stage = Stage(provider(here), session, file, script=script, **more)
            yield stage
    finally:
        await runner.cleanup()


@asynccontextmanager
async def local_session() -> AsyncIterator[aiohttp.ClientSession]:
    """A session that fails the test, loudly, when anything beyond this machine is asked for."""
    async with aiohttp.ClientSession(connector=_LocalOnly()) as session:
        yield session


class LeftThisMachineError(AssertionError):
    """A test tried to reach the network."""


class _LocalOnly(aiohttp.TCPConnector):
    async def connect(self, req: aiohttp.ClientRequest, *args: Any, **kwargs: Any) -> Any:
        if req.url.host != LOOPBACK:
            raise LeftThisMachineError(str(req.url.host))
        return await super().connect(req, *args, **kwargs)
