"""How large a file may be: refused before, during and after its download, each by itself; lifted by hand; raised."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from asgiref.sync import sync_to_async

from acervo import journey
from acervo.base import clock, ids
from acervo.base.errors import Refused
from acervo.fetch import limits
from acervo.fetch.capture import capture_due
from acervo.fetch.download import TooLarge, _Expected
from acervo.keep import storage
from acervo.models import AuditEntry, Connection, MediaFile, Sealing, SizeLimit, Workspace
from acervo.providers.contract import Resolved
from acervo.providers.fake.adapter import Fake
from tests.conftest import make_connection, make_file

pytestmark = pytest.mark.django_db(transaction=True)

LIMIT = 100_000
MIB = 1024 * 1024


@dataclass
class Shelf:
    """A provider's media host. `sends` bytes come, with their length said or in chunks, of any type."""

    port: int = 0
    sends: int = 0
    is_chunked: bool = False
    mime: str = "audio/ogg"
    asked: int = 0
    sent: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/file"

    async def give(self, request: web.Request) -> web.StreamResponse:
        self.asked, self.sent = self.asked + 1, 0
        answer = web.StreamResponse(headers={"Content-Type": self.mime})
        if self.is_chunked:
            answer.enable_chunked_encoding()
        else:
            answer.content_length = self.sends
        await answer.prepare(request)
        try:
            while self.sent < self.sends:
                piece = bytes(min(65536, self.sends - self.sent))
                await answer.write(piece)
                self.sent += len(piece)
            await answer.write_eof()
        except ConnectionError:
            self.left.set()
        return answer


@pytest.fixture
async def shelf() -> AsyncIterator[Shelf]:
    made = Shelf()
    app = web.Application()
    app.router.add_get("/file", made.give)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    yield made
    await runner.cleanup()
    Fake.accounts.clear()


@pytest.fixture
def number(workspace: Workspace, settings: Any) -> Connection:
    settings.ACERVO_MAX_FILE_BYTES = LIMIT
    return make_connection(workspace, "fake", secrets={"signing_secret": "s"})


async def announce(number: Connection, shelf: Shelf, **told: Any) -> MediaFile:
    """`resolved_bytes` and `resolved_mime` are what the look-up says; the rest are columns."""
    resolved = Resolved(
        shelf.url, size_bytes=told.pop("resolved_bytes", None), mime=told.pop("resolved_mime", None)
    )
    media: MediaFile = await sync_to_async(make_file)(number, **told)
    Fake.account(number.account_id).files[media.provider_id] = resolved
    return media


async def captured(media: MediaFile) -> MediaFile:
    await capture_due(lambda files: None, concurrency=2)
    await media.arefresh_from_db()
    return media


async def refused_for_size(media: MediaFile) -> dict[str, Any]:
    """What the audit says of a file that was refused for its size; nothing of it may be left."""
    await captured(media)
    assert (media.state, media.refusal) == ("lost", "too_large")
    assert [item async for item in storage.configured().list(f"ws/{ids.text(media.workspace_id)}")] == []
    entry = await AuditEntry.objects.filter(subject_id=media.pk, action="file.lost").alatest("number")
    return dict(entry.details)


# ── before ──


async def test_an_announced_size_over_the_limit_costs_no_question(number: Connection, shelf: Shelf) -> None:
    media = await announce(number, shelf, announced_bytes=LIMIT + 1)
    told = await refused_for_size(media)
    assert (told["size_bytes"], told["limit_bytes"]) == (LIMIT + 1, LIMIT)
    assert Fake.account(number.account_id).questions == 0
    assert shelf.asked == 0


async def test_a_looked_up_size_over_the_limit_costs_no_download(number: Connection, shelf: Shelf) -> None:
    media = await announce(number, shelf, resolved_bytes=LIMIT + 1)
    assert (await refused_for_size(media))["size_bytes"] == LIMIT + 1
    assert shelf.asked == 0


