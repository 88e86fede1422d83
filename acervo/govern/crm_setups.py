"""A CRM set up step by step: connected and held, looked at, given our fields once somebody says so, then let go."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final
from uuid import UUID

from asgiref.sync import async_to_sync
from django.conf import settings
from django.db import transaction

from acervo import crms
from acervo.base import clock
from acervo.base.database import in_thread
from acervo.base.errors import Refused
from acervo.base.http import crm_client
from acervo.crms.contract import CrmError, CrmErrorKind, SchemaReport
from acervo.deliver import account, backfill, outbox
from acervo.deliver.backfill import BackfillRuns, NothingToBackfill
from acervo.govern import connections, crm_access
from acervo.govern.connections import BEING_SET_UP
from acervo.keep import credentials
from acervo.models import Connection, CrmSetup, MediaFile, Workspace
from acervo.organise import address

TRIES: Final = 5
LONGEST_WAIT_S: Final = 30.0
MAKING_PATIENCE_S: Final = 180.0
QUESTION_S: Final = 30.0


class FieldsMissing(Refused):
    """Our fields are not in the CRM yet."""

    code = "fields_missing"


def begin(workspace: Workspace, known: crm_access.Known, *, name: str, language: str, by: str) -> Connection:
    """Connected, and held until it is set up: nothing is written there unasked. Raises AlreadyConnected."""
    with transaction.atomic():
        connection = crm_access.connect(workspace, known, name=name, by=by, options={"language": language})
        CrmSetup.objects.create(connection=connection, begun_by=by)
        connections.pause(connection, by, BEING_SET_UP)
    return connection


def of(connection: Connection, by: str) -> CrmSetup:
    """A CRM connected by a command has none until somebody looks at its fields."""
    made = connection.options.get("schema_at") is not None
    facts: dict[str, Any] = {"begun_by": by}
    if made:
        facts |= {"finished_at": clock.now(), "finished_by": by}
    return CrmSetup.objects.get_or_create(connection=connection, defaults=facts)[0]


def look(connection: Connection, by: str) -> CrmSetup:
    """What there is and what would be made. Nothing is made; a refusal is written down."""
    row = of(connection, by)
    try:
        if is_fieldless(connection.kind):
            report = _without_fields(connection)
        else:
            report = async_to_sync(_looked)(connection)
    except CrmError as error:
        _note(row, error)
    else:
        _keep(row, report, looked_at=clock.now(), refusal=None, refusal_code="", refused_at=None)
    row.refresh_from_db()
    return row


def is_fieldless(kind: str) -> bool:
    """A system of one's own has no fields to be made: nobody has to say that they may be."""
    return getattr(crms.get(kind), "is_fieldless", False)


def _without_fields(connection: Connection) -> SchemaReport:
    report = SchemaReport()
    if "schema_at" not in connection.options:
        account.remember_fields(connection, report)
    return report


async def _looked(connection: Connection) -> SchemaReport:
    async with crm_access.waited_for() as http:
        connector = await in_thread(credentials.connector, connection, http)
        return await connector.ensure_schema(dry_run=True)


def ask(connection: Connection, by: str) -> None:
    """Somebody saw what would be made and says that it may be. Whoever calls starts the job."""
    row = of(connection, by)
    if row.is_making:
        return
    with transaction.atomic():
        CrmSetup.objects.filter(pk=row.pk).update(
            asked_at=clock.now(),
            asked_by=by,
            made=[],
            made_at=None,
            refusal=None,
            refusal_code="",
            refused_at=None,
        )
        connections.record(
            connection,
            "connection.fields_asked",
            by,
            details={"fields": len(row.report.get("created", ()))},
        )


async def make(connection_id: UUID) -> None:
    """As asked: field by field, each told as it is there. What the CRM is still busy with is asked for again."""
    connection = await account.find(connection_id)
    row = await in_thread(CrmSetup.objects.get, pk=connection_id)
    if not row.is_making:
        return

    async def told(name: str) -> None:
        await in_thread(_tell, connection_id, name)

    try:
        async with asyncio.timeout(MAKING_PATIENCE_S):
            report = await _made(connection, told)
    except TimeoutError:
        await in_thread(_note, row, CrmError(CrmErrorKind.UNAVAILABLE))
    except CrmError as error:
        await in_thread(_note, row, error)
    else:
        await in_thread(_keep, row, report, made_at=clock.now(), looked_at=clock.now())


async def _made(connection: Connection, told: Any) -> SchemaReport:
    async with crm_client(settings.ACERVO_ALLOW_PRIVATE_HOSTS, timeout_s=QUESTION_S) as http:
        for attempt in range(1, TRIES + 1):
            try:
                return await account.make_fields(connection, http, credentials.connector, told)
            except CrmError as error:
                if not error.is_retryable or attempt == TRIES:
                    raise
                await asyncio.sleep(min(error.retry_after_s or 2.0 * attempt, LONGEST_WAIT_S))
    raise AssertionError("the last try answers or raises")


def start(connection: Connection, *, days: int, by: str) -> MediaFile | None:
    """From now on files go there: the newest one first, to see it arrive, then those of the last `days`. Raises
    FieldsMissing. Whoever calls starts the deliveries."""
    row = of(connection, by)
    if "schema_at" not in connection.options:
        raise FieldsMissing()
    with transaction.atomic():
        connections.resume(connection, by)
        CrmSetup.objects.filter(pk=row.pk, finished_at=None).update(finished_at=clock.now(), finished_by=by)
        connections.record(connection, "connection.set_up", by, details={"days": days})
    first = outbox.newest_file(connection, address.found_in)
    if first is not None:
        outbox.promise_to(connection, first, by=by, chosen_by=address.found_in)
    if days:
        with contextlib.suppress(NothingToBackfill, BackfillRuns):
            backfill.ask(connection, query=address.since(days=days), by=by, chosen_by=address.found_in)
    return first


def _tell(connection_id: UUID, name: str) -> None:
    with transaction.atomic():
        row = CrmSetup.objects.select_for_update().get(pk=connection_id)
        row.made = [*row.made, name]
        row.save(update_fields=["made"])


def _note(row: CrmSetup, error: CrmError) -> None:
    CrmSetup.objects.filter(pk=row.pk).update(
        refusal=str(error.kind), refusal_code=(error.vendor_code or "")[:64], refused_at=clock.now()
    )


def _keep(row: CrmSetup, report: SchemaReport, **facts: Any) -> None:
    told = {
        "created": list(report.created),
        "existing": list(report.existing),
        "conflicts": list(report.conflicts),
        "model": report.options.get("model", "object"),
    }
    CrmSetup.objects.filter(pk=row.pk).update(report=told, **facts)
