"""A Zendesk account whose panel is on, a customer tied to one of its users, and what the customer sent."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client

from acervo.base import clock, ids
from acervo.govern import embeds
from acervo.models import Connection, MediaFile, Person, RecordLink
from tests.conftest import make_connection, make_person
from tests.embed.crm import claims, jwt, public_pem, rsa_key
from tests.play.conftest import one_connection  # noqa: F401  (a fixture)

CUSTOMER, TICKET = "5001", "48213"


def switch_on(account: Connection, **wanted: Any) -> None:
    embeds.change(account, embeds.Wanted(**{"shown_to": "agents", **wanted}), "test")
    embeds.turn_on(account, "test")


@pytest.fixture
def zendesk(workspace) -> Connection:
    made = make_connection(
        workspace, "zendesk", account_id="aurora", name="Zendesk Aurora", options={"subdomain": "aurora"}
    )
    switch_on(made, app_id="4711", public_key=public_pem(rsa_key()))
    return made


@pytest.fixture
def salesforce(workspace) -> Connection:
    made = make_connection(
        workspace,
        "salesforce",
        account_id="00D000000000001AAA",
        name="Salesforce Aurora",
        api_base="https://aurora.my.salesforce.com",
    )
    switch_on(made)
    return made


@pytest.fixture
def hubspot(workspace) -> Connection:
    made = make_connection(
        workspace,
        "hubspot",
        account_id="4242",
        name="HubSpot Aurora",
        options={"ui_domain": "app.hubspot.com"},
    )
    switch_on(made, secret="s3cr3t-of-the-app", app_id="99")
    return made


@pytest.fixture
def customer(workspace) -> Person:
    return make_person(workspace)


def tie(account: Connection, record: str, object_type: str = "contact", **to: Any) -> RecordLink:
    return RecordLink.objects.create(
        workspace=account.workspace,
        connection=account,
        object_type=object_type,
        record_id=record,
        reason="matched_phone",
        linked_by="test",
        linked_at=clock.now(),
        **to,
    )


@dataclass
class Panel:
    """An open panel, as its page drives it."""

    answer: Any
    token: str
    records: tuple[str, ...] = ()

    def ask(self, path: str, method: str = "get", token: str | None = None, **query: str) -> Any:
        told = [("record", record) for record in self.records] + list(query.items())
        asked = "&".join(f"{name}={value}" for name, value in told)
        bearer = self.token if token is None else token
        return getattr(Client(), method)(
            f"/embed/{path}?{asked}", HTTP_AUTHORIZATION=f"Bearer {bearer}", HTTP_ACCEPT_LANGUAGE="en"
        )

    def files(self, **query: str) -> str:
        answer = self.ask("files", **query)
        assert answer.status_code == 200
        return answer.content.decode()

    def playback(self, media: MediaFile) -> Any:
        return self.ask(f"files/{media.slug}/playback", "post")


def opened(answer: Any, *records: str) -> Panel:
    assert answer.status_code == 200, answer.content.decode()[:500]
    found = re.search(r'name="embed-token" content="([^"]+)"', answer.content.decode())
    assert found
    return Panel(answer, found[1], records)


@pytest.fixture
def in_zendesk(zendesk) -> Callable[..., Any]:
    """`in_zendesk()` opens the panel; `in_zendesk(token=…)` with another token; the answer as it came."""

    def post(token: str | None = None, account: Connection = zendesk, **changed: Any) -> Any:
        now = clock.now().timestamp()
        form = {"token": jwt(claims(now, jti=ids.text(ids.new()), **changed)) if token is None else token}
        return Client().post(f"/embed/{ids.text(account.pk)}/page?origin=x&app_guid=y", form)

    return post
