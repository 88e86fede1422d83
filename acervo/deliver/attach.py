"""Keep promises: the file, as a link with its facts, on the customer's record in the CRM."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import asdict
from uuid import UUID

import httpx

from acervo.base import clock
from acervo.base.database import in_thread
from acervo.crms.contract import Connector, CrmError, CrmErrorKind, RecordRef, WriteResult
from acervo.deliver import account, associations, contacts, mapping, outbox, parcels
from acervo.deliver.account import OpenConnector
from acervo.deliver.mapping import ChosenBy
from acervo.deliver.parcels import Parcel, Party, Written
from acervo.deliver.refusals import PAUSES, RESTS, STUMBLES, Refusal, detached
from acervo.deliver.results import Outcome, write_down
from acervo.keep import credentials
from acervo.models import Connection

log = logging.getLogger(__name__)

HALTS = PAUSES | RESTS | STUMBLES


async def deliver(
    connection_id: UUID,
    *,
    http: httpx.AsyncClient,
    limit: int = outbox.BATCH,
    open_connector: OpenConnector = credentials.connector,
    chosen_by: ChosenBy | None = None,
) -> Outcome:
    """Keep up to `limit` due promises of one connection. May run any number of times, side by side. What cannot
    be kept says so on its row; nothing is raised for what the CRM answers. `chosen_by`: how the switches of the
    mapping find files; what they keep back is promised no more."""
    connection = await account.find(connection_id)
    if not outbox.is_open(connection, clock.now()):
        return Outcome()
    try:
        connector = await account.prepare(connection, http, open_connector)
    except CrmError as error:
        await account.refuse(connection, error)
        return Outcome(halted_by=str(error.kind))
    claimed, batch = await in_thread(_take, connection, limit, chosen_by)
    if not batch:
        return Outcome(claimed)
    halt = await _hand_over(connector, connection_id, batch)
    outcome = await in_thread(write_down, connection_id, batch, halt)
    log.info("deliver.batch", extra={"connection": str(connection_id), **asdict(outcome)})
    return outcome


def _take(connection: Connection, limit: int, chosen_by: ChosenBy | None) -> tuple[int, list[Parcel]]:
    """How many were claimed, and those of them that are to go."""
    claimed = outbox.claim(connection.pk, limit)
    if chosen_by is None:
        return len(claimed), parcels.load(claimed)
    media_ids = [row.media_id for row in claimed]
    unwanted = mapping.unwanted(connection.workspace_id, connection.pk, media_ids, chosen_by)
    outbox.release([row for row in claimed if row.media_id in unwanted])
    return len(claimed), parcels.load([row for row in claimed if row.media_id not in unwanted])


async def _hand_over(connector: Connector, connection_id: UUID, batch: list[Parcel]) -> CrmError | None:
    """Gives every parcel its verdict, or says what stopped us before."""
    for parcel in batch:
        if not parcel.is_news:
            parcel.verdict = Written(parcel.known_ref, parcel.payload_hash, is_unchanged=True)
    try:
        await _find_contacts(connector, connection_id, batch)
        await associations.by_rule(connector, connection_id, batch)
        await _write_files(connector, batch)
        await _relate(connector, batch)
    except CrmError as halt:
        return halt
    return None


async def _find_contacts(connector: Connector, connection_id: UUID, batch: list[Parcel]) -> None:
    parties: dict[UUID, Party] = {parcel.party.person_id: parcel.party for parcel in _open(batch)}
    if not parties:
        return
    settled = await contacts.settle(connector, connection_id, list(parties.values()))
    for parcel in _open(batch):
        parcel.verdict = settled.refusals.get(parcel.party.person_id)
        parcel.must_wait = parcel.party.person_id in settled.untried
    if settled.halt:
        raise settled.halt


async def _write_files(connector: Connector, batch: list[Parcel]) -> None:
    ours = await in_thread(outbox.prolong, [parcel.delivery for parcel in _open(batch)])
    ready = [parcel for parcel in _open(batch) if parcel.delivery.pk in ours]
    if not ready:
        return
    try:
        results = await connector.upsert_media([parcel.link for parcel in ready])
    except CrmError as error:
        _refuse(ready, error)
        raise
    answers = {result.media_id: result for result in results}
    for parcel in ready:
        _judge(parcel, answers.get(parcel.media.slug))
    refused = [result.error for result in results if result.error]
    for refusal in refused:
        # One file that went wrong is one file; when none went through, the next batch would not either.
        if refusal.kind in PAUSES | RESTS or (refusal.kind in STUMBLES and len(refused) == len(results)):
            raise refusal


def _judge(parcel: Parcel, answer: WriteResult | None) -> None:
    if answer is None:
        parcel.verdict = Refusal.of(
            CrmError(CrmErrorKind.UNKNOWN_OUTCOME, "the answer does not name this file")
        )
        return
    parcel.written_ref = answer.ref
    if answer.error is None:
        parcel.verdict = Written(answer.ref, parcel.payload_hash)
    elif answer.error.kind is CrmErrorKind.NOT_FOUND and (missing := _missing(parcel, answer)):
        parcel.verdict = detached(missing)
    else:
        parcel.verdict = Refusal.of(answer.error)


def _missing(parcel: Parcel, answer: WriteResult) -> RecordRef | None:
    """What a person removed: the contact, if the file's own record stands; else that record, if there was one."""
    return parcel.party.contact if answer.ref else parcel.known_ref or parcel.party.contact


async def _relate(connector: Connector, batch: list[Parcel]) -> None:
    """Deals, tickets… that people tied the file to."""
    for parcel in batch:
        verdict = parcel.verdict
        if not (isinstance(verdict, Written) and verdict.ref and parcel.related) or verdict.is_unchanged:
            continue
        try:
            await connector.link(verdict.ref, parcel.related)
        except CrmError as error:
            parcel.verdict = Refusal.of(error)
            if error.kind in HALTS:
                raise


def _open(batch: Collection[Parcel]) -> list[Parcel]:
    return [parcel for parcel in batch if parcel.verdict is None and not parcel.must_wait]


def _refuse(theirs: Collection[Parcel], error: CrmError) -> None:
    for parcel in theirs:
        parcel.verdict = Refusal.of(error)
