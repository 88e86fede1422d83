"""What became of our messages, told in any order, twice, or before we know which message it is about."""

from __future__ import annotations

import itertools
import threading
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection as database
from django.db import transaction

from acervo.answer import sending, statuses
from acervo.base import clock
from acervo.models import EarlyStatus, Sending
from acervo.providers.contract import StatusUpdate
from acervo.providers.fake.adapter import Fake
from acervo.providers.sending import Sent
from tests.conftest import make_connection

pytestmark = pytest.mark.django_db(transaction=True)


def told(number: Any, word: str, *, name: str = "out-1", after_s: int = 0, **facts: Any) -> statuses.Told:
    at = clock.now() + timedelta(seconds=after_s)
    return statuses.Told(number, StatusUpdate(number.account_id, name, word, at, **facts))


def hear(*items: statuses.Told) -> None:
    with transaction.atomic():
        statuses.hear(items)


def leave(row: Sending) -> Sending:
    async_to_sync(sending.send)(row.pk)
    row.refresh_from_db()
    return row


@pytest.mark.parametrize("order", list(itertools.permutations(["sent", "delivered", "read"])))
def test_any_order_and_twice_ends_the_same(asked, number, order):
    row = leave(asked())
    at = {"sent": 1, "delivered": 2, "read": 3}
    items = [told(number, word, after_s=at[word]) for word in (*order, *order)]
    for item in items:
        hear(item)
    row.refresh_from_db()
    assert row.state == "read"
    assert row.sent_at < row.delivered_at < row.read_at


def test_a_failure_says_why_and_gives_way_to_a_message_that_arrived(asked, number):
    row = leave(asked())
    hear(told(number, "failed", error_code="131047", refusal="outside_window"))
    row.refresh_from_db()
    assert (row.state, row.refusal, row.vendor_code) == ("failed", "outside_window", "131047")
    hear(told(number, "delivered"))
    row.refresh_from_db()
    assert (row.state, row.refusal) == ("delivered", None)
    hear(told(number, "undelivered"))
    row.refresh_from_db()
    assert row.state == "delivered"


def test_what_is_told_before_the_provider_answers_is_not_lost(asked, number, monkeypatch):
    row = asked()

    async def status_first(self: Any, session: Any, message: Any) -> Sent:
        from acervo.base.database import in_thread

        await in_thread(hear, told(number, "delivered"), told(number, "read", name="of-somebody-else"))
        return Sent("out-1")

    monkeypatch.setattr(Fake, "send", status_first)
    assert leave(row).state == "delivered"
    assert list(EarlyStatus.objects.values_list("provider_id", flat=True)) == ["of-somebody-else"]
    EarlyStatus.objects.update(heard_at=clock.now() - statuses.LATE)
    statuses.forget_early()
    assert not EarlyStatus.objects.exists()


def test_a_reader_that_commits_after_the_sender_still_meets_the_message(asked, number, monkeypatch):
    """The status is heard while the answer is on its way, and both write at the same time."""
    row = asked()
    heard, go_on = threading.Event(), threading.Event()

    def reads() -> None:
        with transaction.atomic():
            statuses.hear([told(number, "delivered")])
            heard.set()
            go_on.wait(1)
        database.close()

    reader = threading.Thread(target=reads)

    async def answered(self: Any, session: Any, message: Any) -> Sent:
        reader.start()
        heard.wait(20)
        return Sent("out-1")  # its row is held by the reader now

    monkeypatch.setattr(Fake, "send", answered)
    threading.Timer(0.3, go_on.set).start()
    assert leave(row).state == "delivered"
    reader.join(20)
    assert not EarlyStatus.objects.exists()


def test_statuses_of_others_leave_no_trace(asked, number, workspace):
    row = leave(asked())
    other = make_connection(workspace, "fake", account_id="fake-2", secrets={"signing_secret": "s"})
    hear(told(number, "read", name="of-somebody-else"), told(other, "read"), told(number, "queued"))
    row.refresh_from_db()
    assert row.state == "accepted"
    assert not EarlyStatus.objects.exists()


def test_open_pages_of_the_file_hear_of_it(asked, number, chat):
    from tests.conftest import make_file

    media = make_file(number, person=chat.person)
    leave(asked(media=media))
    media.refresh_from_db()
    before = media.changed_at
    hear(told(number, "read"))
    media.refresh_from_db()
    assert media.changed_at > before
