"""The simulated Cloud API as one HTTP server: Graph side, media side and the sandbox's handles on one port."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from aiohttp import web

from sandbox.whatsapp import attachments, control, desk, graph
from sandbox.whatsapp.faults import FaultPlan
from sandbox.whatsapp.phone import Phone
from sandbox.whatsapp.shelf import ID_LIFE_S, MEDIA_PATH, URL_LIFE_S, MediaShelf
from sandbox.whatsapp.state import STATE, State, Statistics

LARGEST_BODY_BYTES = 128 * 1024 * 1024


def create_app(state: State) -> web.Application:
    app = web.Application(client_max_size=LARGEST_BODY_BYTES)
    app[STATE] = state
    app.add_routes(
        [
            web.get(MEDIA_PATH, attachments.get_attachment),
            *control.ROUTES,
            *desk.HANDLES,
            web.get(r"/{version:v\d+\.\d+}/{node:\w+}", graph.get_node),
            web.delete(r"/{version:v\d+\.\d+}/{node:\w+}", graph.delete_media),
            web.get(r"/{version:v\d+\.\d+}/{node:\w+}/settings", graph.get_settings),
            web.post(r"/{version:v\d+\.\d+}/{node:\w+}/messages", desk.post_messages),
            web.post(r"/{version:v\d+\.\d+}/{node:\w+}/subscribed_apps", desk.post_subscription),
            web.post(r"/{version:v\d+\.\d+}/debug_token", graph.post_debug_token),
            web.post(r"/{version:v\d+\.\d+}/{node:\w+}", desk.post_number),
        ]
    )
    return app


class SandboxServer:
    """The sandbox in this process: `async with SandboxServer() as sandbox: sandbox.base_url`. Other vendors' sandboxes
    are this one with another application."""

    def __init__(
        self,
        phones: Iterable[Phone] = (),
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        seed: int = 0,
        id_life_s: float = ID_LIFE_S,
        url_life_s: float = URL_LIFE_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Without `phones` there is one: `Phone()`. Port 0 takes a free one."""
        self.shelf = MediaShelf(id_life_s=id_life_s, url_life_s=url_life_s, clock=clock)
        self.state = State(tuple(phones) or (Phone(),), self.shelf, FaultPlan(seed=seed))
        self._host = host
        self._port = port
        self._runner = web.AppRunner(self.make_app(self.state), access_log=None)

    @staticmethod
    def make_app(state: State) -> web.Application:
        """The addresses this vendor answers at."""
        return create_app(state)

    @property
    def plan(self) -> FaultPlan:
        return self.state.plan

    @property
    def statistics(self) -> Statistics:
        return self.state.statistics

    @property
    def base_url(self) -> str:
        """What `acervo connect meta_cloud --api-base` takes; known once started."""
        return self.shelf.base_url

    async def start(self) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()
        host, port = self._runner.addresses[0][:2]
        self.shelf.base_url = f"http://{host}:{port}"

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


async def run_until_stopped(sandbox: SandboxServer, *, as_json: bool = False) -> None:
    """Start, print the address, and stay until asked to stop."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with sandbox:
        told = json.dumps({"url": sandbox.base_url}) if as_json else sandbox.base_url
        sys.stdout.write(told + "\n")
        sys.stdout.flush()
        await stopped.wait()
