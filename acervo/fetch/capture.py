"""The capture loop: many downloads side by side, their results committed together as they come."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

import aiohttp
from django.conf import settings
from django.db import transaction

from acervo.base.database import in_thread
from acervo.base.http import media_session
from acervo.fetch import breaker, claims
from acervo.fetch.claims import Claim, Failed, Kept, Settled
from acervo.fetch.download import Line, download
from acervo.keep import credentials, keys, vault
from acervo.models import Connection, Sealing
from acervo.providers.contract import Provider, Usage

log = logging.getLogger(__name__)

GATHER_S = 0.02
"""After a first result, others that arrive within this time share its commit."""

OnKept = Callable[[list[UUID]], None]
"""Called inside the transaction that commits the files: what comes next in their journey."""


@dataclass(slots=True)
class _Work:
    """What is in hand right now."""

    session: aiohttp.ClientSession
    providers: dict[UUID, Provider] = field(default_factory=dict)
    usage: dict[UUID, Usage] = field(default_factory=dict)
    tasks: dict[asyncio.Task[Kept | Failed], Claim] = field(default_factory=dict)


async def capture_due(on_kept: OnKept, *, concurrency: int | None = None) -> int:
    """Capture every file that is due, until none is; returns how many were kept. Any number may run at once,
    in any number of processes. Cancelled, it lets go of its claims by their lease."""
    limit = concurrency or settings.ACERVO_CAPTURE_CONCURRENCY
    kept = 0
    async with (
        media_session(settings.ACERVO_ALLOW_PRIVATE_HOSTS, limit=limit) as session,
        _renewing() as in_hand,
    ):
        work = _Work(session)
        while True:
            await _take(work, limit, in_hand)
            if not work.tasks:
                return kept
            results = await _results(work, in_hand)
            settled = await in_thread(_settle, results, dict(work.providers), dict(work.usage), on_kept)
            await vault.discard([surplus.object_key for surplus in settled.surplus])
            kept += len(settled.kept)


async def _take(work: _Work, limit: int, in_hand: set[UUID]) -> None:
    """Fill the free places, but not one by one: a claim costs a transaction."""
    room = limit - len(work.tasks)
    if work.tasks and room < limit // 2:
        return
    taken, opened, providers = await in_thread(_claim, room, frozenset(work.providers))
    work.providers |= providers
    in_hand.update(claim.id for claim in taken)
    for claim in taken:
        task = asyncio.create_task(_one(work, claim, opened.get(claim.person_id)))
        work.tasks[task] = claim


async def _results(work: _Work, in_hand: set[UUID]) -> list[Kept | Failed]:
    done, pending = await asyncio.wait(work.tasks, return_when=asyncio.FIRST_COMPLETED)
    if pending:
        more, _ = await asyncio.wait(pending, timeout=GATHER_S)
        done |= more
    for task in done:
        in_hand.discard(work.tasks.pop(task).id)
    return [task.result() for task in done]


async def _one(work: _Work, claim: Claim, key: keys.OpenKey | None) -> Kept | Failed:
    line = Line(work.providers[claim.connection_id], work.session)
    place = vault.Place(claim.workspace_id, claim.id, vault.ORIGINAL, claim.sealing, key)
    try:
        stored = await download(line, claim, place)
    except (
        Exception
    ) as error:  # one file must not take its neighbours down; our faults are told from theirs below
        if not hasattr(error, "code"):
            log.exception("capture.fault", extra={"media": claims.slug(claim)})
        else:
            log.info("file.not_kept", extra={"media": claims.slug(claim), "reason": str(error.code)})
        return Failed(claim, error)
    finally:
        if line.usage is not None:
            work.usage[claim.connection_id] = line.usage
    return Kept(claim, stored)


def _claim(
    room: int, known: frozenset[UUID]
) -> tuple[list[Claim], dict[UUID, keys.OpenKey], dict[UUID, Provider]]:
    taken = claims.claim(room)
    people: dict[UUID, set[UUID]] = {}
    for claim in taken:
        if claim.sealing == Sealing.ACERVO:
            people.setdefault(claim.workspace_id, set()).add(claim.person_id)
    opened: dict[UUID, keys.OpenKey] = {}
    for workspace_id, persons in people.items():
        opened |= keys.for_people(workspace_id, persons)
    fresh = {claim.connection_id for claim in taken} - known
    providers = {row.pk: credentials.provider(row) for row in Connection.objects.filter(pk__in=fresh)}
    return taken, opened, providers


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
            if in_hand:
                await in_thread(claims.renew, sorted(in_hand))

    renewal = asyncio.create_task(renew_forever())
    try:
        yield in_hand
    finally:
        renewal.cancel()
        await asyncio.gather(renewal, return_exceptions=True)
