"""The CRM account behind a connection: opened, and given our fields before anything is written to it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final
from uuid import UUID

import httpx
from django.db import transaction

from acervo.base import clock
from acervo.base.database import in_thread
from acervo.crms.contract import Connector, CrmError, CrmErrorKind, SchemaReport, Told, untold
from acervo.deliver import outbox, records, refusals
from acervo.models import AuditEntry, Connection, Deed

log = logging.getLogger(__name__)

PAUSED_S: Final = 3600.0

OpenConnector = Callable[[Connection, httpx.AsyncClient], Connector]


async def prepare(
    connection: Connection, http: httpx.AsyncClient, open_connector: OpenConnector
) -> Connector:
    """A connector whose account has our fields: made when first needed, and remembered. Raises CrmError."""
    if "schema_at" not in connection.options:
        await make_fields(connection, http, open_connector)
    return open_connector(connection, http)


async def make_fields(
    connection: Connection, http: httpx.AsyncClient, open_connector: OpenConnector, told: Told = untold
) -> SchemaReport:
    """What is missing there, made and remembered. Raises CrmError."""
    language = connection.workspace.language  # of the labels; whoever connected may have said another
    connection.options = {"language": language, **connection.options}
    try:
        report = await open_connector(connection, http).ensure_schema(told=told)
    except CrmError as error:
        if error.kind is not CrmErrorKind.UNSUPPORTED:  # a CRM without fields, such as a webhook
            raise
        report = SchemaReport()
    await in_thread(remember_fields, connection, report)
    return report


async def reach(connection_id: UUID, http: httpx.AsyncClient, open_connector: OpenConnector) -> Connector:
    """The same, by the id of the connection."""
    return await prepare(await find(connection_id), http, open_connector)


async def reach_to_remove(
    connection: Connection, http: httpx.AsyncClient, open_connector: OpenConnector
) -> Connector:
    """For what is to leave the account. Raises CrmError: for good where it is removed, for later where it is paused."""
    if connection.removed_at:
        raise CrmError(CrmErrorKind.FORBIDDEN)
    if connection.paused_at:
        raise CrmError(CrmErrorKind.UNAVAILABLE, retry_after_s=PAUSED_S)
    return await reach(connection.pk, http, open_connector)


async def find(connection_id: UUID) -> Connection:
    return await in_thread(_find, connection_id)


def _find(connection_id: UUID) -> Connection:
    return Connection.objects.crms().select_related("workspace").get(pk=connection_id)


async def refuse(connection: Connection, error: CrmError) -> None:
    """The account as a whole refused, before any file was tried."""
    await in_thread(_refuse, connection, error)
    log.warning("crm.account_refused", extra={"connection": str(connection.pk), "kind": str(error.kind)})


def _refuse(connection: Connection, error: CrmError) -> None:
    with transaction.atomic():
        row = outbox.lock_connection(connection.pk)
        deeds = refusals.refuse_connection(row, error, clock.now(), by=records.BY)
        AuditEntry.objects.record(row.workspace_id, records.BY, deeds)


def remember_fields(connection: Connection, report: SchemaReport) -> None:
    """They are there: files can go."""
    with transaction.atomic():
        row = outbox.lock_connection(connection.pk)
        row.remember(
            **{
                "language": connection.options.get("language", connection.workspace.language),
                **report.options,
                "schema_at": clock.now().isoformat(),
            }
        )
        details = {
            "created": len(report.created),
            "existing": len(report.existing),
            "conflicts": list(report.conflicts),
        }
        deed = Deed("connection.fields_ensured", "connection", row.pk, "", details)
        AuditEntry.objects.record(row.workspace_id, records.BY, [deed])
    connection.options = row.options
