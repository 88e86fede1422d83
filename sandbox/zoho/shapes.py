"""Holds both sides to the written contract: what the adapter sends and what the simulated organisation answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import httpx

from sandbox import forms
from sandbox.hubspot import shapes

_FORM = "application/x-www-form-urlencoded"


class CheckedTransport(shapes.CheckedTransport):
    """As HubSpot's, with Zoho's shapes. The forms that buy a token or bring a file are checked as the object they stand
    for, and go on as they came."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        super().__init__(_AsSent(inner), "zoho")

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        form = _form(request.headers.get("content-type", ""), await request.aread())
        if form is not None:
            as_sent = {"as_sent": request}
            request = httpx.Request(request.method, request.url, json=form, extensions=as_sent)
        return await super().handle_async_request(request)


class _AsSent(httpx.AsyncBaseTransport):
    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._inner.handle_async_request(request.extensions.get("as_sent", request))


def _form(content_type: str, content: bytes) -> Mapping[str, Any] | None:
    if content_type == _FORM:
        return dict(parse_qsl(content.decode()))
    if not forms.is_form(content_type):
        return None
    return {
        name: {
            "file_name": sent.file_name,
            "content_type": sent.type,
            "size_bytes": len(sent.content),
        }
        for name, sent in forms.parts(content_type, content).items()
    }
