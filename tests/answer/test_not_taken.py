"""Who sent a file that could not be kept is told so: once a message, in time, in their language, where that is wanted."""

from __future__ import annotations

from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync
from django.db import transaction

from acervo import journey
from acervo.answer import asking, not_taken, sending, window, wording
from acervo.base import clock
from acervo.govern import answers as govern
from acervo.govern.answers import Answers
from acervo.govern.media_rules import ChangedMeanwhile
from acervo.models import AnswerPolicy, AuditEntry, MediaFile, Message, Sending, SendingPurpose
from tests.conftest import make_connection, make_file, make_person

pytestmark = pytest.mark.django_db(transaction=True)
AGO = not_taken.TOLD_AFTER + timedelta(minutes=1)


@pytest.fixture
def switched_on(workspace):
    change(workspace, True)
    AnswerPolicy.objects.update(tells_not_taken_since=clock.now() - timedelta(days=1))


def change(workspace, tells, wordings=None):
    seen = Answers.of(workspace.pk).version
    return govern.change(workspace.pk, Answers(tells, wordings or {}), seen=seen, by="test")


@pytest.fixture
def lost(number, chat):
    """`lost(**columns)`: a file of theirs that could not be kept."""

    def make(code="too_large", **facts):
        at = clock.now() - AGO
        columns = {"gone_at": at, "refusal": code, "refused_at": at, **facts}
        return make_file(number, person=chat.person, **columns)

    return make


def tell():
    with transaction.atomic():
        return not_taken.ask_for_all()


def test_nobody_is_told_by_itself_unless_the_workspace_wants_that(lost):
    lost()
    assert tell() == []


def test_the_customer_is_told_once_in_their_language(lost, switched_on, workspace):
    media = lost()
    tell()
    tell()
    sending = Sending.objects.get()
    assert (sending.media, sending.answers, sending.purpose) == (media, media.message, "file_not_taken")
    assert sending.asked_by == "system:answer"
    assert sending.text == wording.default(SendingPurpose.FILE_NOT_TAKEN, "en")


def test_several_files_of_one_message_are_told_of_once(lost, switched_on):
    first = lost()
    MediaFile.objects.create(
        **{
            name: getattr(first, name)
            for name in ("workspace", "connection", "chat", "person", "message", "direction", "kind")
        },
        position=1, sent_at=first.sent_at, received_at=first.received_at, fetch_before=first.fetch_before,
        due_at=first.due_at, gone_at=first.gone_at, refusal="expired", refused_at=first.gone_at,
    )  # fmt: skip
    assert len(tell()) == 1
    assert tell() == []


def test_by_hand_and_by_itself_are_one_answer(lost, switched_on, chat):
    media = lost()
    asking.ask(asking.Wish(chat, text="desculpe", purpose=SendingPurpose.FILE_NOT_TAKEN, media=media), "test")
    assert tell() == []
    with pytest.raises(asking.AlreadyTold):
        asking.ask(
            asking.Wish(chat, text="de novo", purpose=SendingPurpose.FILE_NOT_TAKEN, media=media), "test"
        )


@pytest.mark.parametrize(
    "untold",
    [
        lambda media: MediaFile.objects.update(gone_at=clock.now()),  # somebody may just be asking again
        lambda media: MediaFile.objects.update(gone_at=clock.now() - timedelta(days=2)),
        lambda media: MediaFile.objects.update(gone_at=None, refusal=None, refused_at=None),
        lambda media: MediaFile.objects.update(direction="out"),
        lambda media: MediaFile.objects.update(refusal="taken_back", erase_asked_at=clock.now()),
        lambda media: Message.objects.update(revoked_at=clock.now()),
        lambda media: Message.objects.update(sent_at=clock.now() - window.LASTS),
        lambda media: type(media.connection).objects.update(
            paused_at=clock.now(), paused_by="test", pause_reason="by_hand"
        ),
        lambda media: AnswerPolicy.objects.update(tells_not_taken_since=clock.now()),
    ],
)
def test_these_are_told_nothing(lost, switched_on, untold):
    untold(lost())
    assert tell() == []


def test_another_workspace_is_not_spoken_for(lost, switched_on, other_workspace):
    elsewhere = make_connection(other_workspace, "fake", account_id="fake-9", secrets={"signing_secret": "s"})
    media = make_file(elsewhere, person=make_person(other_workspace))
    at = clock.now() - AGO
    MediaFile.objects.filter(pk=media.pk).update(gone_at=at, refusal="expired", refused_at=at)
    assert tell() == []


@pytest.mark.parametrize(
    ("phone", "language"),
    [
        ("+5511955550142", "pt-br"),
        ("+34605550142", "es"),
        ("+15555550142", "en"),
        ("+491515550142", "pt-br"),
    ],
)
def test_the_language_is_guessed_from_the_number_else_it_is_the_workspaces(workspace, phone, language):
    type(workspace).objects.update(language="pt-br")
    person = make_person(workspace, phone=phone)
    assert wording.language_for(person.pk, workspace.pk) == language


def test_a_workspace_says_it_in_its_own_words(workspace, lost):
    assert change(workspace, True, {"file_not_taken": {"en": "  Sorry, again please.  ", "es": ""}})
    AnswerPolicy.objects.update(tells_not_taken_since=clock.now() - timedelta(days=1))
    lost()
    tell()
    assert Sending.objects.get().text == "Sorry, again please."
    entry = AuditEntry.objects.get(action="answers.changed")
    assert entry.details == {"tells_not_taken": [False, True], "reworded": ["file_not_taken/en"]}


def test_a_change_that_nobody_sees_changes_nothing(workspace):
    seen = Answers.of(workspace.pk).version
    ours = wording.default(SendingPurpose.FILE_NOT_TAKEN, "en")
    assert not change(workspace, False, {"file_not_taken": {"en": ours}})
    change(workspace, True)
    with pytest.raises(ChangedMeanwhile):
        govern.change(workspace.pk, Answers(False, {}), seen=seen, by="test")
    with pytest.raises(asking.TextTooLong):
        change(workspace, True, {"file_not_taken": {"en": "a" * 1025}})


def test_switching_it_on_again_does_not_speak_of_what_was_lost_meanwhile(workspace, lost):
    change(workspace, True)
    lost()
    assert tell() == []


def test_the_clock_tells_and_a_worker_sends(lost, switched_on, provider):
    lost()
    journey.tell_what_was_not_taken()
    journey.tell_what_was_not_taken()
    row = Sending.objects.get()
    async_to_sync(sending.send)(row.pk)
    assert [message.text for message in provider.sent] == [row.text]
