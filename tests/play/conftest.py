"""The doors beside Django, asked as a browser asks them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.conf import settings
from django.test import Client
from starlette.routing import Route, Router

from acervo.models import Member
from acervo.play import door, first_play, heard, live, noted, session

ROUTER = Router(
    [
        Route("/play/{slug}/heard", heard.heard, methods=["POST"]),
        Route("/play/{slug}/{what}", door.play, methods=["GET", "HEAD"]),
    ]
)
ASKING = (door, first_play, heard, live, noted, session)
"""Modules that ask the database beside the loop."""


@pytest.fixture(autouse=True)
def strangers() -> None:
    """Nobody is remembered from the test before."""
    session.forget_everybody()
    noted.forget()
    heard.forget()


@pytest.fixture
def one_connection(monkeypatch: pytest.MonkeyPatch, db: None) -> None:
    """The database is asked in the test's own thread and transaction: rolling back is quicker than emptying tables.
    `test_door.py` has one test with the real threads."""

    async def asked_here(do: Callable[..., Any], *args: Any) -> Any:
        return await sync_to_async(do, thread_sensitive=True)(*args)

    for module in ASKING:
        monkeypatch.setattr(module, "in_thread", asked_here)


def cookies_of(member: Member | None) -> dict[str, str]:
    if member is None:
        return {}
    client = Client()
    client.force_login(member)
    return {settings.SESSION_COOKIE_NAME: client.cookies[settings.SESSION_COOKIE_NAME].value}


@pytest.fixture
def ask() -> Callable[..., httpx.Response]:
    """`ask(alice, "/play/…", range="bytes=0-")`: keyword arguments are headers."""

    def asked(
        member: Member | None, path: str, method: str = "GET", body: bytes = b"", **headers: str
    ) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return async_to_sync(answered)(cookies_of(member), path, method, named, body)

    return asked


async def answered(
    cookies: dict[str, str],
    path: str,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    body: bytes = b"",
) -> httpx.Response:
    """The door's answer to a browser with these cookies."""
    transport = httpx.ASGITransport(app=ROUTER)
    async with httpx.AsyncClient(transport=transport, base_url="http://test", cookies=cookies) as http:
        return await http.request(method, path, headers=headers, content=body)
