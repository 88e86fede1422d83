"""What a CRM's refusal means for a promise and for the whole connection, and how long to wait."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from acervo.base import ids
from acervo.crms.contract import CrmError, CrmErrorKind, RecordRef
from acervo.models import Connection, Deed

PAUSES = frozenset({CrmErrorKind.AUTH_REVOKED, CrmErrorKind.AUTH_EXPIRED, CrmErrorKind.FORBIDDEN})
"""The account no longer lets us in: every promise waits until somebody reconnects it."""
RESTS = frozenset({CrmErrorKind.RATE_LIMITED, CrmErrorKind.QUOTA_EXHAUSTED})
"""The account has had enough of us: every promise waits for the clock, none counts an attempt."""
STUMBLES = frozenset({CrmErrorKind.UNAVAILABLE, CrmErrorKind.UNKNOWN_OUTCOME})
"""Where a whole call ends so, the next one would too: the batch stops here and the connection rests a little."""

DETACHED = "detached"
"""A person removed our record, or the contact, in the CRM. We do not make it anew unasked."""
DOUBLED = "doubled"
"""The CRM holds a file of ours more than once. Shown; which copy to remove is for people to say."""

LEFT_OUT = "left_out"
"""Somebody decided that a person's files do not go to this CRM."""

FIRST_WAIT_S, LONGEST_WAIT_S = 10.0, 6 * 3600.0
QUOTA_WAIT_S = 3600.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one promise could not be kept now. `facts` hold ids and code words only."""

    code: str
    facts: dict[str, Any] = field(default_factory=dict)
    is_final: bool = True
    """Only a person can go on."""
    retry_after_s: float | None = None

    @classmethod
    def of(cls, error: CrmError, **facts: Any) -> Refusal:
        return cls(
            str(error.kind),
            {**told(error), **facts},
            is_final=not error.is_retryable,
            retry_after_s=error.retry_after_s,
        )


def detached(ref: RecordRef) -> Refusal:
    return Refusal(DETACHED, {"object_type": ref.object_type, "record_id": ref.record_id})


def told(error: CrmError) -> dict[str, Any]:
    """What the CRM said, in numbers and code words."""
    facts = {"status": error.status, "vendor_code": error.vendor_code, "correlation_id": error.correlation_id}
    return {name: value for name, value in facts.items() if value is not None}


def wait_s(attempts: int, retry_after_s: float | None = None) -> float:
    """Seconds until the next try: doubling to six hours, never sooner than asked, spread so that a thousand
    promises refused together do not come back together."""
    doubled = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(attempts - 1, 20))
    asked = retry_after_s or 0.0
    return max(doubled * random.uniform(0.5, 1.0), asked + random.uniform(0.0, min(asked / 2, 30.0)))  # noqa: S311


def refuse_connection(connection: Connection, error: CrmError, at: datetime, *, by: str) -> list[Deed]:
    """The whole connection stops: paused until somebody acts, or resting until the clock helped.
    `connection` is locked by the caller's transaction; the deeds are to be recorded in it."""
    connection.last_refusal, connection.last_refused_at = str(error.kind), at
    connection.save(update_fields=["last_refusal", "last_refused_at"])
    if error.kind in PAUSES:
        return _pause(connection, error, at, by=by)
    _rest(connection, error, at)
    return []


def _pause(connection: Connection, error: CrmError, at: datetime, *, by: str) -> list[Deed]:
    if connection.paused_at:
        return []
    connection.pause(by=by, reason=str(error.kind), at=at)
    return [Deed("connection.paused", "connection", connection.pk, str(error.kind), told(error))]


def _rest(connection: Connection, error: CrmError, at: datetime) -> None:
    now_s = at.timestamp()
    recent = [moment for moment in connection.failures if moment > now_s - 3600]
    connection.failures = [*recent[-20:], int(now_s)]
    asked_s = error.retry_after_s
    if asked_s is None and error.kind is CrmErrorKind.QUOTA_EXHAUSTED:
        asked_s = QUOTA_WAIT_S
    pause_s = wait_s(len(connection.failures), asked_s)
    connection.breaker_open_until = datetime.fromtimestamp(now_s + pause_s, at.tzinfo)
    connection.save(update_fields=["failures", "breaker_open_until"])


def forgive_connection(connection: Connection, at: datetime) -> None:
    """It answered: no more resting, and the next trouble starts small again."""
    connection.last_success_at, connection.last_refusal, connection.last_refused_at = at, None, None
    connection.failures, connection.breaker_open_until = [], None
    connection.save(
        update_fields=["last_success_at", "last_refusal", "last_refused_at", "failures", "breaker_open_until"]
    )


def subject(connection: Connection) -> dict[str, str]:
    """The connection, for the details of a deed about a file."""
    return {"connection": ids.text(connection.pk)}
