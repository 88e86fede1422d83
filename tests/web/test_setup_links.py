"""A step sent to somebody without an account: it opens that step, for a while, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.http import HttpResponse
from django.test import Client

from acervo.base import clock, ids
from acervo.base.tokens import digest
from acervo.govern import reach, setup_links, setups
from acervo.govern.reach import Reach
from acervo.keep import credentials
from acervo.models import AuditEntry, Connection, Member, Setup, SetupLink, Step
from acervo.web.setup_links import SENDING
from sandbox.whatsapp import Phone, SandboxServer
from tests.conftest import make_file
from tests.served import served

pytestmark = pytest.mark.django_db(transaction=True)
PHONE = Phone()
TYPED = {
    "account_id": PHONE.phone_number_id, "waba_id": PHONE.waba_id, "token": PHONE.access_token,
    "app_secret": PHONE.app_secret,
}  # fmt: skip


@pytest.fixture(autouse=True)
def answering(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "reach", lambda: Reach("ok", clock.now()))
    cache.clear()


@pytest.fixture
def meta() -> Iterator[SandboxServer]:
    with served(SandboxServer(phones=[PHONE])) as server:
        yield server


@pytest.fixture
def setup(alice: Member, meta: SandboxServer) -> Setup:
    """Named by a member, who has no access to the provider."""
    row = setups.begin(alice.workspace, "meta_cloud", "test")
    setups.note(row, setups.Access(account_id="", name="Suporte", api_base=meta.base_url))
    return row


@pytest.fixture
def connected(setup: Setup) -> Setup:
    secrets = {"token": PHONE.access_token, "app_secret": PHONE.app_secret}
    options = {"waba_id": PHONE.waba_id}
    setups.note(
        setup, setups.Access(PHONE.phone_number_id, options=options, secrets=secrets, api_base=setup.api_base)
    )
    setups.connect(setup, {}, "test")
    return setup


def said(answer: HttpResponse) -> str:
    return answer.content.decode()


def test_a_member_makes_a_link_that_is_shown_once_and_kept_as_a_digest(
    page_of: Callable[[Member], Client], alice: Member, setup: Setup
) -> None:
    client = page_of(alice)
    page = said(client.post(f"/integrations/new/whatsapp/{ids.text(setup.pk)}/send"))
    found = re.search(r"/step/([\w-]{20,})", page)
    assert found
    link = SetupLink.objects.get()
    assert link.token_sha256 == digest(found[1])
    assert link.step == Step.ACCESS
    assert link.expires_at - link.made_at == pytest.approx(timedelta(days=7), abs=timedelta(seconds=5))
    again = said(client.get(f"/integrations/new/whatsapp/{ids.text(setup.pk)}/access"))
    assert found[1] not in again
    assert "Links that are open" in again
    written = str(list(AuditEntry.objects.values("reason", "details", "action")))
    assert "setup.step_sent" in written
    assert found[1] not in written


def test_a_stranger_gives_the_access_and_the_link_is_used_up(setup: Setup) -> None:
    token = setup_links.make(setup, Step.ACCESS, "test")
    stranger = Client()
    page = said(stranger.get(f"/step/{token}"))
    assert 'name="token"' in page
    assert 'name="name"' not in page, "the number's name is the archive's business"
    assert 'name="api_base"' not in page
    answer = stranger.post(f"/step/{token}", TYPED)
    assert answer.status_code == 200
    assert "Thank you" in said(answer)
    connection = Connection.objects.get()
    link = SetupLink.objects.get()
    assert connection.created_by == f"link:{ids.text(link.pk)}"
    assert connection.name == "Suporte"
    assert credentials.open_secrets(connection)["token"] == PHONE.access_token
    for answer in (stranger.get(f"/step/{token}"), stranger.post(f"/step/{token}", TYPED)):
        assert answer.status_code == 404
        assert "This link is closed" in said(answer)
    assert AuditEntry.objects.filter(action="setup.link_used", by=f"link:{ids.text(link.pk)}").exists()


def test_a_stranger_reads_why_a_token_is_wrong_and_sees_no_secret(setup: Setup) -> None:
    token = setup_links.make(setup, Step.ACCESS, "test")
    answer = Client().post(f"/step/{token}", {**TYPED, "token": "wrong-token-value"})
    assert answer.status_code == 422
    assert "does not accept this access" in said(answer)
    assert PHONE.app_secret not in said(answer)
    assert SetupLink.objects.get().used_at is None


def test_a_stranger_cannot_send_the_secrets_elsewhere(setup: Setup) -> None:
    token = setup_links.make(setup, Step.ACCESS, "test")
    with served(SandboxServer(phones=[PHONE])) as other:
        Client().post(f"/step/{token}", {**TYPED, "api_base": other.base_url, "name": "Mine"})
        assert not other.statistics.requests
    assert Connection.objects.get().name == "Suporte"


def test_a_stranger_sets_the_webhook_and_sees_nothing_else_of_the_archive(connected: Setup) -> None:
    assert connected.connection is not None
    media = make_file(connected.connection, kind="voice", caption="Segredo")
    token = setup_links.make(connected, Step.WEBHOOK, "test")
    stranger = Client()
    page = said(stranger.get(f"/step/{token}"))
    assert f"/hooks/meta_cloud/{ids.text(connected.connection.pk)}" in page
    for hidden in (
        media.slug,
        "Segredo",
        "Marina",
        "/library",
        "/integrations",
        PHONE.access_token,
        PHONE.app_secret,
    ):
        assert hidden not in page
    assert 'name="token"' not in page, "only its own step"
    assert "Thank you" in said(stranger.post(f"/step/{token}"))
    connected.refresh_from_db()
    assert connected.settled_at is not None


@pytest.mark.parametrize(
    "end", ["expired", "revoked", "used", "dropped", "tried", "done_by_another", "unknown"]
)
def test_a_link_that_is_over_opens_nothing_and_says_the_same(setup: Setup, end: str) -> None:
    token = setup_links.make(setup, Step.ACCESS, "test")
    link = SetupLink.objects.get()
    if end == "expired":
        SetupLink.objects.update(expires_at=clock.now())
    elif end == "revoked":
        setup_links.revoke(link, "test")
    elif end == "used":
        setup_links.use(link)
    elif end == "dropped":
        setups.drop(setup, "test")
    elif end == "tried":
        SetupLink.objects.update(tries=link.most_tries)
    elif end == "done_by_another":
        setups.note(
            setup, setups.Access("1", secrets={"token": "t", "app_secret": "s"}, api_base=setup.api_base)
        )
        setups.connect(setup, {}, "test")
    else:
        token = "x" * 32
    pages = set()
    for answer in (Client().get(f"/step/{token}"), Client().post(f"/step/{token}", TYPED)):
        assert answer.status_code == 404
        pages.add("This link is closed" in said(answer))
    assert pages == {True}
    assert Connection.objects.filter(account_id=PHONE.phone_number_id).count() == 0


def test_whoever_knocks_too_often_waits(setup: Setup) -> None:
    token = setup_links.make(setup, Step.ACCESS, "test")
    stranger = Client()
    statuses = [stranger.post("/step/guess", {}).status_code for _ in range(SENDING.times)]
    assert set(statuses) == {404}
    assert stranger.post(f"/step/{token}", TYPED).status_code == 429
    assert not Connection.objects.exists()


def test_only_the_step_that_is_due_can_be_sent(setup: Setup, connected: Setup) -> None:
    for step in (Step.ACCESS, Step.TEST, Step.PRIVACY):
        with pytest.raises(setup_links.StepCannotBeSent):
            setup_links.make(connected, step, "test")


def test_a_link_is_taken_back_by_a_member_only(
    page_of: Callable[[Member], Client], alice: Member, charlie: Member, setup: Setup
) -> None:
    token = setup_links.make(setup, Step.ACCESS, "test")
    link = SetupLink.objects.get()
    where = f"/integrations/new/whatsapp/{ids.text(setup.pk)}/links/{ids.text(link.pk)}/revoke"
    assert page_of(charlie).post(where).status_code == 404
    assert Client().get(f"/step/{token}").status_code == 200
    page_of(alice).post(where)
    assert Client().get(f"/step/{token}").status_code == 404


def test_the_form_of_a_stranger_needs_its_token_against_forgery(setup: Setup) -> None:
    token = setup_links.make(setup, Step.ACCESS, "test")
    assert Client(enforce_csrf_checks=True).post(f"/step/{token}", TYPED).status_code == 403
