"""kill -9 of whoever sends, after the request left and before the answer came: the provider has it, and gets it once."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web
from asgiref.sync import async_to_sync
from django.db import connection as database

from acervo import journey, timetable
from acervo.answer import asking, sending
from acervo.base import clock
from acervo.models import Chat, Connection, Message, Sending, Workspace
from acervo.models.sending import SILENT_AFTER
from tests.answer.conftest import wrote
from tests.conftest import make_connection, make_person
from tests.served import served

pytestmark = pytest.mark.django_db(transaction=True)
WORKER = """
    import asyncio
    from uuid import UUID
    import django
    django.setup()
    from acervo.answer import sending
    asyncio.run(sending.send(UUID("{sending}")))
"""


class SilentGraph:
    """Takes a message, and never answers."""

    def __init__(self) -> None:
        self.taken = 0
        self.has_one = threading.Event()
        self.base_url = ""

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/{tail:.*}", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        await request.read()
        self.taken += 1
        self.has_one.set()
        await asyncio.sleep(60)
        return web.Response()


@pytest.fixture
def graph() -> Iterator[SilentGraph]:
    with served(SilentGraph()) as running:
        yield running


def test_the_message_is_perhaps_sent_and_nobody_sends_it_again(
    workspace: Workspace, graph: SilentGraph
) -> None:
    number: Connection = make_connection(workspace, "meta_cloud", api_base=graph.base_url)
    chat = Chat.objects.create(workspace=workspace, connection=number, person=make_person(workspace))
    wrote(chat)
    row = journey.answer(asking.Wish(chat, text="Recebemos"), "test")
    worker = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WORKER).format(sending=row.pk)],
        env={**os.environ, "DATABASE_URL": _address()},
    )
    try:
        assert graph.has_one.wait(60)
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait(20)
    row.refresh_from_db()
    assert (row.tried_at is not None, row.accepted_at, row.failed_at) == (True, None, None)
    Sending.objects.update(tried_at=clock.now() - SILENT_AFTER)  # time passes
    timetable._start_what_is_due()
    async_to_sync(sending.send)(row.pk)
    row.refresh_from_db()
    assert (row.state, graph.taken) == ("unknown", 1)
    assert not Message.objects.filter(direction="out").exists()
    assert row.may_be_repeated


def _address() -> str:
    from urllib.parse import quote, urlencode

    known: dict[str, Any] = database.get_connection_params()
    host = {"host": known["host"], "port": known.get("port") or 5432}
    secret = quote(known.get("password", ""), safe="")
    return f"postgresql://{quote(known['user'])}:{secret}@/{known['dbname']}?{urlencode(host)}"
