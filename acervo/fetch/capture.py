"""The capture loop: many downloads side by side, their results committed together as they come."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from uuid import UUID

import aiohttp
from django.conf import settings
from django.db import Error, InterfaceError, OperationalError, transaction

from acervo.base import ids
from acervo.base.database import in_thread
from acervo.base.errors import AcervoError
from acervo.base.http import media_session
from acervo.fetch import allowance, breaker, claims
from acervo.fetch.claims import Claim, Failed, Kept, Settled
from acervo.fetch.download import Line, download
from acervo.keep import credentials, keys, vault
from acervo.models import Connection, Sealing
from acervo.providers.contract import Provider, Usage

log = logging.getLogger(__name__)

GATHER_S = 0.02
"""After a first result, others that arrive within this time share its commit."""
LOOK_AGAIN_S = 0.5
"""So long a free place may stay empty while other downloads go on: one that drips must not keep anybody waiting."""

OnKept = Callable[[list[UUID]], None]
"""Called inside the transaction that commits the files: what comes next in their journey."""


@dataclass(slots=True)
class _Means:
    """What it takes to fetch a handful of claims: adapters by connection, data keys by person. A connection or a
    workspace that cannot be opened is its own files' trouble, and nobody else's."""

    providers: dict[UUID, Provider] = field(default_factory=dict)
    keys: dict[UUID, keys.OpenKey] = field(default_factory=dict)
    troubles: dict[UUID, Exception] = field(default_factory=dict)

    def trouble_of(self, claim: Claim) -> Exception | None:
        return self.troubles.get(claim.connection_id) or self.troubles.get(claim.workspace_id)


@dataclass(slots=True)
class _Work:
    """What is in hand right now."""

    session: aiohttp.ClientSession
    in_hand: set[UUID]
    limit: int
    providers: dict[UUID, Provider] = field(default_factory=dict)
    usage: dict[UUID, Usage] = field(default_factory=dict)
    """As told since the last results were written down: what was told before holds no more."""
    tasks: dict[asyncio.Task[Kept | Failed], Claim] = field(default_factory=dict)
    looked_at: float = 0.0

    @property
    def room(self) -> int:
        return self.limit - len(self.tasks)

    def is_worth_looking(self) -> bool:
        """Free places are filled many at a time: a claim costs a transaction."""
        waited_s = time.monotonic() - self.looked_at
        return self.room >= self.limit // 2 or (self.room > 0 and waited_s >= LOOK_AGAIN_S)


_bell: asyncio.Event | None = None


async def capture(on_kept: OnKept) -> None:
    """Capture every file that is due, by one loop in this process: who calls while it runs makes it look again.
    (Several loops would settle in smaller batches and wait for each other's locks.)"""
    global _bell
    if _bell is not None:
        _bell.set()
        return
    bell = _bell = asyncio.Event()
    bell.set()
    try:
        while bell.is_set():  # it may ring once more while the last round tidies up
            await capture_due(on_kept, bell=bell)
    finally:
        _bell = None


async def capture_due(
    on_kept: OnKept, *, concurrency: int | None = None, bell: asyncio.Event | None = None
) -> int:
    """Capture every file that is due, until none is; returns how many were kept. Any number may run at once,
    in any number of processes. Cancelled, it lets go of its claims by their lease. `bell` makes it look again."""
    limit = concurrency or settings.ACERVO_CAPTURE_CONCURRENCY
    bell = bell or asyncio.Event()
    kept = 0
    async with (
        media_session(settings.ACERVO_ALLOW_PRIVATE_HOSTS, limit=limit) as session,
        _renewing() as in_hand,
    ):
        work = _Work(session, in_hand, limit)
        try:
            await _take(work, bell)
            while work.tasks:
                results = await _results(work, bell)
                kept += await _settle_and_take(work, results, bell, on_kept)
        finally:
            await _let_go(work)
    return kept


async def _settle_and_take(
    work: _Work, results: list[Kept | Failed], bell: asyncio.Event, on_kept: OnKept
) -> int:
    """Write down what is done while the free places are filled."""
    try:
        async with asyncio.TaskGroup() as both:
            settling = both.create_task(_write_down(work, results, on_kept))
            if bell.is_set() or work.is_worth_looking():
                both.create_task(_take(work, bell))
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from failed
    return settling.result()


async def _write_down(work: _Work, results: list[Kept | Failed], on_kept: OnKept) -> int:
    if not results:
        return 0
    usage, work.usage = work.usage, {}
    settled = await in_thread(_settle, results, dict(work.providers), usage, on_kept)
    try:
        await vault.discard([surplus.object_key for surplus in settled.surplus])
    except AcervoError as error:  # the sweeper will find them
        log.warning("capture.surplus_left", extra={"objects": len(settled.surplus), "reason": error.code})
    return len(settled.kept)


async def _take(work: _Work, bell: asyncio.Event) -> None:
    """Fill the free places. Looks again when the bell rang meanwhile: what it rang for may have come too late."""
    while True:
        bell.clear()
        work.looked_at = time.monotonic()
        taken, means = await in_thread(_claim, work.room)
        work.providers |= means.providers
        work.in_hand.update(claim.id for claim in taken)
        for claim in taken:
            work.tasks[asyncio.create_task(_one(work, claim, means))] = claim
        if work.tasks or not bell.is_set():
            return


async def _results(work: _Work, bell: asyncio.Event) -> list[Kept | Failed]:
    """What has ended; nothing when it is only time to look for more."""
    ringing = asyncio.create_task(bell.wait())
    done, _ = await asyncio.wait(
        {ringing, *work.tasks}, return_when=asyncio.FIRST_COMPLETED, timeout=LOOK_AGAIN_S
    )
    ringing.cancel()
    if not done - {ringing}:
        return []
    ended, _ = await asyncio.wait(work.tasks, timeout=GATHER_S)
    for task in ended:
        work.in_hand.discard(work.tasks.pop(task).id)
    return [task.result() for task in ended]


async def _let_go(work: _Work) -> None:
    """Downloads nobody waits for any more end now; their claims come free by their lease."""
    for task in work.tasks:
        task.cancel()
    await asyncio.gather(*work.tasks, return_exceptions=True)


async def _one(work: _Work, claim: Claim, means: _Means) -> Kept | Failed:
    if trouble := means.trouble_of(claim):
        return Failed(claim, trouble)
    line = Line(means.providers[claim.connection_id], work.session)
    key = means.keys.get(claim.person_id)
    place = vault.Place(claim.workspace_id, claim.id, vault.ORIGINAL, claim.sealing, key)
    try:
        got = await download(line, claim, place)
    except (
        Exception
    ) as error:  # one file must not take its neighbours down; our faults are told from theirs below
        if isinstance(error, AcervoError):
            log.info("file.not_kept", extra={"media": claims.slug(claim), "reason": str(error.code)})
        else:
            log.exception("capture.fault", extra={"media": claims.slug(claim)})
        return Failed(claim, error)
    finally:
        if line.usage is not None:
            work.usage[claim.connection_id] = line.usage
    return Kept(claim, got.stored, got.resolved_mime, got.served_mime, got.served_name)


def _claim(room: int) -> tuple[list[Claim], _Means]:
    """Adapters are made anew each time: a loop may run for days, and must notice a new token."""
    taken, means = allowance.claim(room), _Means()
    people: dict[UUID, set[UUID]] = {}
    for claim in taken:
        if claim.sealing == Sealing.ACERVO:
            people.setdefault(claim.workspace_id, set()).add(claim.person_id)
    for workspace_id, persons in people.items():
        with _trouble_of(means, workspace_id):
            means.keys |= keys.for_people(workspace_id, persons)
    for row in Connection.objects.filter(pk__in={claim.connection_id for claim in taken}):
        with _trouble_of(means, row.pk):
            means.providers[row.pk] = credentials.provider(row)
    return taken, means


@contextmanager
def _trouble_of(means: _Means, whose: UUID) -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError):
        raise  # the database is away: nobody's trouble in particular
    except Exception as error:
        log.exception("capture.cannot_open", extra={"whose": ids.text(whose)})
        means.troubles[whose] = error


def _settle(
    results: Sequence[Kept | Failed],
    providers: dict[UUID, Provider],
    usage: dict[UUID, Usage],
    on_kept: OnKept,
) -> Settled:
    with transaction.atomic():
        breaker.note(results, providers, usage)
        settled = claims.settle(results)
        if settled.kept:
            on_kept(settled.kept)
    return settled


@asynccontextmanager
async def _renewing() -> AsyncIterator[set[UUID]]:
    """The set of files in hand, whose claims are renewed for as long as they are in it."""
    in_hand: set[UUID] = set()

    async def renew_forever() -> None:
        while True:
            await asyncio.sleep(claims.LEASE_S / 3)
            try:
                await in_thread(claims.renew, sorted(in_hand))
            except Error as error:  # the next turn comes before the lease ends
                log.warning("capture.claims_not_renewed", extra={"reason": type(error).__name__})

    renewal = asyncio.create_task(renew_forever())
    try:
        yield in_hand
    finally:
        renewal.cancel()
        await asyncio.gather(renewal, return_exceptions=True)
