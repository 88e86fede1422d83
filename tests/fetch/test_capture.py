"""The capture loop goes on whatever happens to one number, one claim or one moment of the database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError, transaction

from acervo.base import clock
from acervo.base.database import in_thread
from acervo.base.errors import AcervoError
from acervo.base.http import ForbiddenAddress
from acervo.fetch import breaker, capture, claims
from acervo.fetch import download as downloading
from acervo.fetch.claims import Claim, Failed, Kept
from acervo.fetch.download import Downloaded, Line, TooLarge
from acervo.govern import connections
from acervo.keep import vault
from acervo.models import Connection, MediaFile, Workspace
from acervo.providers.contract import Outcome, ProviderBusy, Usage
from tests.conftest import make_connection, make_file

pytestmark = pytest.mark.django_db(transaction=True)
Download = Callable[[Line, Claim, vault.Place], Awaitable[Downloaded]]


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch) -> Callable[[Download], None]:
    return lambda instead: monkeypatch.setattr(capture, "download", instead)


async def at_once(line: Line, claim: Claim, place: vault.Place) -> Downloaded:
    return Downloaded(await vault.store(place, b"a note"))


async def capture_due() -> int:
    return await capture.capture_due(lambda files: None, concurrency=4)


async def test_a_number_whose_secrets_do_not_open_stops_no_other(
    workspace: Workspace, connection: Connection, downloads: Any
) -> None:
    downloads(at_once)
    other = await sync_to_async(make_connection)(workspace, "meta_cloud", account_id="2")
    stuck = await sync_to_async(make_file)(other, fetch_before=clock.now() + timedelta(hours=1))
    well = await sync_to_async(make_file)(connection)
    await Connection.objects.filter(pk=other.pk).aupdate(sealed_secrets=b"of another key")
    assert await capture_due() == 1
    await well.arefresh_from_db()
    await stuck.arefresh_from_db()
    assert well.stored_at
    assert (stuck.refusal, stuck.gone_at) == ("sealed_elsewhere", None)
    assert stuck.due_at > clock.now()


async def test_a_running_loop_notices_a_new_token(connection: Connection, downloads: Any) -> None:
    seen: list[str] = []

    async def reconnects(line: Line, claim: Claim, place: vault.Place) -> Downloaded:
        seen.append(line.provider._credentials.secrets["token"])  # type: ignore[attr-defined]
        await in_thread(connections.reconnect, connection, {"token": f"token-{len(seen)}"}, "test")
        return Downloaded(await vault.store(place, b"a note"))

    downloads(reconnects)
    for _ in range(2):
        await sync_to_async(make_file)(connection)
    assert await capture.capture_due(lambda files: None, concurrency=1) == 2
    assert seen == ["t0k3n", "token-1"]


async def test_claims_are_renewed_again_after_the_database_failed_once(
    connection: Connection, downloads: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewed = asyncio.Event()
    loop, renew, calls = asyncio.get_running_loop(), claims.renew, []

    def fails_first(pks: Any) -> None:
        calls.append(pks)
        if len(calls) == 1:
            raise OperationalError("away")
        renew(pks)
        loop.call_soon_threadsafe(renewed.set)

    async def until_renewed(line: Line, claim: Claim, place: vault.Place) -> Downloaded:
        await asyncio.wait_for(renewed.wait(), 10)
        return Downloaded(await vault.store(place, b"a note"))

    monkeypatch.setattr(claims, "LEASE_S", 0.3)
    monkeypatch.setattr(claims, "renew", fails_first)
    downloads(until_renewed)
    await sync_to_async(make_file)(connection)
    assert await capture_due() == 1


async def test_downloads_end_with_the_loop_that_waited_for_them(
    connection: Connection, downloads: Any
) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def endless(line: Line, claim: Claim, place: vault.Place) -> Downloaded:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    downloads(endless)
    await sync_to_async(make_file)(connection)
    loop = asyncio.create_task(capture_due())
    await asyncio.wait_for(begun.wait(), 10)
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)
    assert ended.is_set()


async def test_a_provider_host_that_leads_inside_is_the_networks_trouble_and_costs_no_file(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def inside(line: Line, claim: Claim, place: vault.Place) -> Downloaded:
        raise ForbiddenAddress

    monkeypatch.setattr(downloading, "_download", inside)
    media = await sync_to_async(make_file)(connection)
    assert await capture_due() == 0
    await media.arefresh_from_db()
    assert (media.refusal, media.gone_at) == ("forbidden_host", None)


def note(connection: Connection, *errors: AcervoError | None, usage: Usage | None = None) -> float:
    """Seconds the number rests after these results; None is a success."""
    make_file(connection)
    (claim,) = claims.claim(1)
    stored = vault.Stored("ws/x/y", 1, 1, "0" * 64, "storage", None, None)
    results = [Failed(claim, error) if error else Kept(claim, stored) for error in errors]
    with transaction.atomic():
        breaker.note(results, {}, {connection.pk: usage} if usage else {})
    MediaFile.objects.update(due_at=clock.now() + timedelta(days=1))
    connection.refresh_from_db()
    until = connection.breaker_open_until
    return max((until - clock.now()).total_seconds(), 0.0) if until else 0.0


def test_a_number_told_to_wait_rests_as_a_whole_and_no_late_success_ends_it(connection: Connection) -> None:
    limited = ProviderBusy(after_s=300, code=Outcome.RATE_LIMITED)
    assert 290 < note(connection, limited, None) <= 300
    Connection.objects.filter(pk=connection.pk).update(
        breaker_open_until=clock.now() + timedelta(seconds=200)
    )
    stored = vault.Stored("ws/x/y", 1, 1, "0" * 64, "storage", None, None)
    claim = Claim(
        connection.pk, connection.workspace_id, connection.pk, connection.pk, None, clock.now(), 0, 0, ""
    )  # type: ignore[arg-type]
    with transaction.atomic():
        breaker.note([Kept(claim, stored)], {}, {})
    connection.refresh_from_db()
    assert connection.breaker_open_until
    assert connection.breaker_open_until > clock.now()


def test_a_rest_never_outlasts_the_shortest_lives_of_files(connection: Connection) -> None:
    day = ProviderBusy(after_s=86_400, code=Outcome.RATE_LIMITED)
    assert note(connection, day) <= breaker.LONGEST_REST_S


def test_a_file_over_its_limit_says_nothing_about_the_number(connection: Connection) -> None:
    assert note(connection, *[TooLarge() for _ in range(breaker.STRAINED_AFTER * 2)]) == 0
    assert (connection.last_refusal, connection.failures) == (None, [])
    assert (
        note(connection, *[ProviderBusy(code=Outcome.TIMED_OUT) for _ in range(breaker.STRAINED_AFTER)]) > 0
    )


def test_a_number_with_a_budget_of_failures_spends_none_on_our_own_limits(connection: Connection) -> None:
    strict = SimpleNamespace(capabilities=SimpleNamespace(download_failures_per_hour=3))
    for error, rests in ((TooLarge(), False), (ProviderBusy(), True)):
        make_file(connection)
        (claim,) = claims.claim(1)
        with transaction.atomic():
            breaker.note([Failed(claim, error)] * 5, {connection.pk: strict}, {})  # type: ignore[dict-item]
        connection.refresh_from_db()
        assert (connection.breaker_open_until is not None) is rests
