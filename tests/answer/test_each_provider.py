"""A message leaves through each provider's simulator once, and a pressed button comes back through its webhook."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from asgiref.sync import async_to_sync
from django.db import transaction

from acervo import journey, providers
from acervo.answer import asking, sending, statuses, wording
from acervo.base import clock
from acervo.keep import credentials
from acervo.models import (
    Chat,
    Connection,
    ConsentAnswer,
    Message,
    Receipt,
    Sending,
    SendingPurpose,
    Workspace,
)
from acervo.providers.contract import Announcement, StatusUpdate, Webhook
from acervo.providers.sending import Template
from acervo.providers.twilio import sending as twilio_sending
from sandbox import bird, messagebird, twilio
from sandbox.dialog360 import Dialog360Sandbox, Number
from sandbox.whatsapp import Phone, SandboxServer
from tests.answer.conftest import AN_HOUR, wrote
from tests.conftest import make_connection, make_person
from tests.served import served

pytestmark = pytest.mark.django_db(transaction=True)
TEMPLATE = Template("welcome", "pt_BR", ("Marina",))
TWILIO_TEMPLATE = Template("HX" + "0" * 32, "pt_BR", ("Marina",))


def meta_cloud(workspace: Workspace) -> tuple[Any, dict[str, Any]]:
    phone = Phone()
    secrets = {
        "token": phone.access_token,
        "app_secret": phone.app_secret,
        "verify_token": phone.verify_token,
    }
    return SandboxServer([phone]), {"account_id": phone.phone_number_id, "secrets": secrets}


def dialog360(workspace: Workspace) -> tuple[Any, dict[str, Any]]:
    number = Number()
    secrets = {"api_key": number.access_token, "hook_secret": "hook", "path_key": "path"}
    return Dialog360Sandbox(), {"account_id": number.phone_number_id, "secrets": secrets}


def at_twilio(workspace: Workspace) -> tuple[Any, dict[str, Any]]:
    account = twilio.Account()
    options = {"account_sid": account.account_sid}
    secrets = {"auth_token": account.auth_token}
    return twilio.TwilioServer([account]), {
        "account_id": account.number,
        "secrets": secrets,
        "options": options,
    }


def at_messagebird(workspace: Workspace) -> tuple[Any, dict[str, Any]]:
    channel = messagebird.Channel()
    secrets = {"access_key": channel.access_key, "signing_key": channel.signing_key}
    return messagebird.MessageBirdServer([channel]), {"account_id": channel.channel_id, "secrets": secrets}


def at_bird(workspace: Workspace) -> tuple[Any, dict[str, Any]]:
    channel = bird.Channel()
    options = {"workspace_id": channel.workspace_id, "organization_id": channel.organization_id}
    secrets = {"access_key": channel.access_key, "signing_key": channel.signing_key}
    return bird.BirdServer([channel]), {
        "account_id": channel.channel_id,
        "secrets": secrets,
        "options": options,
    }


PLACES: dict[str, Callable[[Workspace], tuple[Any, dict[str, Any]]]] = {
    "meta_cloud": meta_cloud,
    "dialog360": dialog360,
    "twilio": at_twilio,
    "messagebird": at_messagebird,
    "bird": at_bird,
}
PRESSED = {
    "meta_cloud": "interactive_button_reply_consent.json",
    "dialog360": "interactive_button_reply_consent.json",
    "twilio": "button_reply.form",
    "messagebird": "interactive_button_reply.json",
    "bird": "button_reply_as_text.json",
}


def chat_at(connection: Connection, phone: str = "+15555550142") -> Chat:
    person = make_person(connection.workspace, phone=phone)
    chat = Chat.objects.create(workspace=connection.workspace, connection=connection, person=person)
    wrote(chat)
    return chat


@pytest.mark.parametrize("kind", PLACES)
def test_text_buttons_and_template_leave_through_its_simulator(kind: str, workspace: Workspace) -> None:
    twilio_sending.contents.clear()
    server, facts = PLACES[kind](workspace)
    place: AbstractContextManager[Any] = served(server)
    with place as running:
        number = make_connection(workspace, kind, api_base=running.base_url, **facts)
        chat = chat_at(number)
        template = TWILIO_TEMPLATE if kind == "twilio" else TEMPLATE
        wish = asking.Wish(chat, text="Podemos?", purpose=SendingPurpose.CONSENT_ASKED)
        buttons = wording.consent_buttons(wish.id, "Sim", "Não")
        for asked in (
            asking.Wish(chat, text="Recebemos"),
            asking.Wish(chat, "Podemos?", None, buttons, wish.purpose, None, wish.id),
            asking.Wish(chat, template=template),
        ):
            row = journey.answer(asked, "test")
            for _ in range(2):
                async_to_sync(sending.send)(row.pk)
            row.refresh_from_db()
            assert (row.state, row.refusal) == ("accepted", None)
            with transaction.atomic():
                update = StatusUpdate(number.account_id, row.provider_id or "", "delivered", clock.now())
                statuses.hear([statuses.Told(number, update)])
            row.refresh_from_db()
            assert row.state == "delivered"
    assert Message.objects.filter(chat=chat, direction="out").count() == 3


@pytest.mark.parametrize("kind", PLACES)
def test_a_pressed_button_of_its_webhooks_is_heard(kind: str, workspace: Workspace) -> None:
    _, facts = PLACES[kind](workspace)
    folder = Path(providers.__file__).parent / kind / "payloads"
    body = (folder / PRESSED[kind]).read_bytes()
    number = make_connection(workspace, kind, **facts)
    headers = {"content-type": "application/x-www-form-urlencoded"} if kind == "twilio" else {}
    reading = credentials.provider(number).read(Webhook("POST", headers, body, received_at=clock.now()))
    (said,) = [event for event in reading.events if isinstance(event, Announcement)]
    Connection.objects.filter(pk=number.pk).update(account_id=said.account_id)
    number.refresh_from_db()
    chat = chat_at(number, said.sender.phone or "")
    row = Sending.objects.create(
        workspace=workspace, connection=number, chat=chat, purpose="consent_asked", text="Podemos?",
        asked_at=said.sent_at - AN_HOUR, asked_by="test", due_at=clock.now(), tried_at=clock.now(),
    )  # fmt: skip
    yes, no = wording.consent_buttons(row.pk, (said.text or "")[:20], "Não")
    row.buttons = [{"id": button.id, "title": button.title} for button in (yes, no)]
    row.save()
    theirs = said.extra.get("button", {}).get("id", "")
    if theirs:
        body = body.replace(quote(theirs, safe="").encode(), quote(yes.id, safe="").encode())
        body = body.replace(theirs.encode(), yes.id.encode())
    Receipt.objects.create(
        workspace=workspace, connection=number, received_at=clock.now(), headers=headers, body=body
    )
    while journey.read():
        pass
    answer = ConsentAnswer.objects.get()
    assert (answer.sending, answer.is_given, answer.person) == (row, True, chat.person)
    assert answer.message.provider_id == said.message_id
