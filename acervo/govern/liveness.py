"""Is a connection alive? Its vendor is asked, by the clock or by a person, and what it says is written down."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from django.conf import settings
from django.db import transaction

from acervo.base import clock, ids
from acervo.base.database import alone, in_thread
from acervo.base.errors import AcervoError
from acervo.base.http import crm_client, media_session
from acervo.crms.contract import CrmError
from acervo.govern import registration
from acervo.keep import credentials
from acervo.models import AuditEntry, Connection, Deed, Purpose
from acervo.providers.contract import Outcome

log = logging.getLogger(__name__)

TIMEOUT_S: Final = 60.0
"""For all questions of one check: a vendor that hangs must not hold up the others."""
CRM_TIMEOUT_S: Final = 20.0
FRESH: Final = timedelta(seconds=5)
"""Whoever asks again within this reads the answer that just came."""
OK: Final = "ok"


@dataclass(frozen=True, slots=True)
class Condition:
    """What a vendor said of an account."""

    code: str
    facts: Mapping[str, Any] = field(default_factory=dict)


async def check(connection: Connection, by: str | None = None) -> Connection:
    """Ask now and keep the answer; one at a time for each connection: who comes second leaves with what the first one
    writes. `by` is the person who asked, for the audit trail; the clock is not noted. Never raises for an answer."""
    async with alone(f"check {ids.text(connection.pk)}") as is_alone:
        await in_thread(connection.refresh_from_db)
        if is_alone and not _is_fresh(connection):
            await in_thread(_keep, connection, await _ask(connection), by)
    return connection


def _is_fresh(connection: Connection) -> bool:
    return connection.checked_at is not None and connection.checked_at > clock.now() - FRESH


async def _ask(connection: Connection) -> Condition:
    ask = _ask_provider if connection.purpose == Purpose.PROVIDER else _ask_crm
    try:
        async with asyncio.timeout(TIMEOUT_S):
            return await ask(connection)
    except TimeoutError:
        return Condition(Outcome.TIMED_OUT)
    except AcervoError as error:  # sealed elsewhere, a forbidden address
        return Condition(error.code)
    except CrmError as error:
        return Condition(error.kind)


async def _ask_provider(connection: Connection) -> Condition:
    provider = await in_thread(credentials.provider, connection)
    async with media_session(settings.ACERVO_ALLOW_PRIVATE_HOSTS, limit=1) as session:
        health = await provider.check(session)
    if not health.is_alive:
        return Condition(health.code)
    return Condition(OK, {**health.facts, **await _address(connection)})


async def _address(connection: Connection) -> dict[str, str]:
    """Where the provider knocks: at our address, at another, or nowhere. Empty where it does not tell."""
    try:
        is_ours = await registration.is_registered(connection)
    except AcervoError:
        return {}
    return {"webhook": "ours" if is_ours else "elsewhere"}


async def _ask_crm(connection: Connection) -> Condition:
    async with crm_client(settings.ACERVO_ALLOW_PRIVATE_HOSTS, timeout_s=CRM_TIMEOUT_S) as http:
        connector = await in_thread(credentials.connector, connection, http)
        info = await connector.check()
    told = {name: fact for name, fact in info.facts.items() if fact is not None}
    usage = getattr(connector, "usage", None)  # not every CRM tells it
    return Condition(
        OK, {**told, "api_version": info.api_version, **({"usage": dict(usage)} if usage else {})}
    )


def _keep(connection: Connection, found: Condition, by: str | None) -> None:
    """The facts of a bad hour stay those of the last good one: when a token expires is true all the same."""
    connection.checked_at, connection.check_code = clock.now(), found.code[:32]
    if found.code == OK:
        connection.check_facts = dict(found.facts)
    else:
        log.warning("connection.not_well", extra={"connection": ids.text(connection.pk), "code": found.code})
    with transaction.atomic():
        connection.save(update_fields=["checked_at", "check_code", "check_facts"])
        if by is not None:
            deed = Deed(
                "connection.checked", "connection", connection.pk, found.code, {"kind": connection.kind}
            )
            AuditEntry.objects.record(connection.workspace_id, by, [deed])
