"""What is not as it should be with a connection, the worst first: one judgement for the health page, the connection's own
page and `acervo doctor`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any, Final
from uuid import UUID

from django.db.models import F, Window
from django.db.models.functions import RowNumber

from acervo.base import clock
from acervo.models import AccountEvent, Connection, Probe, Severity
from acervo.receive import silence
from acervo.receive.silence import Silence

SOON: Final = timedelta(days=14)
VERY_SOON: Final = timedelta(days=3)
"""When a token or a certificate that ends is a warning, and when it is worse."""
BUSY_PERCENT: Final = 80
STALE_CHECK: Final = timedelta(hours=6)
"""The clock asks every hour; when it did not for so long, no worker of the queue `bulk` is there to ask."""
PASSING: Final = frozenset({"timed_out", "broken_off", "not_taken", "proxy_alone", "turned_away", "refused"})
"""A restart looks like this: believed when it comes twice in a row."""
LOST_ACCESS: Final = frozenset(
    {"token_revoked", "forbidden", "blocked", "auth_revoked", "sealed_elsewhere", "forbidden_host"}
)


class Weight(IntEnum):
    BAD = 0
    """Files are being lost, or will be within days."""
    WARNING = 1
    NOTE = 2
    """Worth a sentence."""


@dataclass(frozen=True, slots=True)
class Concern:
    code: str
    """A word that `web.health_words` turns into what happened and what to do."""
    weight: Weight
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Signs:
    """Everything that is looked at."""

    connection: Connection
    probes: Sequence[Probe] = ()
    """The newest two that ended, the newest first."""
    pressing: Sequence[AccountEvent] = ()
    silence: Silence | None = None


def of(connections: Sequence[Connection], time_zone: str) -> Mapping[UUID, list[Concern]]:
    """What is to be said of each, the worst first; four queries, however many there are."""
    pks = [row.pk for row in connections]
    probes: dict[UUID, list[Probe]] = defaultdict(list)
    for probe in _newest_probes(pks):
        probes[probe.connection_id].append(probe)
    pressing: dict[UUID, list[AccountEvent]] = defaultdict(list)
    for event in AccountEvent.objects.pressing().filter(connection__in=pks).order_by("-at"):
        pressing[event.connection_id].append(event)
    quiet = silence.of(pks, time_zone)
    return {
        row.pk: judged(Signs(row, probes[row.pk], pressing[row.pk], quiet.get(row.pk))) for row in connections
    }


def judged(signs: Signs) -> list[Concern]:
    """The worst first; of equal weight in the order below, which is that of how much is at stake."""
    found = [
        *_access(signs),
        *_way_in(signs),
        *_events(signs),
        *_token(signs),
        *_account(signs),
        *_quiet(signs),
    ]
    return sorted(found, key=lambda concern: concern.weight)


def _newest_probes(pks: Sequence[UUID]) -> Iterator[Probe]:
    place = Window(RowNumber(), partition_by=[F("connection")], order_by=F("asked_at").desc())
    newest = Probe.objects.finished().filter(
        connection__in=pks, asked_at__gte=clock.now() - timedelta(days=1)
    )
    yield from newest.annotate(place=place).filter(place__lte=2).order_by("-asked_at")


def _access(signs: Signs) -> Iterator[Concern]:
    row = signs.connection
    if row.check_code in LOST_ACCESS:
        yield Concern("access_lost", Weight.BAD, {"code": row.check_code})
    elif row.check_code not in (None, "ok"):
        yield Concern("not_answering", Weight.WARNING, {"code": row.check_code})
    if row.checked_at and row.paused_at is None and row.checked_at < clock.now() - STALE_CHECK:
        yield Concern("not_checked", Weight.WARNING, {"at": row.checked_at})


def _way_in(signs: Signs) -> Iterator[Concern]:
    if not signs.probes:
        return
    newest, *before = signs.probes
    is_lasting = newest.code not in PASSING or (bool(before) and before[0].code != "ok")
    if newest.code != "ok":
        weight = Weight.BAD if is_lasting else Weight.NOTE
        yield Concern("way_in_closed", weight, {"code": newest.code, "at": newest.asked_at})
    ends_at = _moment(newest.facts.get("certificate_ends_at"))
    if ends_at and (ending := _ending(ends_at)) is not None:
        yield Concern("certificate_ends", ending, {"at": ends_at})


def _events(signs: Signs) -> Iterator[Concern]:
    for severity, weight in ((Severity.CRITICAL, Weight.BAD), (Severity.WARNING, Weight.WARNING)):
        if told := [event for event in signs.pressing if event.severity == severity]:
            yield Concern("account_event", weight, {"event": told[0], "count": len(told)})


def _token(signs: Signs) -> Iterator[Concern]:
    facts = signs.connection.check_facts
    ends_at = _moment(facts.get("token_expires_at"))
    if ends_at and (weight := _ending(ends_at)) is not None:
        yield Concern("token_ends", weight, {"at": ends_at})
    if missing := facts.get("permissions_missing"):
        yield Concern("permissions_missing", Weight.WARNING, {"names": missing})


def _account(signs: Signs) -> Iterator[Concern]:
    row = signs.connection
    if row.check_facts.get("webhook") == "elsewhere" and not _is_heard(row):
        yield Concern("webhook_elsewhere", Weight.WARNING)
    if unwell := row.check_facts.get("unwell"):
        yield Concern("account_unwell", Weight.WARNING, {"names": unwell})
    if float(row.usage.get("percent") or 0) >= BUSY_PERCENT and _is_recent(row.usage.get("at")):
        yield Concern("allowance_spent", Weight.WARNING, {"percent": row.usage["percent"]})


def _is_heard(row: Connection) -> bool:
    """While events come, whatever brings them here is right, however it was set up."""
    return row.last_event_at is not None and row.last_event_at > clock.now() - timedelta(hours=1)


def _quiet(signs: Signs) -> Iterator[Concern]:
    if signs.silence is not None and signs.silence.is_longer:
        yield Concern("quiet", Weight.NOTE, {"since": signs.silence.since, "usual": signs.silence.usual})


def _ending(at: datetime) -> Weight | None:
    left = at - clock.now()
    if left <= VERY_SOON:
        return Weight.BAD
    return Weight.WARNING if left <= SOON else None


def _is_recent(at: object) -> bool:
    """What headers said of an allowance is true for an hour."""
    told = _moment(at)
    return told is not None and told > clock.now() - timedelta(hours=1)


def _moment(value: object) -> datetime | None:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return at if at and at.tzinfo else None
