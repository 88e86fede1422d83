"""Free places are filled while other downloads go on: one that drips keeps nobody waiting."""

from __future__ import annotations

import asyncio

import pytest
from asgiref.sync import sync_to_async

from acervo.fetch import capture
from acervo.fetch.claims import Claim
from acervo.fetch.download import Downloaded, Line
from acervo.keep import vault
from acervo.models import Connection, MediaFile
from tests.conftest import make_file

pytestmark = pytest.mark.django_db(transaction=True)
PATIENCE_S = 10.0


@pytest.fixture
def dripping(monkeypatch: pytest.MonkeyPatch) -> dict[str, asyncio.Event]:
    """The downloads of these files, by their id at the provider, end only when their event is set."""
    held: dict[str, asyncio.Event] = {}

    async def download(line: Line, claim: Claim, place: vault.Place) -> Downloaded:
        if event := held.get(claim.announced.provider_id):
            await event.wait()
        return Downloaded(await vault.store(place, b"a note"))

    monkeypatch.setattr(capture, "download", download)
    return held


async def kept(media: MediaFile) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await MediaFile.objects.filter(pk=media.pk, stored_at__isnull=False).aexists():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("is_told", [True, False])
async def test_a_file_that_arrives_while_another_drips_is_captured_at_once(
    connection: Connection, dripping: dict[str, asyncio.Event], is_told: bool
) -> None:
    slow = await sync_to_async(make_file)(connection)
    dripping[slow.provider_id] = asyncio.Event()
    loop = asyncio.create_task(capture.capture(lambda files: None))
    await asyncio.sleep(0.1)
    quick = await sync_to_async(make_file)(connection)
    if is_told:
        await capture.capture(lambda files: None)
    await kept(quick)
    assert not loop.done()
    dripping[slow.provider_id].set()
    await asyncio.wait_for(loop, PATIENCE_S)
    await kept(slow)


async def test_who_asks_while_the_loop_runs_does_not_wait_for_it(
    connection: Connection, dripping: dict[str, asyncio.Event]
) -> None:
    slow = await sync_to_async(make_file)(connection)
    dripping[slow.provider_id] = asyncio.Event()
    loop = asyncio.create_task(capture.capture(lambda files: None))
    await asyncio.sleep(0.1)
    await asyncio.wait_for(capture.capture(lambda files: None), PATIENCE_S)
    assert not loop.done()
    dripping[slow.provider_id].set()
    await asyncio.wait_for(loop, PATIENCE_S)


async def test_who_asks_while_the_loop_tidies_up_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = 0

    async def one_round(on_kept: capture.OnKept, *, bell: asyncio.Event) -> int:
        nonlocal rounds
        rounds += 1
        bell.clear()
        if rounds == 1:  # nothing was due; then somebody asks, and the loop ends
            await capture.capture(on_kept)
        return 0

    monkeypatch.setattr(capture, "capture_due", one_round)
    await capture.capture(lambda files: None)
    assert rounds == 2
