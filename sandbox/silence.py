"""Answers that never come, over a socket and inside this process."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx


class Silence(Exception):
    """The answer that never comes."""


async def hang(hang_s: float | None) -> None:
    """`hang_s`: how long the line stays open; None raises `Silence` at once, for tests."""
    if hang_s is None:
        raise Silence
    await asyncio.sleep(hang_s)


class SilentTransport(httpx.ASGITransport):
    """An app inside this process, for httpx: no socket, no real time, and its silence is the time-out a client would
    have waited for."""

    def __init__(self, app: Any) -> None:
        super().__init__(app=app)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await super().handle_async_request(request)
        except Silence as silence:
            raise httpx.ReadTimeout("no answer", request=request) from silence