@pytest.mark.parametrize("announced", [None, 10])
async def test_a_length_over_the_limit_ends_the_download_before_its_body(
    number: Connection, shelf: Shelf, announced: int | None
) -> None:
    shelf.sends = 64 * MIB
    media = await announce(number, shelf, announced_bytes=announced)
    assert (await refused_for_size(media))["size_bytes"] == 64 * MIB
    assert shelf.sent < shelf.sends


# ── during ──


@pytest.mark.parametrize("announced", [None, 10])
async def test_a_body_without_a_length_is_counted_and_broken_off(
    number: Connection, shelf: Shelf, announced: int | None
) -> None:
    shelf.sends, shelf.is_chunked = 1024 * MIB, True
    media = await announce(number, shelf, announced_bytes=announced, resolved_bytes=announced)
    assert (await refused_for_size(media))["limit_bytes"] == LIMIT
    await asyncio.wait_for(shelf.left.wait(), 30)
    assert shelf.sent < shelf.sends


@pytest.mark.parametrize("is_chunked", [True, False])
@pytest.mark.parametrize(("over", "state"), [(0, "preparing"), (1, "lost")])
async def test_the_limit_is_exact(
    number: Connection, shelf: Shelf, is_chunked: bool, over: int, state: str
) -> None:
    shelf.sends, shelf.is_chunked = LIMIT + over, is_chunked
    assert (await captured(await announce(number, shelf))).state == state


# ── after ──


def test_what_came_is_measured_whatever_was_said(settings: Any) -> None:
    settings.ACERVO_MAX_FILE_BYTES = LIMIT
    expected = _Expected(frozenset(), frozenset(), frozenset())
    digest = hashlib.sha256(b"").hexdigest()
    expected.verify(LIMIT, digest)
    with pytest.raises(TooLarge):
        expected.verify(LIMIT + 1, digest)


# ── whose limit ──


async def test_each_kind_of_a_workspace_has_its_own_limit(number: Connection, shelf: Shelf) -> None:
    await SizeLimit.objects.acreate(
        workspace=number.workspace, kind="video", max_bytes=1000, changed_by="test"
    )
    shelf.sends = 1001
    film = await captured(await announce(number, shelf, kind="video"))
    note = await captured(await announce(number, shelf, kind="voice"))
    assert (film.refusal, note.refusal, note.size_bytes) == ("too_large", None, 1001)


@pytest.mark.parametrize(
    ("kind_limit", "is_lifted", "told", "permitted"),
    [
        (None, False, (), LIMIT),
        (10, False, (5000,), 10),
        (LIMIT * 9, False, (), LIMIT),  # the installation's holds above all
        (10, True, (), limits.CEILING_BYTES),
        (10, True, (50,), LIMIT),
        (10, True, (50, LIMIT * 3), LIMIT * 3),
        (10, True, (limits.CEILING_BYTES * 4,), limits.CEILING_BYTES),
    ],
)
def test_the_limit_of_one_download(
    settings: Any, kind_limit: int | None, is_lifted: bool, told: tuple[int, ...], permitted: int
) -> None:
    settings.ACERVO_MAX_FILE_BYTES = LIMIT
    assert limits.permitted_bytes(kind_limit, is_lifted=is_lifted, told=told) == permitted


# ── by hand ──


async def test_a_file_over_the_limit_is_fetched_by_hand_and_that_is_written_down(
    number: Connection, shelf: Shelf
) -> None:
    shelf.sends = LIMIT * 3
    media = await announce(number, shelf, announced_bytes=LIMIT * 3)
    await refused_for_size(media)
    await sync_to_async(journey.fetch_by_hand)(media, "member:x", "needed in court")
    assert (await captured(media)).size_bytes == LIMIT * 3
    entry = await AuditEntry.objects.aget(action="file.limit_lifted", subject_id=media.pk)
    assert (entry.by, entry.reason) == ("member:x", "needed in court")


