"""What providers report about accounts, each thing once, however often and by however many webhooks it is told."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection as database
from django.db import transaction
from django.db.models import QuerySet

from acervo.base import clock, ids
from acervo.models import AccountEvent as Row
from acervo.models import AuditEntry, Connection, Deed
from acervo.providers.contract import AccountEvent

ROUTINE = frozenset({"address_book", "user_preferences"})
"""Said of single customers, by the thousand while an address book is copied: known to the audit trail alone."""

# RETURNING names only what was inserted: what was told before leaves no second entry in the audit trail either.
EVENTS = """
INSERT INTO acervo_accountevent (id, workspace_id, connection_id, key, type, severity, facts, at, received_at)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[]::jsonb[],
    %s::timestamptz[], %s::timestamptz[])
ON CONFLICT (connection_id, key) DO NOTHING RETURNING connection_id, key
"""


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """One event, with the account it is about and the receipt that told it."""

    receipt_id: UUID | None
    account: Connection
    event: AccountEvent
    received_at: datetime

    @property
    def key(self) -> str:
        """The same for the same event. Where the provider says when it happened, webhooks it repeats are recognised,
        too; otherwise only the receipt tells one from the next."""
        event = self.event
        when = event.at.isoformat() if event.at else str(self.receipt_id or self.received_at.isoformat())
        said = [event.type, event.severity, when, event.summary, dict(event.facts)]
        return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()

    def deed(self) -> Deed:
        event = self.event
        details = {"type": event.type, "severity": event.severity, "summary": event.summary[:200]}
        return Deed("account.event", "connection", self.account.pk, event.type[:200], details)


def write(reports: Iterable[Report]) -> list[Deed]:
    """Rows for what is new, and the deeds that tell of it. Inside the caller's transaction."""
    routine: list[Deed] = []
    by_key: dict[tuple[UUID, str], Report] = {}
    for report in reports:
        if report.event.type in ROUTINE:
            routine.append(report.deed())
        else:
            by_key[report.account.pk, report.key] = report
    if not by_key:
        return routine
    # In one order for all writers, so that two of them wait for each other instead of meeting crosswise.
    told = [by_key[key] for key in sorted(by_key)]
    with database.cursor() as cursor:
        cursor.execute(EVENTS, _columns(told))
        new = sorted(cursor.fetchall())
    return routine + [by_key[key].deed() for key in new]


def see(reports: QuerySet[Row], by: str) -> int:
    """Somebody looked at these reports. Safe to repeat; returns how many nobody had seen before."""
    with transaction.atomic():
        unseen = reports.filter(seen_at=None).select_for_update().order_by("pk")
        found = list(unseen.values_list("pk", "workspace_id", "connection_id"))
        Row.objects.filter(pk__in=[pk for pk, _, _ in found]).update(seen_at=clock.now(), seen_by=by)
        seen = Counter((workspace_id, connection_id) for _, workspace_id, connection_id in found)
        for (workspace_id, connection_id), count in sorted(seen.items()):
            deed = Deed("account.seen", "connection", connection_id, "", {"reports": count})
            AuditEntry.objects.record(workspace_id, by, [deed])
    return len(found)


def _columns(told: list[Report]) -> list[list[object]]:
    return [
        [ids.new() for _ in told],
        [report.account.workspace_id for report in told],
        [report.account.pk for report in told],
        [report.key for report in told],
        [report.event.type[:64] for report in told],
        [report.event.severity for report in told],
        [json.dumps(dict(report.event.facts), default=str) for report in told],
        [report.event.at or report.received_at for report in told],
        [report.received_at for report in told],
    ]
