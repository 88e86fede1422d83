"""Whether our own address answers, as the wizard says it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from acervo.govern import reach


@pytest.fixture
async def at_our_address(settings: Any) -> AsyncIterator[web.AppRunner]:
    """A server on loopback under the name of this installation."""

    async def healthz(request: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def page(request: web.Request) -> web.Response:
        return web.Response(text="Welcome to nginx")

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/elsewhere/healthz", page)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    settings.ACERVO_BASE_URL = f"http://127.0.0.1:{port}"
    settings.ACERVO_ALLOW_PRIVATE_HOSTS = ("127.0.0.1",)
    yield runner
    await runner.cleanup()


async def test_what_answers_is_us(at_our_address: web.AppRunner) -> None:
    assert (await reach._ask()).is_well


async def test_another_page_at_our_address_is_not_us(at_our_address: web.AppRunner, settings: Any) -> None:
    settings.ACERVO_BASE_URL += "/elsewhere"
    assert (await reach._ask()).code == "wrong_answer"


async def test_nobody_at_our_address(at_our_address: web.AppRunner) -> None:
    await at_our_address.cleanup()
    assert (await reach._ask()).code == "silent"


async def test_a_private_address_is_told_apart(at_our_address: web.AppRunner, settings: Any) -> None:
    settings.ACERVO_ALLOW_PRIVATE_HOSTS = ()
    assert (await reach._ask()).code == "private"


async def test_a_certificate_that_does_not_fit(at_our_address: web.AppRunner, settings: Any) -> None:
    """Plain HTTP where TLS was promised: no certificate at all."""
    settings.ACERVO_BASE_URL = settings.ACERVO_BASE_URL.replace("http://", "https://")
    assert (await reach._ask()).code == "certificate"