async def test_a_lifted_limit_is_no_licence_to_lie_about_the_size(number: Connection, shelf: Shelf) -> None:
    shelf.sends, shelf.is_chunked = 1024 * MIB, True
    media = await announce(number, shelf, announced_bytes=LIMIT * 2)
    await refused_for_size(media)
    await sync_to_async(journey.fetch_by_hand)(media, "member:x", "needed")
    assert (await refused_for_size(media))["limit_bytes"] == LIMIT * 2
    assert shelf.sent < shelf.sends


@pytest.mark.parametrize(
    "facts",
    [
        {"fetch_before": clock.now() - timedelta(seconds=1)},
        {"announced_bytes": limits.CEILING_BYTES + 1},
        {"refusal": "expired"},
        {"gone_at": None, "refusal": None, "refused_at": None},
    ],
    ids=["the provider no longer has it", "beyond all limits", "lost for another reason", "not lost"],
)
def test_a_limit_that_cannot_be_lifted_says_so_and_changes_nothing(
    connection: Connection, facts: dict[str, Any]
) -> None:
    now = clock.now()
    media = make_file(connection, **{"refusal": "too_large", "refused_at": now, "gone_at": now, **facts})
    with pytest.raises(limits.LimitStands):
        journey.fetch_by_hand(media, "member:x", "needed")
    media.refresh_from_db()
    assert media.limit_lifted_at is None
    assert not AuditEntry.objects.exists()
    assert issubclass(limits.LimitStands, Refused)


# ── raised ──


def test_a_raised_limit_makes_due_again_what_it_lets_through(
    connection: Connection, other_workspace: Workspace
) -> None:
    now = clock.now()

    def refused(connection: Connection = connection, **facts: Any) -> MediaFile:
        return make_file(
            connection,
            **{"kind": "video", "refusal": "too_large", "refused_at": now, "gone_at": now, **facts},
        )

    SizeLimit.objects.create(workspace=connection.workspace, kind="video", max_bytes=2000, changed_by="test")
    again = [refused(announced_bytes=2000), refused(announced_bytes=None)]
    elsewhere = make_connection(other_workspace, "meta_cloud", account_id="2")
    lost = [
        refused(announced_bytes=2001),
        refused(announced_bytes=10, fetch_before=now),
        refused(announced_bytes=10, refusal="expired"),
        refused(elsewhere, announced_bytes=10),
    ]
    assert journey.limits_changed(connection.workspace_id) == 2
    for media in [*again, *lost]:
        media.refresh_from_db()
    assert {media.gone_at for media in again} == {None}
    assert all(media.gone_at for media in lost)


# ── what each voice called it ──


async def test_announced_looked_up_and_served_types_are_kept_apart(number: Connection, shelf: Shelf) -> None:
    shelf.sends, shelf.mime = 10, "application/octet-stream; x=1"
    media = await announce(
        number, shelf, announced_mime="audio/ogg", resolved_mime="au\x00dio/amr" + "x" * 500
    )
    await captured(media)
    assert (media.announced_mime, media.served_mime) == ("audio/ogg", "application/octet-stream; x=1")
    assert media.resolved_mime is not None
    assert media.resolved_mime.startswith("audio/amrx")
    assert len(media.resolved_mime) == 160


@pytest.mark.parametrize("sealing", Sealing.values)
@pytest.mark.parametrize("scanner", [None, "unix:/nowhere/clamd"])
async def test_what_is_kept_is_held_exactly_where_a_scanner_is_set(
    number: Connection, shelf: Shelf, settings: Any, sealing: str, scanner: str | None
) -> None:
    settings.ACERVO_CLAMD = scanner
    await Workspace.objects.aupdate(sealing=sealing)
    shelf.sends = 10
    media = await captured(await announce(number, shelf))
    assert media.sealing == sealing
    assert (media.held_at is not None) is (scanner is not None)
    assert media.is_openable is (scanner is None)
