"""The story of a workspace, checked: every entry's hash fits its words and the entry before it."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.db import connection

BROKEN = """
SELECT min(number) FROM (
    SELECT number, hash, previous_hash, acervo_audit_hash(e) AS computed,
        lag(hash, 1, repeat('0', 64)) OVER chain AS expected, lag(number, 1, 0::bigint) OVER chain AS before
    FROM acervo_auditentry e WHERE workspace_id = %s WINDOW chain AS (ORDER BY number)
) told
WHERE hash <> computed OR previous_hash <> expected OR number <> before + 1
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    entries: int
    broken_at: int | None
    """Number of the first entry that does not fit; None when the chain is whole."""


def verify(workspace_id: UUID) -> Verdict:
    """Walk the whole chain. Cutting off its newest entries cannot be seen from inside: keep the last hash elsewhere."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM acervo_auditentry WHERE workspace_id = %s", [workspace_id])
        (entries,) = cursor.fetchone()
        cursor.execute(BROKEN, [workspace_id])
        (broken_at,) = cursor.fetchone()
    return Verdict(entries, broken_at)
