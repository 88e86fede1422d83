"""A pressed button is an answer, with the message as its proof; whatever else is said is none."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import IntegrityError, transaction

from acervo import journey
from acervo.answer import asking, sending, wording
from acervo.base import clock
from acervo.govern import consent
from acervo.models import (
    AuditEntry,
    Chat,
    ConsentAnswer,
    Message,
    Person,
    Receipt,
    Sending,
    SendingPurpose,
)
from acervo.receive.people import _move
from tests.answer.conftest import AN_HOUR, wrote
from tests.conftest import make_connection, make_person

pytestmark = pytest.mark.django_db(transaction=True)

QUESTION = "Podemos guardar o que você envia?"


@pytest.fixture
def chat(workspace, connection) -> Chat:
    found = Chat.objects.create(workspace=workspace, connection=connection, person=make_person(workspace))
    wrote(found)
    return found


def ask(chat: Chat, *, provider_id: str = "wamid.question") -> Sending:
    """The question as if Meta had taken it."""
    wish = asking.Wish(chat, text=QUESTION, purpose=SendingPurpose.CONSENT_ASKED)
    buttons = wording.consent_buttons(wish.id, "Sim", "Não")
    row = asking.ask(asking.Wish(chat, QUESTION, None, buttons, wish.purpose, None, wish.id), "test")
    said = Message.objects.create(
        workspace=chat.workspace, connection=chat.connection, chat=chat, provider_id=provider_id, direction="out",
        type="interactive", sent_at=clock.now(),
    )  # fmt: skip
    now = clock.now()
    Sending.objects.filter(pk=row.pk).update(
        asked_at=now - AN_HOUR, tried_at=now, accepted_at=now, provider_id=provider_id, message=said
    )
    row.refresh_from_db()
    return row


def hear(message: Message) -> dict[Any, Any]:
    with transaction.atomic():
        return dict(consent.hear([(message.connection_id, message.provider_id)]))


def presses(chat: Chat, button: str, title: str = "Sim", **facts: Any) -> Message:
    extra = {"button": {"kind": "button_reply", "id": button}} if button else {}
    return wrote(chat, timedelta(0), type="interactive", text=title, extra=extra, **facts)


@pytest.mark.parametrize(("answer", "is_given"), [("yes", True), ("no", False)])
def test_a_button_is_the_answer_and_its_message_the_proof(chat, answer, is_given):
    question = ask(chat)
    message = presses(chat, f"consent:{answer}:{question.pk.hex}")
    deeds = hear(message)
    assert hear(message) == {}
    said = ConsentAnswer.objects.get()
    assert (said.message, said.sending, said.is_given) == (message, question, is_given)
    assert said.answered_at == message.sent_at
    (deed,) = deeds[chat.workspace_id]
    assert deed.action == ("consent.given" if is_given else "consent.refused")
    assert consent.allows(chat.workspace_id, chat.person_id, consent.TRANSCRIBE) == is_given


def test_the_newest_answer_counts(chat):
    question = ask(chat)
    hear(presses(chat, f"consent:no:{question.pk.hex}"))
    assert not consent.allows(chat.workspace_id, chat.person_id, consent.TRANSCRIBE)
    hear(presses(chat, f"consent:yes:{question.pk.hex}"))
    assert consent.standing(chat.person_id).is_given
    assert ConsentAnswer.objects.count() == 2


@pytest.mark.parametrize(
    "facts",
    [
        {"button": "", "title": "Sim"},  # typed
        {"button": "", "title": "Talvez", "reply_to": "wamid.question"},
        {"button": "consent:yes:0000", "title": "Claro"},
        {"button": "menu:1", "title": "Outra coisa"},
    ],
)
def test_whatever_else_they_say_is_no_answer(chat, facts):
    ask(chat)
    hear(presses(chat, **facts))
    assert not ConsentAnswer.objects.exists()


def test_the_label_in_a_reply_to_the_question_is_an_answer(chat):
    ask(chat)
    hear(presses(chat, "", "sim", reply_to="wamid.question"))
    assert ConsentAnswer.objects.get().is_given


def test_a_button_of_a_template_answers_by_its_label(chat):
    ask(chat)
    hear(presses(chat, "payload-of-the-template", "Não"))
    assert not ConsentAnswer.objects.get().is_given


def test_somebody_elses_button_answers_nothing(chat, workspace, connection):
    question = ask(chat)
    other = Chat.objects.create(
        workspace=workspace, connection=connection, person=make_person(workspace, "Outro", "+15555550199")
    )
    hear(presses(other, f"consent:yes:{question.pk.hex}"))
    assert not ConsentAnswer.objects.exists()


def test_where_only_a_label_comes_back_it_answers_the_question_before_it(workspace):
    bird = make_connection(
        workspace, "bird", account_id="b1", secrets={"access_key": "k", "signing_key": "s"},
        options={"workspace_id": "w", "organization_id": "o"},
    )  # fmt: skip
    chat = Chat.objects.create(workspace=workspace, connection=bird, person=make_person(workspace))
    wrote(chat)
    question = ask(chat)
    early = wrote(chat, timedelta(hours=2), text="Sim")
    hear(early)
    assert not ConsentAnswer.objects.exists()
    hear(wrote(chat, timedelta(0), text="Sim"))
    assert ConsentAnswer.objects.get().is_given
    Sending.objects.filter(pk=question.pk).update(asked_at=clock.now() - consent.ANSWERED_WITHIN)
    hear(wrote(chat, timedelta(0), text="Não"))
    assert ConsentAnswer.objects.count() == 1


def test_a_webhook_with_a_button_is_heard_as_it_is_read(chat, connection):
    question = ask(chat)
    reply = {"id": f"consent:yes:{question.pk.hex}", "title": "Sim"}
    at = str(int(clock.now().timestamp()))
    told = {
        "from": "15555550142", "id": "wamid.pressed", "timestamp": at, "type": "interactive",
        "interactive": {"type": "button_reply", "button_reply": reply}, "context": {"id": "wamid.question"},
    }  # fmt: skip
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"phone_number_id": connection.account_id, "display_phone_number": "15555550100"},
        "messages": [told],
        "statuses": [
            {"id": "wamid.question", "status": "read", "timestamp": at, "recipient_id": "15555550142"}
        ],
    }
    body = {
        "object": "whatsapp_business_account",
        "entry": [{"id": "1", "changes": [{"field": "messages", "value": value}]}],
    }
    for _ in range(2):
        Receipt.objects.create(
            workspace=connection.workspace,
            connection=connection,
            received_at=clock.now(),
            body=json.dumps(body).encode(),
        )
    while journey.read():
        pass
    assert ConsentAnswer.objects.get().message.provider_id == "wamid.pressed"
    question.refresh_from_db()
    assert question.state == "read"
    assert AuditEntry.objects.filter(action="consent.given").count() == 1
    assert not Receipt.objects.unread().exists()


def test_two_identities_that_become_one_keep_their_answers(chat, workspace):
    question = ask(chat)
    hear(presses(chat, f"consent:yes:{question.pk.hex}"))
    other = make_person(workspace, phone="+15555550999")
    with transaction.atomic():
        _move(chat.person_id, other.pk)
    assert consent.standing(other.pk) is not None


def test_a_message_proves_one_answer(chat):
    question = ask(chat)
    message = presses(chat, f"consent:yes:{question.pk.hex}")
    hear(message)
    with pytest.raises(IntegrityError), transaction.atomic():
        ConsentAnswer.objects.create(
            workspace=chat.workspace, person=Person.objects.get(pk=chat.person_id), sending=question,
            message=message, refused_at=clock.now(),
        )  # fmt: skip


def test_the_question_leaves_with_its_two_buttons(workspace, monkeypatch):
    from acervo.providers.fake.adapter import Fake

    Fake.accounts.clear()
    number = make_connection(workspace, "fake", account_id="f", secrets={"signing_secret": "s"})
    chat = Chat.objects.create(workspace=workspace, connection=number, person=make_person(workspace))
    wrote(chat)
    wish = asking.Wish(chat, text=QUESTION, purpose=SendingPurpose.CONSENT_ASKED)
    buttons = wording.consent_buttons(wish.id, *wording.consent_titles("pt-br"))
    row = journey.answer(asking.Wish(chat, QUESTION, None, buttons, wish.purpose, None, wish.id), "test")
    async_to_sync(sending.send)(row.pk)
    (left,) = Fake.account("f").sent
    assert [button.id for button in left.buttons] == [f"consent:yes:{row.pk.hex}", f"consent:no:{row.pk.hex}"]
    assert all(len(button.title) <= 20 for button in left.buttons)
    Fake.accounts.clear()
