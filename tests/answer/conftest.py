"""A number at the in-memory provider, and a customer who wrote to it an hour ago."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from acervo.answer.asking import Wish, ask
from acervo.base import clock, ids
from acervo.models import Chat, Connection, Message, Sending, Workspace
from acervo.providers.fake.adapter import Fake, FakeAccount
from tests.conftest import make_connection, make_person

AN_HOUR = timedelta(hours=1)
TEXT = "Recebemos, obrigado!"


@pytest.fixture
def number(workspace: Workspace) -> Connection:
    return make_connection(
        workspace, "fake", account_id="fake-1", name="Vendas", secrets={"signing_secret": "s"}
    )


@pytest.fixture
def provider() -> Iterator[FakeAccount]:
    """The provider's side of that number."""
    Fake.accounts.clear()
    yield Fake.account("fake-1")
    Fake.accounts.clear()


@pytest.fixture
def chat(workspace: Workspace, number: Connection, provider: FakeAccount) -> Chat:
    found = Chat.objects.create(workspace=workspace, connection=number, person=make_person(workspace))
    wrote(found)
    return found


def wrote(chat: Chat, ago: timedelta = AN_HOUR, **facts: Any) -> Message:
    """The customer wrote."""
    columns = {"direction": "in", "type": "text", "text": "oi", "sent_at": clock.now() - ago, **facts}
    return Message.objects.create(
        workspace_id=chat.workspace_id,
        connection_id=chat.connection_id,
        chat=chat,
        provider_id=columns.pop("provider_id", f"in-{ids.text(ids.new())}"),
        **columns,
    )


@pytest.fixture
def asked(chat: Chat) -> Callable[..., Sending]:
    """`asked(text=…)`: a message that somebody wants to leave."""
    return lambda **facts: ask(Wish(chat, **{"text": TEXT, **facts}), "test")
