"""A hook as an administrator lives with it: added, tried, told of a real file, broken over there, mended, told again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web
from playwright.sync_api import Page, expect
from standardwebhooks import Webhook

from sandbox.people import NILO
from tests.browser.archive import STOCK, Archive, Sent
from tests.browser.conftest import Complaints
from tests.browser.test_accessibility import violations
from tests.served import served

pytestmark = pytest.mark.browser


class Receiver:
    """Another system: it takes what it is told, or not."""

    def __init__(self) -> None:
        self.status = 200
        self.taken: list[tuple[str, dict[str, str]]] = []
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
        self.taken.append((await request.text(), dict(request.headers)))
        await asyncio.sleep(0)
        return web.Response(status=self.status)

    @property
    def told(self) -> list[dict[str, Any]]:
        return [json.loads(body) for body, _ in self.taken]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with served(Receiver()) as running:
        yield running


def test_a_hook_is_added_tried_broken_and_mended(
    page: Page, archive: Archive, complaints: Complaints, receiver: Receiver
) -> None:
    page.goto(f"{archive.url}/settings/hooks")
    expect(page.get_by_role("heading", name="Nobody is told yet")).to_be_visible()
    assert violations(page) == []
    secret = add(page, receiver)
    expect(page.get_by_role("heading", name="The hook is made")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("link", name="I have kept it").click()
    expect(page.get_by_label("Signing secret")).to_have_count(0)

    page.get_by_role("button", name="Send a sample").click()
    log = page.get_by_role("region", name="What it was told")
    entry = log.locator(".link-row").first
    expect(entry).to_contain_text("Sample")
    expect(entry).to_contain_text("Told")
    for body, headers in receiver.taken:
        assert Webhook(secret).verify(body, headers)["is_sample"]

    archive.send(Sent(NILO, STOCK["sticker"].sample))
    expect(log.locator(".link-row")).to_have_count(2)
    expect(entry).to_contain_text("Told")
    assert receiver.told[-1]["data"]["media"]["kind"] == "sticker"
    assert receiver.told[-1]["data"]["person"]["name"] == NILO.name

    receiver.status = 500
    page.get_by_role("button", name="Send a sample").click()
    expect(entry).to_contain_text("It answered with an error of its own.")
    entry.get_by_text("1 try").click()
    expect(entry).to_contain_text("HTTP 500")
    assert violations(page) == []
    receiver.status = 200
    page.get_by_role("button", name="Tell the 1 event again that was not taken").click()
    expect(entry).to_contain_text("Told")
    ids = [headers["webhook-id"] for _, headers in receiver.taken]
    assert len(set(ids)) == 3

    page.get_by_role("link", name="Remove").click()
    page.get_by_role("button", name="Remove it").click()
    expect(page.get_by_role("heading", name="Nobody is told yet")).to_be_visible()


def add(page: Page, receiver: Receiver) -> str:
    """Its secret."""
    page.get_by_role("link", name="Add a hook").first.click()
    page.get_by_label("Address").fill(f"{receiver.base_url}/catch/1")
    page.get_by_label("Name in this archive").fill("n8n")
    page.get_by_label("With contact and content").check()
    page.get_by_role("button", name="Add the hook").click()
    return page.get_by_label("Signing secret").input_value()
