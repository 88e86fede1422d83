"""A job and the fact it follows from are one, inside a worker too: nobody sees the job before its fact, and it goes with
a fact that is taken back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import psycopg
import pytest
from django.db import transaction
from procrastinate.contrib.django import app as queue

from acervo import journey
from acervo.base.database import conninfo, in_thread
from acervo.models import MediaFile

pytestmark = pytest.mark.django_db(transaction=True)
WAITING = "SELECT task_name FROM procrastinate_jobs WHERE status = 'todo' ORDER BY 1"


class TakenBack(Exception):
    """On purpose."""


@pytest.fixture
async def worker() -> AsyncIterator[None]:
    """The queue rides on connections of its own, as it does while `acervo worker` runs."""
    with queue.replace_connector(queue.connector.get_worker_connector()):  # type: ignore[attr-defined]
        async with queue.open_async():
            yield


def seen_by_others() -> list[str]:
    with psycopg.connect(conninfo()) as stranger:
        return [name for (name,) in stranger.execute(WAITING).fetchall()]


@pytest.mark.parametrize("is_taken_back", [False, True])
@pytest.mark.usefixtures("worker")
async def test_a_job_comes_and_goes_with_its_fact(
    kept_file: Callable[..., MediaFile], *, is_taken_back: bool
) -> None:
    def act() -> None:
        media = kept_file()
        with transaction.atomic():
            journey.start_prepare([media.pk])
            journey.start_capture()
            journey.start_capture()
            assert seen_by_others() == []
            if is_taken_back:
                raise TakenBack

    try:
        await in_thread(act)
    except TakenBack:
        assert await in_thread(seen_by_others) == []
    else:
        assert await in_thread(seen_by_others) == ["acervo:capture", "acervo:prepare"]
