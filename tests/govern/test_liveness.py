"""Each connection is asked whether it is well, once at a time, and what it says is kept."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from acervo import timetable
from acervo.base import clock
from acervo.base.database import in_thread
from acervo.govern import concerns, liveness
from acervo.govern.concerns import Signs, Weight
from acervo.models import AccountEvent, AuditEntry, Connection, Probe, Workspace
from acervo.providers.contract import AccessLost, ProviderBusy
from acervo.providers.fake.adapter import Fake
from acervo.receive.silence import Silence
from tests.conftest import make_connection

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def number(workspace: Workspace) -> Any:
    yield make_connection(workspace, "fake", secrets={"signing_secret": "s"})
    Fake.accounts.clear()


def account(row: Connection) -> Any:
    return Fake.account(row.account_id)


async def test_what_a_check_says_is_kept_and_the_clock_leaves_no_deed(number: Connection) -> None:
    await liveness.check(number)
    await in_thread(number.refresh_from_db)
    assert (number.check_code, number.checked_at is not None) == ("ok", True)
    assert not await in_thread(AuditEntry.objects.exists)


async def test_whoever_asked_stands_in_the_audit_trail(number: Connection) -> None:
    await liveness.check(number, "member:x")
    deed = await in_thread(AuditEntry.objects.get)
    assert (deed.action, deed.by, deed.reason) == ("connection.checked", "member:x", "ok")


@pytest.mark.parametrize(
    ("trouble", "code"), [(AccessLost("x"), "token_revoked"), (ProviderBusy("x"), "unavailable")]
)
async def test_a_bad_answer_is_kept_by_its_code_and_spares_the_facts(
    trouble: Exception, code: str, number: Connection
) -> None:
    await in_thread(
        lambda: Connection.objects.update(check_facts={"token_expires_at": "2026-12-01T00:00:00+00:00"})
    )
    account(number).trouble = trouble
    await liveness.check(number)
    await in_thread(number.refresh_from_db)
    assert number.check_code == code
    assert number.check_facts == {"token_expires_at": "2026-12-01T00:00:00+00:00"}


async def test_secrets_that_do_not_open_are_a_finding_too(number: Connection) -> None:
    await in_thread(lambda: Connection.objects.update(sealed_secrets=b"nothing of ours"))
    await liveness.check(number)
    await in_thread(number.refresh_from_db)
    assert number.check_code == "sealed_elsewhere"


async def test_a_vendor_that_hangs_is_given_up(number: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(self: Any, session: Any) -> Any:
        await asyncio.sleep(60)

    monkeypatch.setattr(Fake, "check", hang)
    monkeypatch.setattr(liveness, "TIMEOUT_S", 0.05)
    await liveness.check(number)
    await in_thread(number.refresh_from_db)
    assert number.check_code == "timed_out"


async def test_who_asks_together_asks_once(number: Connection) -> None:
    copies = [await in_thread(Connection.objects.get, pk=number.pk) for _ in range(5)]
    await asyncio.gather(*(liveness.check(row) for row in copies))
    assert account(number).questions == 1


async def test_the_clock_asks_each_live_connection_once_an_hour(
    number: Connection, workspace: Workspace
) -> None:
    crm = await in_thread(
        lambda: make_connection(workspace, "fake", purpose="crm", account_id="crm", secrets={"token": "t"})
    )
    paused = await in_thread(lambda: make_connection(workspace, "fake", account_id="2", secrets={}))
    await in_thread(paused.pause, by="test", reason="by_hand", at=clock.now())
    for _ in range(3):
        await timetable.check_connections.func(0)
    assert account(number).questions == 1
    for row in (number, crm, paused):
        await in_thread(row.refresh_from_db)
    assert [row.check_code for row in (number, crm, paused)] == ["ok", "ok", None]
    for minutes, questions in ((53, 1), (67, 2)):
        ago = clock.now() - timedelta(minutes=minutes)
        await in_thread(lambda ago=ago: Connection.objects.filter(pk=number.pk).update(checked_at=ago))
        await timetable.check_connections.func(0)
        assert account(number).questions == questions


async def test_one_that_fails_by_our_fault_hides_no_other(
    number: Connection, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    other = await in_thread(
        lambda: make_connection(workspace, "fake", account_id="2", secrets={"signing_secret": "s"})
    )
    asked = liveness._ask

    async def choke(row: Connection) -> Any:
        if row.pk == number.pk:
            raise RuntimeError("our fault")
        return await asked(row)

    monkeypatch.setattr(liveness, "_ask", choke)
    await timetable.check_connections.func(0)
    await in_thread(other.refresh_from_db)
    assert other.check_code == "ok"
    assert "clock.connection_failed" in caplog.text


# What is made of it


def row(**facts: Any) -> Connection:
    return Connection(kind="meta_cloud", name="Suporte", **facts)


def codes(signs: Signs) -> list[tuple[str, str]]:
    return [(concern.code, concern.weight.name) for concern in concerns.judged(signs)]


def ends_in(**away: float) -> dict[str, Any]:
    return {"token_expires_at": (clock.now() + timedelta(**away)).isoformat()}


def tried(code: str, **facts: Any) -> Probe:
    return Probe(code=code, asked_at=clock.now(), finished_at=clock.now(), facts=facts)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, []),
        ({"check_code": "ok", "checked_at": clock.now()}, []),
        ({"check_code": "token_revoked", "checked_at": clock.now()}, [("access_lost", "BAD")]),
        ({"check_code": "unavailable", "checked_at": clock.now()}, [("not_answering", "WARNING")]),
        ({"check_code": "ok", "checked_at": clock.now() - timedelta(hours=7)}, [("not_checked", "WARNING")]),
        ({"check_facts": ends_in(days=20)}, []),
        ({"check_facts": ends_in(days=13)}, [("token_ends", "WARNING")]),
        ({"check_facts": ends_in(days=2)}, [("token_ends", "BAD")]),
        ({"check_facts": ends_in(days=-2)}, [("token_ends", "BAD")]),
        ({"check_facts": {"token_expires_at": "never"}}, []),
        ({"check_facts": {"permissions_missing": ["x"]}}, [("permissions_missing", "WARNING")]),
        ({"check_facts": {"unwell": ["status"]}}, [("account_unwell", "WARNING")]),
        ({"check_facts": {"webhook": "elsewhere"}}, [("webhook_elsewhere", "WARNING")]),
        ({"check_facts": {"webhook": "elsewhere"}, "last_event_at": clock.now()}, []),
        ({"usage": {"percent": 81, "at": clock.now().isoformat()}}, [("allowance_spent", "WARNING")]),
        ({"usage": {"percent": 81, "at": (clock.now() - timedelta(hours=2)).isoformat()}}, []),
    ],
)
def test_each_fact_has_its_weight(facts: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert codes(Signs(row(**facts))) == expected


@pytest.mark.parametrize(
    ("probes", "expected"),
    [
        ([tried("ok")], []),
        ([tried("tls_expired"), tried("ok")], [("way_in_closed", "BAD")]),
        ([tried("refused"), tried("ok")], [("way_in_closed", "NOTE")]),
        ([tried("refused"), tried("proxy_alone")], [("way_in_closed", "BAD")]),
        ([tried("refused")], [("way_in_closed", "NOTE")]),
        (
            [tried("ok", certificate_ends_at=(clock.now() + timedelta(days=9)).isoformat())],
            [("certificate_ends", "WARNING")],
        ),
    ],
)
def test_a_restart_of_the_server_is_no_closed_door(
    probes: list[Probe], expected: list[tuple[str, str]]
) -> None:
    assert codes(Signs(row(), probes)) == expected


def test_the_worst_comes_first_and_each_is_said_once() -> None:
    events = [
        AccountEvent(type="security", severity="warning"),
        AccountEvent(type="account_update", severity="critical"),
    ]
    quiet = Silence(clock.now() - timedelta(hours=9), timedelta(hours=1), is_longer=True)
    bad = row(
        check_code="forbidden", checked_at=clock.now(), check_facts={**ends_in(days=10), "unwell": ["status"]}
    )
    found = concerns.judged(Signs(bad, [tried("dns")], events, quiet))
    assert [concern.code for concern in found] == [
        "access_lost", "way_in_closed", "account_event", "account_event", "token_ends", "account_unwell", "quiet",
    ]  # fmt: skip
    assert [concern.weight for concern in found] == sorted(concern.weight for concern in found)
    assert found[-1].weight == Weight.NOTE


async def test_everything_about_many_connections_is_asked_at_once(
    number: Connection, workspace: Workspace, django_assert_num_queries: Any
) -> None:
    def look() -> None:
        others = [make_connection(workspace, "fake", account_id=str(n), secrets={}) for n in range(5)]
        for one in others:
            for code in ("refused", "proxy_alone", "ok"):
                Probe.objects.create(
                    workspace=workspace, connection=one, asked_by="x", code=code,
                    asked_at=clock.now() - timedelta(hours={"refused": 1, "proxy_alone": 2, "ok": 3}[code]),
                    finished_at=clock.now(), journalled_at=clock.now(),
                )  # fmt: skip
        with django_assert_num_queries(4):
            found = concerns.of(others, "UTC")
        assert [[concern.code for concern in found[one.pk]] for one in others] == [["way_in_closed"]] * 5
        assert {concern.weight for one in others for concern in found[one.pk]} == {Weight.BAD}

    await in_thread(look)
