"""A message of ours leaves once: whatever dies, whoever presses twice, and whatever the provider answers."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection as database
from django.db import transaction

from acervo import journey
from acervo.answer import asking, sending, window
from acervo.base import clock
from acervo.base.errors import TryLater
from acervo.govern import connections
from acervo.models import AuditEntry, Chat, ChatImport, Message, Sending
from acervo.models.sending import SILENT_AFTER
from acervo.providers.contract import AccessLost, Outcome, ProviderBusy
from acervo.providers.fake.adapter import Fake
from acervo.providers.sending import Button, NotSent, OutsideWindow, Sent, Template
from tests.answer.conftest import AN_HOUR, TEXT, wrote
from tests.conftest import make_file, make_person

pytestmark = pytest.mark.django_db(transaction=True)
TEMPLATE = Template("welcome", "pt_BR", ("Marina",))


def leave(row: Sending) -> Sending:
    async_to_sync(sending.send)(row.pk)
    row.refresh_from_db()
    return row


def test_a_text_leaves_once_and_stands_in_its_chat(asked, provider, chat):
    row = leave(leave(asked()))
    assert [message.text for message in provider.sent] == [TEXT]
    assert provider.sent[0].to.phone == "+15555550142"
    said = Message.objects.get(direction="out")
    assert (said.chat, said.text, said.provider_id, row.message) == (chat, TEXT, "out-1", said)
    assert row.state == "accepted"
    actions = [entry.action for entry in AuditEntry.objects.order_by("number")]
    assert actions == ["answer.asked", "answer.sent"]


def test_an_answer_to_a_file_quotes_its_message(asked, provider, chat, number):
    media = make_file(number, person=chat.person)
    leave(asked(media=media))
    assert provider.sent[0].reply_to == media.message.provider_id
    assert Message.objects.get(direction="out").reply_to == media.message.provider_id


def test_buttons_and_templates_leave_as_they_were_asked_for(asked, provider):
    leave(asked(buttons=(Button("a", "Sim"), Button("b", "Não"))))
    leave(asked(text=None, template=TEMPLATE))
    assert [button.title for button in provider.sent[0].buttons] == ["Sim", "Não"]
    assert provider.sent[1].template == TEMPLATE
    assert {message.type for message in Message.objects.filter(direction="out")} == {
        "interactive",
        "template",
    }


def test_two_workers_send_one_message(asked, provider, monkeypatch):
    row = asked()
    first_is_inside, may_go_on = threading.Event(), threading.Event()

    async def slowly(self: Any, session: Any, message: Any) -> Sent:
        first_is_inside.set()
        await asyncio.to_thread(may_go_on.wait, 20)
        provider.sent.append(message)
        return Sent("out-1")

    monkeypatch.setattr(Fake, "send", slowly)
    first = threading.Thread(target=lambda: (async_to_sync(sending.send)(row.pk), database.close()))
    first.start()
    assert first_is_inside.wait(20)
    async_to_sync(sending.send)(row.pk)  # it has left already: this one finds nothing to do
    may_go_on.set()
    first.join(20)
    assert len(provider.sent) == 1


def test_whoever_dies_between_leaving_and_the_answer_leaves_it_unknown_and_nobody_repeats_it(
    asked, provider, monkeypatch
):
    row = asked()

    async def dies(self: Any, session: Any, message: Any) -> Sent:
        provider.sent.append(message)
        raise KeyboardInterrupt

    monkeypatch.setattr(Fake, "send", dies)
    with pytest.raises(KeyboardInterrupt):
        async_to_sync(sending.send)(row.pk)
    monkeypatch.undo()
    row.refresh_from_db()
    assert row.tried_at is not None
    assert row.state == "sending"
    Sending.objects.update(tried_at=clock.now() - SILENT_AFTER)
    assert not Sending.objects.due(clock.now()).exists()
    assert leave(row).state == "unknown"
    assert len(provider.sent) == 1


@pytest.mark.parametrize(
    ("trouble", "state"),
    [
        (ProviderBusy(code=Outcome.TIMED_OUT), "unknown"),
        (ProviderBusy(http_status=500), "unknown"),
        (ProviderBusy(code=Outcome.UNKNOWN), "unknown"),
        (ValueError("a fault of ours"), "unknown"),
        (ProviderBusy(code=Outcome.RATE_LIMITED, after_s=7, http_status=429), "delayed"),
        (ProviderBusy(), "delayed"),  # nobody was reached
        (OutsideWindow(), "failed"),
        (NotSent(vendor_code="131008"), "failed"),
        (AccessLost(), "failed"),
    ],
)
def test_each_answer_says_whether_it_may_be_tried_again(asked, provider, trouble, state):
    provider.trouble = trouble
    row = leave(asked())
    assert row.state == state
    assert (row.tried_at is None) == (state == "delayed")
    assert row.may_be_repeated == (state != "delayed")


def test_what_was_put_off_leaves_when_its_time_has_come_and_not_before(asked, provider):
    provider.trouble = ProviderBusy(code=Outcome.RATE_LIMITED, after_s=600)
    row = leave(asked())
    provider.trouble = None
    assert leave(row).state == "delayed"
    assert row.due_at > clock.now() + timedelta(minutes=9)
    Sending.objects.update(due_at=clock.now())
    assert leave(row).state == "accepted"
    assert len(provider.sent) == 1


def test_what_is_put_off_for_ever_ends(asked, provider):
    provider.trouble = ProviderBusy(code=Outcome.RATE_LIMITED)
    row = asked()
    for _ in range(sending.MOST_TRIES):
        Sending.objects.update(due_at=clock.now())
        leave(row)
    assert (row.state, row.refusal) == ("failed", "rate_limited")


def test_the_window_is_open_up_to_its_last_moment(chat, asked, monkeypatch):
    now = clock.now()
    Message.objects.update(sent_at=now - window.LASTS)
    monkeypatch.setattr(clock, "now", lambda: now)
    with pytest.raises(OutsideWindow):
        asked()
    monkeypatch.setattr(clock, "now", lambda: now - timedelta(seconds=1))
    assert asked().state == "queued"


def test_a_window_that_closes_while_it_waits_keeps_the_message_here(asked, provider):
    row = asked()
    Message.objects.update(sent_at=clock.now() - window.LASTS)
    assert (leave(row).state, row.refusal) == ("failed", "outside_window")
    assert provider.sent == []


@pytest.mark.parametrize("kind", ["unseen", "system"])
def test_what_the_customer_did_not_say_opens_no_window(chat, kind):
    Message.objects.update(type=kind)
    assert window.closes_at(chat.pk) is None


def test_neither_our_own_words_nor_an_import_nor_a_clock_ahead_opens_a_window(chat, workspace, number):
    Message.objects.all().delete()
    wrote(chat, direction="out")
    wrote(chat, ago=-AN_HOUR)
    run = ChatImport.objects.create(
        workspace=workspace, connection=number, person=chat.person, archive_sha256="0" * 64, time_zone="UTC",
        asked_by="test",
    )  # fmt: skip
    wrote(chat, chat_import=run)
    assert not window.is_open(chat.pk)


def test_a_template_leaves_although_the_window_is_closed(asked, provider):
    Message.objects.update(sent_at=clock.now() - timedelta(days=3))
    assert leave(asked(text=None, template=TEMPLATE)).state == "accepted"


@pytest.mark.parametrize(
    ("facts", "error"),
    [
        ({"text": "  "}, asking.TextMissing),
        ({"text": None}, asking.TextMissing),
        ({"text": "a" * 1025}, asking.TextTooLong),
        ({"buttons": (Button("a", "a" * 21),)}, asking.TextTooLong),
        ({"buttons": tuple(Button(str(n), str(n)) for n in range(4))}, asking.TextTooLong),
        ({"text": None, "template": Template("", "pt_BR")}, asking.TemplateIncomplete),
        ({"text": None, "template": Template("hello", " ")}, asking.TemplateIncomplete),
    ],
)
def test_what_cannot_be_said_is_refused_before_it_is_written_down(asked, facts, error):
    with pytest.raises(error):
        asked(**facts)
    assert not Sending.objects.exists()


def test_nothing_is_sent_through_a_number_that_is_paused_or_removed(asked, provider, number):
    waiting = asked()
    connections.pause(number, "test")
    with pytest.raises(asking.NumberUnusable):
        asked()
    assert (leave(waiting).state, waiting.refusal) == ("failed", "number_paused")
    connections.resume(number, "test")
    waiting = asked()
    connections.remove(number, "test")
    assert leave(waiting).refusal == "number_removed"
    assert provider.sent == []


def test_a_chat_of_another_number_or_workspace_gets_nothing(asked, provider, other_workspace, number):
    row = asked()
    Sending.objects.update(workspace=other_workspace)
    assert leave(row).state == "failed"
    assert provider.sent == []


def test_pressing_twice_asks_once(chat, provider):
    wish = asking.Wish(chat, text=TEXT)
    first, second = (journey.answer(wish, "test") for _ in range(2))
    assert first == second
    assert Sending.objects.count() == 1
    assert AuditEntry.objects.filter(action="answer.asked").count() == 1


def test_a_person_repeats_what_may_not_have_arrived_and_only_once(asked, provider):
    provider.trouble = ProviderBusy(code=Outcome.TIMED_OUT)
    row = leave(asked())
    provider.trouble = None
    first, second = (journey.answer_again(row, "test") for _ in range(2))
    assert first == second
    assert leave(first).state == "accepted"
    with pytest.raises(asking.TooLate):
        journey.answer_again(first, "test")


def test_what_has_not_left_can_be_taken_back(asked, provider):
    row = asked()
    asking.cancel(row, "test")
    assert (leave(row).state, row.refusal, provider.sent) == ("failed", "cancelled", [])
    gone = leave(asked())
    with pytest.raises(asking.TooLate):
        asking.cancel(gone, "test")


def test_logs_and_the_audit_trail_carry_neither_number_nor_text(asked, provider, caplog):
    caplog.set_level(logging.DEBUG)
    leave(asked())
    provider.trouble = ValueError(f"+15555550142 {TEXT}")
    leave(asked())
    told = caplog.text + "".join(repr(record.__dict__) for record in caplog.records)
    told += repr(list(AuditEntry.objects.values()))
    assert "5555550142" not in told
    assert TEXT not in told


def test_a_job_that_was_lost_is_found_by_the_clock(asked):
    row = asked()
    journey.start_sendings()
    with database.cursor() as cursor:
        cursor.execute("SELECT args FROM procrastinate_jobs WHERE task_name = 'acervo:send'")
        assert [json.loads(args) for (args,) in cursor.fetchall()] == [{"sending_id": str(row.pk)}]


def test_when_two_people_turn_out_to_be_one_their_messages_go_along(asked, provider, workspace, chat):
    from acervo.receive.people import _move

    row = leave(asked())
    other = make_person(workspace, phone="+15555550999")
    with transaction.atomic():
        _move(chat.person_id, other.pk)
    row.refresh_from_db()
    assert row.chat.person == other


def test_what_is_written_down_afterwards_survives_a_database_that_is_away_for_a_moment(
    asked, provider, monkeypatch
):
    from django.db import OperationalError

    monkeypatch.setattr(sending, "PAUSES_S", (0.0, 0.0))
    really, calls = sending._accept, []

    def away_once(*told: Any) -> None:
        calls.append(told)
        if len(calls) == 1:
            raise OperationalError
        really(*told)

    monkeypatch.setattr(sending, "_accept", away_once)
    assert leave(asked()).state == "accepted"
    assert len(provider.sent) == 1


def test_only_what_surely_was_not_taken_may_be_tried_again_by_itself():
    assert sending.was_not_taken(ProviderBusy(code=Outcome.RATE_LIMITED, http_status=429))
    assert sending.was_not_taken(ProviderBusy())
    assert not sending.was_not_taken(ProviderBusy(http_status=503))
    assert not sending.was_not_taken(TryLater())


def test_an_id_of_another_chat_is_nobodys_to_choose(asked, chat, number, workspace):
    row = asked()
    other = Chat.objects.create(
        workspace=workspace, connection=number, person=make_person(workspace, "Outra", "+15555550144")
    )
    wrote(other)
    with pytest.raises(asking.TooLate):
        asking.ask(asking.Wish(other, text=TEXT, id=row.pk), "test")
