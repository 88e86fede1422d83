"""Is a number quiet for longer than usual at this hour? Judged by what was usual at the same hour of the same weekday."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection as database

from acervo.base import clock

WEEKS: Final = 4
"""How many times the same hour of the same weekday is looked at."""
SHORTEST: Final = timedelta(minutes=30)
"""A shorter silence is never worth a sentence; gaps within half an hour need not be told apart."""
LEAST_HISTORY: Final = timedelta(days=7)
HOUR: Final = timedelta(hours=1)
HALF_HOUR: Final = timedelta(minutes=30)
TICKS: Final = 48

# A handful of look-ups at the ends of index receipt_of_connection for each week: what lies between is never read, so
# ten million receipts cost what ten do. Within half an hour only the first and the last receipt count.
POINTS = """
SELECT c.id, w.number,
    (SELECT max(received_at) FROM acervo_receipt r WHERE r.connection_id = c.id AND r.received_at < w.starts),
    (SELECT min(received_at) FROM acervo_receipt r WHERE r.connection_id = c.id AND r.received_at >= w.starts
        AND r.received_at < w.middle),
    (SELECT max(received_at) FROM acervo_receipt r WHERE r.connection_id = c.id AND r.received_at >= w.starts
        AND r.received_at < w.middle),
    (SELECT min(received_at) FROM acervo_receipt r WHERE r.connection_id = c.id AND r.received_at >= w.middle
        AND r.received_at < w.ends),
    (SELECT max(received_at) FROM acervo_receipt r WHERE r.connection_id = c.id AND r.received_at >= w.middle
        AND r.received_at < w.ends),
    (SELECT min(received_at) FROM acervo_receipt r WHERE r.connection_id = c.id AND r.received_at >= w.ends)
FROM unnest(%s::uuid[]) AS c(id)
CROSS JOIN unnest(%s::int[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[]) AS w(number, starts, middle, ends)
"""
ENDS = """
SELECT c.id,
    (SELECT min(received_at) FROM acervo_receipt r WHERE r.connection_id = c.id),
    (SELECT max(received_at) FROM acervo_receipt r WHERE r.connection_id = c.id)
FROM unnest(%s::uuid[]) AS c(id)
"""
HEARD = """
SELECT c.id, array_agg(EXISTS (SELECT FROM acervo_receipt r WHERE r.connection_id = c.id AND r.received_at >= t.starts
    AND r.received_at < t.starts + interval '30 minutes') ORDER BY t.starts)
FROM unnest(%s::uuid[]) AS c(id) CROSS JOIN unnest(%s::timestamptz[]) AS t(starts) GROUP BY c.id
"""


@dataclass(frozen=True, slots=True)
class Silence:
    """How long nothing came, and what is usual. A fact to look at, not a fault: a holiday is quiet, too."""

    since: datetime
    """The last event."""
    usual: timedelta | None
    """The longest gap of the same hour of this weekday in the weeks before; None when those weeks were silent as a
    whole."""
    is_longer: bool

    @property
    def lasted(self) -> timedelta:
        return clock.now() - self.since


def of(connections: Collection[UUID], time_zone: str, at: datetime | None = None) -> Mapping[UUID, Silence]:
    """The rule: the time since the last event is compared with the longest gap between two events that touched this
    hour of this weekday, in the time zone given, in each of the last four weeks. Gaps are whole: a gap of a night that
    reaches into the hour counts from evening to morning. Nothing is said with less than a week of history, and never
    of less than half an hour. A week whose gap has no beginning or no end says nothing."""
    at = at or clock.now()
    asked = sorted(connections)
    if not asked:
        return {}
    hours = _same_hours(at, time_zone)
    numbers = list(range(len(hours)))
    with database.cursor() as cursor:
        cursor.execute(ENDS, [asked])
        ends = {pk: (first, last) for pk, first, last in cursor.fetchall() if first is not None}
        known = [pk for pk, (first, _) in ends.items() if first <= at - LEAST_HISTORY]
        middles, closes = [hour + HALF_HOUR for hour in hours], [hour + HOUR for hour in hours]
        cursor.execute(POINTS, [known, numbers, hours, middles, closes])
        rows = cursor.fetchall()
    gaps: dict[UUID, list[timedelta]] = {pk: [] for pk in known}
    for pk, _, *points in rows:
        if (gap := _longest(points)) is not None:
            gaps[pk].append(gap)
    return {pk: _judged(ends[pk][1], gaps[pk], at) for pk in known}


def heard(connections: Collection[UUID], at: datetime | None = None) -> Mapping[UUID, list[bool]]:
    """Whether anything came in each of the last 48 half hours, the oldest first."""
    with database.cursor() as cursor:
        cursor.execute(HEARD, [sorted(connections), half_hours(at or clock.now())])
        return dict(cursor.fetchall())


def half_hours(at: datetime) -> list[datetime]:
    """When each of the last 48 half hours began; the last one is not over."""
    newest = at.replace(minute=30 if at.minute >= 30 else 0, second=0, microsecond=0)
    return [newest - HALF_HOUR * back for back in reversed(range(TICKS))]


def _same_hours(at: datetime, time_zone: str) -> list[datetime]:
    """This hour in each of the weeks before; by the clock on the wall, which changes twice a year."""
    zone = ZoneInfo(time_zone)
    here = at.astimezone(zone).replace(minute=0, second=0, microsecond=0, tzinfo=None)
    return [(here - timedelta(weeks=week)).replace(tzinfo=zone) for week in range(1, WEEKS + 1)]


def _longest(points: Sequence[datetime | None]) -> timedelta | None:
    """Between one stretch and the next: the last event before the hour, what came in each half of it, the first after
    it. What lies between the first and the last event of a half is not known, and shorter than anything said."""
    before, *halves, after = points
    if before is None or after is None:
        return None
    stretches = [(before, before)]
    stretches += [(first, last) for first, last in (halves[:2], halves[2:]) if first and last]
    stretches.append((after, after))
    return max(begins - ended for (_, ended), (begins, _) in pairwise(stretches))


def _judged(last: datetime, gaps: Sequence[timedelta], at: datetime) -> Silence:
    usual = max(gaps) if gaps else None
    return Silence(last, usual, is_longer=at - last > max(usual or SHORTEST, SHORTEST))
