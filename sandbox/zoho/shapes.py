"""Holds both sides to the written contract: what the adapter sends and what the simulated organisation answers."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl

import httpx

from sandbox.hubspot import shapes

_FORM = "application/x-www-form-urlencoded"


class CheckedTransport(shapes.CheckedTransport):
    """As HubSpot's, with Zoho's shapes. The form that buys a token is checked as the object it stands for."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        super().__init__(_AsForm(inner), "zoho")

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.headers.get("content-type") == _FORM:
            form = dict(parse_qsl(request.content.decode()))
            request = httpx.Request(request.method, request.url, json=form)
        return await super().handle_async_request(request)


class _AsForm(httpx.AsyncBaseTransport):
    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/oauth/"):
            request = httpx.Request(request.method, request.url, data=json.loads(request.content))
        return await self._inner.handle_async_request(request)
