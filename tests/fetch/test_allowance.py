"""Where a provider blocks a number after a few failed downloads, fewer of its files than that are in hand at once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from acervo.base import clock
from acervo.fetch import allowance, claims
from acervo.models import Connection, MediaFile, Workspace
from acervo.providers import get
from tests.conftest import make_connection, make_file

pytestmark = pytest.mark.django_db
BUDGET = get("dialog360").capabilities.download_failures_per_hour or 0
AFTER = timedelta(days=1)


def due_file(number: Connection, **facts: Any) -> MediaFile:
    # In one transaction the database's clock stands still, so that what is due now would come too late.
    return make_file(number, due_at=clock.now() - timedelta(minutes=1), **facts)


@pytest.fixture
def careful(workspace: Workspace) -> Connection:
    """A number at 360dialog with more due files than it may risk."""
    found = make_connection(workspace, "dialog360", account_id="106500000000360")
    for _ in range(3 * BUDGET):
        due_file(found)
    return found


def in_hand(number: Connection) -> int:
    return MediaFile.objects.filter(connection=number, claimed_until__gt=clock.now()).count()


def test_even_if_all_in_hand_fail_the_block_stays_away(careful: Connection) -> None:
    assert len(allowance.claim(32)) == BUDGET - 1 == in_hand(careful)


def test_what_is_in_hand_counts_for_the_next_who_asks(careful: Connection) -> None:
    first = allowance.claim(32)
    assert allowance.claim(32) == []
    claims.put_back([first[0].id])
    assert len(allowance.claim(32)) == 1


def test_failures_of_the_last_hour_are_risk_already_taken(careful: Connection) -> None:
    now = clock.now().timestamp()
    Connection.objects.filter(pk=careful.pk).update(failures=[now - 7200, now - 60])
    assert len(allowance.claim(32)) == BUDGET - 2


def test_a_number_that_may_be_asked_again_is_asked_for_one_file(careful: Connection) -> None:
    now = clock.now().timestamp()
    Connection.objects.filter(pk=careful.pk).update(failures=[now - 60] * (BUDGET + 3))
    assert len(allowance.claim(32)) == 1


def test_its_neighbours_are_not_kept_waiting(careful: Connection, connection: Connection) -> None:
    for _ in range(5):
        due_file(connection, fetch_before=clock.now() + 7 * AFTER)
    taken = allowance.claim(32)
    assert sum(item.connection_id == connection.pk for item in taken) == 5
    assert sum(item.connection_id == careful.pk for item in taken) == BUDGET - 1


def test_the_earliest_deadline_goes_first(careful: Connection) -> None:
    urgent = due_file(careful, fetch_before=clock.now() + timedelta(minutes=30))
    assert urgent.pk in {item.id for item in allowance.claim(32)}


def test_a_file_whose_id_is_still_to_come_is_never_asked_for(connection: Connection) -> None:
    due_file(connection, provider_id="")
    with transaction.atomic():
        assert allowance.claim(32) == []
    assert not MediaFile.objects.due(clock.now()).exists()
