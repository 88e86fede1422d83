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
from acervo.play import door, live, session

ROUTER = Router([Route("/play/{slug}/{what}", door.play, methods=["GET", "HEAD"])])


@pytest.fixture(autouse=True)
def strangers() -> None:
    """Nobody is remembered from the test before."""
    session.forget_everybody()
    door.forget_notes()


@pytest.fixture
def one_connection(monkeypatch: pytest.MonkeyPatch, db: None) -> None:
    """The database is asked in the test's own thread and transaction: rolling back is quicker than emptying tables.
    `test_door.py` has one test with the real threads."""

    async def asked_here(do: Callable[..., Any], *args: Any) -> Any:
        return await sync_to_async(do, thread_sensitive=True)(*args)

    for module in (door, live, session):
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

    async def answer(
        member_cookies: dict[str, str], path: str, method: str, headers: dict[str, str]
    ) -> httpx.Response:
        transport = httpx.ASGITransport(app=ROUTER)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://test", cookies=member_cookies
        ) as http:
            return await http.request(method, path, headers=headers)

    def asked(member: Member | None, path: str, method: str = "GET", **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return async_to_sync(answer)(cookies_of(member), path, method, named)

    return asked
