"""Webhooks that never came: the provider's own list brings their files, and nothing twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import pytest

from acervo import providers
from acervo.base import clock
from acervo.keep import credentials
from acervo.models import Connection, MediaFile, Message
from acervo.providers.contract import (
    AnnouncedFile,
    Announcement,
    Capabilities,
    Direction,
    Identity,
    Kind,
    ProviderBusy,
    Reading,
)
from acervo.receive import missed

pytestmark = pytest.mark.django_db(transaction=True)


class Lister:
    """A provider with a list, as far as recovery looks at it."""

    capabilities = Capabilities(declares_sha256=False, declares_size=False, file_lifetime=timedelta(days=30))

    def __init__(self, account_id: str) -> None:
        self.account_id = account_id
        self.messages: list[str] = []
        self.asked: list[datetime] = []
        self.breaks_after: int | None = None

    async def missed(self, session: aiohttp.ClientSession, since: datetime) -> AsyncIterator[Reading]:
        self.asked.append(since)
        for index, name in enumerate(self.messages):
            if index == self.breaks_after:
                raise ProviderBusy()
            file = AnnouncedFile(f"id-{name}", Kind.VOICE, "audio/ogg")
            customer = Identity(phone="+15555550142")
            event = Announcement(
                self.account_id, name, Direction.INBOUND, customer, clock.now(), "audio", files=(file,)
            )
            yield Reading((event,))


@pytest.fixture
def lister(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> Lister:
    found = Lister(connection.account_id)
    monkeypatch.setattr(credentials, "provider", lambda row: found)
    return found


async def recover(connection: Connection) -> tuple[int, int]:
    """How many files were found, and how often somebody was told to capture."""
    told: list[Any] = []
    await connection.arefresh_from_db()
    async with aiohttp.ClientSession() as session:
        found = await missed.recover(connection, session, lambda drained: told.append(1))
    return found, len(told)


async def test_what_no_webhook_told_is_found_once(connection: Connection, lister: Lister) -> None:
    lister.messages = ["one", "two"]
    assert await recover(connection) == (2, 2)
    assert await recover(connection) == (0, 0)
    assert await MediaFile.objects.acount() == await Message.objects.acount() == 2
    assert await MediaFile.objects.awaited().filter(provider_id="id-one").aexists()


async def test_each_look_begins_a_little_before_the_last_one(connection: Connection, lister: Lister) -> None:
    began = clock.now()
    await recover(connection)
    await recover(connection)
    first, second = lister.asked
    assert began - first >= missed.FIRST_LOOK - timedelta(minutes=1)
    assert timedelta(0) <= second - (began - missed.OVERLAP) < timedelta(minutes=1)


async def test_a_list_that_breaks_off_is_read_again_from_the_same_place(
    connection: Connection, lister: Lister
) -> None:
    lister.messages, lister.breaks_after = ["one", "two"], 1
    with pytest.raises(ProviderBusy):
        await recover(connection)
    assert await MediaFile.objects.acount() == 1
    lister.breaks_after = None
    assert await recover(connection) == (1, 1)
    assert lister.asked[1] - lister.asked[0] < timedelta(minutes=1)


def test_providers_without_a_list_are_left_alone() -> None:
    assert set(missed.kinds_with_a_list()) == {"twilio", "bird"}
    for kind in providers.kinds():
        assert hasattr(providers.get(kind), "missed") == (kind in missed.kinds_with_a_list())
