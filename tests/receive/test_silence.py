"""How long is usual is judged by the same hour of the same weekday; what cannot be judged is not said."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from acervo.base import ids
from acervo.models import Connection, Receipt
from acervo.receive import silence
from tests.conftest import make_connection

pytestmark = pytest.mark.django_db

ZONE = "America/Sao_Paulo"
THURSDAY = datetime(2026, 11, 26, 14, 20, tzinfo=ZoneInfo(ZONE))


def come(connection: Connection, *moments: datetime) -> None:
    Receipt.objects.bulk_create(
        Receipt(
            id=ids.new(), workspace=connection.workspace, connection=connection, received_at=at, body=b"{}"
        )
        for at in moments
    )


def working_days(until: datetime, *, weeks: float, every: timedelta) -> Iterator[datetime]:
    """From eight to eighteen by the clock on the wall, each day."""
    at = until - timedelta(weeks=weeks)
    while at <= until:
        if 8 <= at.astimezone(ZoneInfo(ZONE)).hour < 18:
            yield at
        at += every


def judged(connection: Connection, at: datetime = THURSDAY) -> silence.Silence | None:
    return silence.of([connection.pk], ZONE, at).get(connection.pk)


def test_a_busy_number_that_falls_silent_is_noticed(connection: Connection) -> None:
    last = THURSDAY - timedelta(minutes=50)
    come(connection, *working_days(last, weeks=5, every=timedelta(minutes=10)))
    found = judged(connection)
    assert found is not None
    assert (found.is_longer, found.since) == (True, last)
    assert found.usual == timedelta(minutes=10)


def test_half_an_hour_of_silence_is_never_worth_a_word(connection: Connection) -> None:
    come(connection, *working_days(THURSDAY - timedelta(minutes=29), weeks=5, every=timedelta(minutes=1)))
    found = judged(connection)
    assert found is not None
    assert not found.is_longer


def test_a_night_is_as_long_as_nights_are(connection: Connection) -> None:
    evening = THURSDAY.replace(hour=17, minute=50)
    come(connection, *working_days(evening, weeks=5, every=timedelta(minutes=10)))
    for hour, is_longer in ((3, False), (7, False), (9, True)):
        found = judged(connection, THURSDAY.replace(hour=hour, minute=15) + timedelta(days=1))
        assert found is not None
        assert found.is_longer is is_longer, hour


def test_the_rarest_of_the_four_weeks_is_usual_enough(connection: Connection) -> None:
    quiet = THURSDAY - timedelta(weeks=2)
    come(
        connection,
        *(
            at
            for at in working_days(THURSDAY - timedelta(hours=2), weeks=5, every=timedelta(minutes=10))
            if not quiet - timedelta(hours=2) < at < quiet + timedelta(hours=2)
        ),
    )
    found = judged(connection)
    assert found is not None
    assert (found.is_longer, found.usual) == (False, timedelta(hours=4))


@pytest.mark.parametrize(("days", "is_judged"), [(6.8, False), (8, True)])
def test_nothing_is_said_with_less_than_a_week_of_history(
    connection: Connection, days: float, is_judged: bool
) -> None:
    last = THURSDAY - timedelta(hours=3)
    come(connection, *working_days(last, weeks=days / 7, every=timedelta(minutes=10)))
    come(connection, last - timedelta(days=days))
    found = judged(connection)
    assert (found is not None) is is_judged
    if found:
        assert found.is_longer


def test_a_number_that_never_heard_anything_is_not_judged(connection: Connection) -> None:
    assert judged(connection) is None
    assert silence.of([], ZONE) == {}


def test_a_number_silent_for_weeks_does_not_make_that_usual(connection: Connection) -> None:
    last = THURSDAY - timedelta(days=10)
    come(connection, *working_days(last, weeks=5, every=timedelta(minutes=10)))
    found = judged(connection)
    assert found is not None
    assert (found.is_longer, found.usual) == (True, timedelta(minutes=10))
    Receipt.objects.filter(connection=connection).delete()
    come(connection, THURSDAY - timedelta(weeks=7), THURSDAY - timedelta(weeks=6))
    found = judged(connection)
    assert found is not None
    assert (found.is_longer, found.usual) == (True, None)


def test_the_clock_on_the_wall_decides_which_hour_it_is(connection: Connection) -> None:
    """New York's clocks were turned back on 1 November 2026: nine o'clock there came an hour later in UTC since."""
    zone = ZoneInfo("America/New_York")
    monday = datetime(2026, 11, 2, 9, 50, tzinfo=zone)
    for week in range(1, 6):
        start = datetime(2026, 11, 2, 9, 0).replace(tzinfo=None) - timedelta(weeks=week)  # noqa: DTZ001
        come(
            connection,
            *((start + timedelta(minutes=m)).replace(tzinfo=zone).astimezone(UTC) for m in range(0, 65, 5)),
        )
    come(connection, monday - timedelta(minutes=45))
    found = silence.of([connection.pk], "America/New_York", monday)[connection.pk]
    assert found.usual is not None
    assert found.usual < timedelta(days=7)


def test_numbers_do_not_answer_for_each_other(connection: Connection) -> None:
    other = make_connection(connection.workspace, "meta_cloud", account_id="106500000000002", name="Vendas")
    come(connection, *working_days(THURSDAY - timedelta(hours=3), weeks=5, every=timedelta(minutes=10)))
    come(other, *working_days(THURSDAY, weeks=5, every=timedelta(minutes=10)))
    with CaptureQueriesContext(
        database,
    ) as asked:
        found = silence.of([connection.pk, other.pk], ZONE, THURSDAY)
    assert (found[connection.pk].is_longer, found[other.pk].is_longer) == (True, False)
    assert len(asked) == 2


def test_the_last_day_is_told_by_half_hours(connection: Connection) -> None:
    come(connection, THURSDAY, THURSDAY - timedelta(minutes=25), THURSDAY - timedelta(hours=23, minutes=50))
    come(connection, THURSDAY - timedelta(hours=24))
    told = silence.heard([connection.pk, UUID(int=0)], THURSDAY)
    assert [index for index, is_heard in enumerate(told[connection.pk]) if is_heard] == [0, 46, 47]
    assert told[UUID(int=0)] == [False] * 48
    assert silence.half_hours(THURSDAY)[-1] == THURSDAY.replace(minute=0)
    assert silence.heard([], THURSDAY) == {}
