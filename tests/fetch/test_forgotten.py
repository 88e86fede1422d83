"""The provider's own copy goes once ours is safe: never before, never unasked, and as often as it takes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection as database

from acervo import journey, timetable
from acervo.base import clock
from acervo.fetch import forgotten
from acervo.govern import connections
from acervo.models import AuditEntry, Connection, MediaFile
from acervo.providers.contract import AccessLost, MediaGone, ProviderBusy
from acervo.providers.twilio.adapter import Twilio
from tests.conftest import keep, make_connection, make_file

pytestmark = pytest.mark.django_db(transaction=True)


class Copies:
    """Twilio's side: which copies it was asked to delete, and what it answers."""

    def __init__(self) -> None:
        self.deleted: list[str] = []
        self.trouble: Exception | None = None


@pytest.fixture
def copies(monkeypatch) -> Copies:
    made = Copies()

    async def forget(self: Any, session: Any, file: Any) -> None:
        if made.trouble:
            raise made.trouble
        made.deleted.append(file.provider_id)

    monkeypatch.setattr(Twilio, "forget", forget)
    return made


@pytest.fixture
def twilio(workspace) -> Connection:
    return make_connection(
        workspace, "twilio", account_id="+15555550123", secrets={"auth_token": "t"},
        options={"account_sid": "AC" + "0" * 32, "forgets": True},
    )  # fmt: skip


def kept(number: Connection, **facts: Any) -> MediaFile:
    return keep(make_file(number), b"OggS a note", **facts)


def ask(media: MediaFile) -> list[Any]:
    return forgotten.ask([media.pk])


def forget(media: MediaFile) -> MediaFile:
    async_to_sync(forgotten.forget)(media.pk)
    media.refresh_from_db()
    return media


def test_a_proven_file_is_forgotten_once_and_the_trail_says_so(twilio, copies):
    media = kept(twilio)
    assert ask(media) == [media.pk]
    assert ask(media) == []
    forget(media)
    forget(media)
    assert copies.deleted == [media.provider_id]
    assert media.forgotten_at is not None
    assert AuditEntry.objects.filter(action="file.forgotten", subject_id=media.pk).count() == 1


def test_it_follows_from_preparation_and_from_nothing_before(twilio, copies):
    media = make_file(twilio)
    assert ask(media) == []
    keep(media, b"OggS a note")
    MediaFile.objects.update(prepared_at=None)
    assert ask(media) == []
    MediaFile.objects.update(prepared_at=clock.now())
    journey._prepared(media.pk)
    media.refresh_from_db()
    assert media.forget_asked_at is not None


def test_without_the_option_nothing_is_deleted(twilio, copies):
    connections.change_forgets(twilio, "nothing", "test")
    assert ask(kept(twilio)) == []


def test_a_damaged_file_stays_there_unless_somebody_wants_that_too(twilio, copies):
    media = kept(twilio, is_damaged=True)
    assert ask(media) == []
    connections.change_forgets(twilio, "all", "test")
    assert ask(media) == [media.pk]


def test_a_damaged_file_with_the_providers_own_hash_is_proven(twilio, copies):
    media = kept(twilio, is_damaged=True)
    MediaFile.objects.update(announced_sha256=media.sha256)
    assert ask(media) == [media.pk]


def test_a_copy_that_is_not_there_is_well(twilio, copies):
    copies.trouble = MediaGone()
    media = kept(twilio)
    ask(media)
    assert forget(media).forgotten_at is not None


@pytest.mark.parametrize("trouble", [ProviderBusy(after_s=7), AccessLost()])
def test_what_did_not_work_is_asked_again(twilio, copies, trouble):
    media = kept(twilio)
    ask(media)
    copies.trouble = trouble
    with pytest.raises(type(trouble)):
        forget(media)
    assert media.forgotten_at is None
    assert forgotten.waiting(10, clock.now() + timedelta(seconds=1)) == [media.pk]
    copies.trouble = None
    assert forget(media).forgotten_at is not None
    assert forgotten.waiting(10, clock.now() + timedelta(seconds=1)) == []


def test_a_paused_number_and_one_that_changed_its_mind_delete_nothing(twilio, copies):
    media = kept(twilio)
    ask(media)
    connections.pause(twilio, "test")
    forget(media)
    connections.resume(twilio, "test")
    connections.change_forgets(twilio, "nothing", "test")
    forget(media)
    assert copies.deleted == []


def test_a_provider_that_deletes_nothing_is_not_asked(workspace, connection):
    with pytest.raises(connections.UnknownChoice):
        connections.change_forgets(connection, "proven", "test")
    assert not connections.change_forgets(connection, "nothing", "test")
    Connection.objects.update(options={"forgets": True})
    media = kept(connection)
    ask(media)
    assert forget(media).forgotten_at is None


def test_the_clock_starts_what_was_lost(twilio, copies):
    media = kept(twilio)
    ask(media)
    MediaFile.objects.update(forget_asked_at=clock.now() - timetable.FORGOTTEN_AFTER - timedelta(minutes=1))
    timetable._finish_farewells()
    with database.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'acervo:forget'")
        assert cursor.fetchone() == (1,)
