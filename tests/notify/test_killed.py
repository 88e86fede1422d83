"""kill -9 of the worker while a subscriber holds its calls: over the wire, nothing is lost, and the ids stay the same."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator

import pytest
from aiohttp import web
from asgiref.sync import async_to_sync
from standardwebhooks import Webhook

from acervo import journey
from acervo.base import clock
from acervo.govern import subscriptions
from acervo.govern.subscriptions import Wish
from acervo.models import Event, EventDelivery, EventKind, Happened, MediaFile, Workspace
from acervo.notify import promises
from tests.answer.test_killed import _address
from tests.notify.conftest import settled
from tests.served import served

pytestmark = pytest.mark.django_db(transaction=True)
WORKER = """
    import asyncio
    import django
    django.setup()
    from acervo import journey
    asyncio.run(journey.notify())
"""


class Receiver:
    """Takes messages, and answers once it may."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, dict[str, str]]] = []
        self.is_full = threading.Event()
        self.may_answer = False
        self.base_url = ""

    async def start(self) -> None:
        self._ending = asyncio.Event()
        app = web.Application()
        app.router.add_post("/{tail:.*}", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        self._ending.set()
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        self.taken.append((await request.text(), dict(request.headers)))
        if len(self.taken) >= promises.AT_ONCE:
            self.is_full.set()
        if not self.may_answer:
            await self._ending.wait()
        return web.Response(status=204)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with served(Receiver()) as running:
        yield running


def test_nothing_is_lost_and_what_came_before_comes_again_under_its_id(
    workspace: Workspace, announced_file: object, receiver: Receiver
) -> None:
    wish = Wish(f"{receiver.base_url}/catch", ["media.ready"])
    subscription, secret = subscriptions.subscribe(workspace.pk, wish, by="test")
    media: MediaFile = announced_file()  # type: ignore[operator]
    for _ in range(10):
        Event.objects.record(workspace.pk, [Happened(EventKind.READY, media.pk)])
    worker = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WORKER)], env={**os.environ, "DATABASE_URL": _address()}
    )
    try:
        assert receiver.is_full.wait(120)
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait(20)
    assert settled(subscription) == {"waiting": 10}
    held = [headers["webhook-id"] for _, headers in receiver.taken]
    EventDelivery.objects.filter(claimed_until__isnull=False).update(claimed_until=clock.now())  # time passes
    receiver.may_answer = True
    async_to_sync(journey.notify.func)()
    assert settled(subscription) == {"told": 10}
    for body, headers in receiver.taken:
        assert Webhook(secret).verify(body, headers)["id"] == headers["webhook-id"]
    again = [headers["webhook-id"] for _, headers in receiver.taken[len(held) :]]
    assert len(again) == len(set(again)) == 10
    assert set(held) <= set(again)
