"""The doctor asks each connection, tries its way in, and says what else is known to be wrong with it, each with its cure."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from acervo.base import clock
from acervo.management.commands import doctor
from acervo.management.commands.doctor import Finding
from acervo.models import AccountEvent, AuditEntry, Connection, Workspace
from acervo.providers.contract import AccessLost
from acervo.providers.fake.adapter import Fake
from tests.conftest import make_connection

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def number(workspace: Workspace, settings: Any) -> Any:
    settings.ACERVO_PROBE = False
    yield make_connection(workspace, "fake", secrets={"signing_secret": "s"})
    Fake.accounts.clear()


def findings() -> list[Finding]:
    return list(doctor._connections())


def test_a_connection_that_is_well_says_what_it_knows(number: Connection) -> None:
    (found,) = findings()
    assert (found.is_well, found.says) == (True, "answers")
    assert AuditEntry.objects.get().by.startswith("command:")


def test_lost_access_is_said_in_words_with_its_cure(number: Connection) -> None:
    Fake.account(number.account_id).trouble = AccessLost("x")
    (found,) = findings()
    assert not found.is_well
    assert "no longer accepts our access" in found.says
    assert found.cure == "Reconnect it under Integrations."


def test_a_closed_way_in_is_tried_and_named(number: Connection, settings: Any) -> None:
    settings.ACERVO_PROBE, settings.ACERVO_BASE_URL = True, "http://127.0.0.1:1"
    well, closed = findings()
    assert well.is_well
    assert (closed.is_well, closed.part.endswith("way in")) == (False, True)
    assert "Nobody listens" in closed.says


def test_what_else_is_known_is_said_too(number: Connection) -> None:
    soon = (clock.now() + timedelta(days=2)).isoformat()
    Connection.objects.update(
        check_facts={"token_expires_at": soon}, check_code="ok", checked_at=clock.now() + timedelta(minutes=1)
    )
    AccountEvent.objects.create(
        workspace=number.workspace, connection=number, key="0" * 64, type="account_update", severity="critical",
        facts={"waba_ban_state": "DISABLE"}, at=clock.now(), received_at=clock.now(),
    )  # fmt: skip
    told = [finding.says for finding in findings() if not finding.is_well]
    assert any("WhatsApp disabled the business account" in says for says in told)
    assert any("The token of Suporte ends in" in says for says in told)
    assert all(finding.cure for finding in findings() if not finding.is_well)


@pytest.mark.parametrize("kind", ["meta_cloud", "messagebird"])
def test_the_clock_matters_more_where_signatures_live_for_a_minute(kind: str, workspace: Workspace) -> None:
    make_connection(workspace, kind)
    assert ("MessageBird" in doctor._clock_cure()) is (kind == "messagebird")
    assert doctor._clock_cure().startswith("Synchronise this machine's clock")
