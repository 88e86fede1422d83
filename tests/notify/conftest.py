"""A subscriber that answers as a test wants, a clock that moves when it is told to, and calls that ride on no network."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from asgiref.sync import async_to_sync, sync_to_async

from acervo.base import clock
from acervo.govern import subscriptions
from acervo.govern.subscriptions import Wish
from acervo.models import Event, EventKind, Happened, Subscription, Workspace
from acervo.notify import calling, promises

URL = "https://hooks.example.com/catch/1"


@dataclass
class Subscriber:
    """What an address was called with, and what it answers."""

    answer: Callable[[httpx.Request], httpx.Response] = lambda request: httpx.Response(204)
    calls: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.calls.append(request)
        return self.answer(request)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(call.content) for call in self.calls]

    @property
    def message_ids(self) -> list[str]:
        return [call.headers["webhook-id"] for call in self.calls]


@pytest.fixture
def subscriber() -> Subscriber:
    return Subscriber()


@dataclass
class Hand:
    """Of the clock."""

    at: datetime

    def move(self, **how_far: float) -> None:
        self.at += timedelta(**how_far)


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> Hand:
    held = Hand(clock.now())
    monkeypatch.setattr(clock, "now", lambda: held.at)
    return held


@pytest.fixture
def subscribe(workspace: Workspace) -> Callable[..., Subscription]:
    """`subscribe("media.ready", detail="full")`: a live subscription; `.secret` is what the subscriber got."""

    def made(*events: str, url: str = URL, **facts: Any) -> Subscription:
        wish = Wish(url=url, events=events or ["media.ready"], **facts)
        row, secret = subscriptions.subscribe(workspace.pk, wish, by="test")
        row.secret = secret
        return row

    return made


@pytest.fixture
def happen(workspace: Workspace) -> Callable[..., Event]:
    """`happen(media)`: the file became ready."""

    def record(media: Any, kind: str = "media.ready", **facts: Any) -> Event:
        Event.objects.record(workspace.pk, [Happened(EventKind(kind), media.pk, facts)])
        return Event.objects.order_by("-id").first()

    return record


@pytest.fixture
def notify(subscriber: Subscriber, one_transaction: None) -> Callable[[], None]:
    """Tell everything that is due now."""

    @async_to_sync
    async def everything_due() -> None:
        await calling.notify_due(client(subscriber))

    return everything_due


def client(answering: Callable[[httpx.Request], httpx.Response]) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.MockTransport(answering))


@pytest.fixture
def one_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    """Database work goes to the test's own thread, whose transaction is rolled back."""

    async def here(do: Any, *args: Any, **kwargs: Any) -> Any:
        return await sync_to_async(do)(*args, **kwargs)

    monkeypatch.setattr(calling, "in_thread", here)


def settled(subscription: Subscription) -> dict[str, int]:
    """How many of its promises are in which state."""
    counted: dict[str, int] = {}
    for row in subscription.deliveries.all():
        counted[row.state] = counted.get(row.state, 0) + 1
    return counted


def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promises.random, "uniform", lambda low, high: 1.0)
