"""The page of one connection: everything the health page's sentence is made of, and what can be done about it."""

from __future__ import annotations

from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from procrastinate.contrib.django.models import ProcrastinateJob

from acervo.base import clock, ids
from acervo.govern import concerns
from acervo.models import AccountEvent, AuditEntry, Connection, Delivery, Probe, Receipt, Severity
from acervo.web import concern_words, health_words
from tests.conftest import make_connection

NOW = clock.now()


def text(answer: Any) -> str:
    assert answer.status_code == 200, answer.status_code
    return unescape(answer.content.decode())


def page(row: Connection) -> str:
    return f"/integrations/{ids.text(row.pk)}"


def report(
    row: Connection, type_: str = "account_update", severity: str = "critical", **facts: Any
) -> AccountEvent:
    return AccountEvent.objects.create(
        workspace=row.workspace, connection=row, key=ids.text(ids.new()), type=type_, severity=severity,
        facts=facts, at=clock.now(), received_at=clock.now(),
    )  # fmt: skip


def tried(row: Connection, code: str, **facts: Any) -> Probe:
    journalled_at = clock.now() if code == "ok" else None
    return Probe.objects.create(
        workspace=row.workspace, connection=row, asked_at=clock.now(), asked_by="system:clock",
        finished_at=clock.now(), code=code, journalled_at=journalled_at, facts={"took_ms": 1234, **facts},
    )  # fmt: skip


def heard(row: Connection, **ago: float) -> Receipt:
    at = clock.now() - timedelta(**ago)
    Connection.objects.filter(pk=row.pk).update(last_event_at=at)
    return Receipt.objects.create(
        workspace=row.workspace, connection=row, received_at=at, read_at=clock.now(), body=b"{}"
    )


def test_a_connection_nobody_heard_of_says_so(page_of, alice, connection):
    shown = text(page_of(alice).get(page(connection)))
    assert "this connection has not been heard of" in shown
    assert "Events in 0 of the last 48 half hours" in shown
    assert "Not asked yet" in shown
    assert "Not tried yet" in shown


def test_everything_known_is_shown(page_of, alice, connection, announced_file):
    announced_file(fetch_before=clock.now() + timedelta(hours=30))
    heard(connection, minutes=5)
    heard(connection, hours=5)
    ends = (clock.now() + timedelta(days=40)).isoformat()
    Connection.objects.update(
        checked_at=clock.now(), check_code="ok", usage={"percent": 33.4, "at": clock.now().isoformat()},
        check_facts={"quality_rating": "GREEN", "messaging_limit": "TIER_10K", "token_expires_at": ends, "webhook": "ours"},
    )  # fmt: skip
    tried(connection, "ok", status=200, certificate_ends_at=ends)
    shown = text(page_of(alice).get(page(connection)))
    for words in (
        "Everything about this connection is as it should be", "Quality", "Good", "10,000", "The token ends",
        "arrived in the journal", "1,234 ms", "The certificate ends", "33 of 100", "30 hours",
    ):  # fmt: skip
        assert words in shown, words
    assert shown.count('height="14"') == 2


@pytest.mark.parametrize("kind", ["dialog360"])
def test_the_error_budget_counts_the_last_hour(kind, page_of, alice, workspace):
    at = clock.now().timestamp()
    row = make_connection(
        workspace, kind, failures=[at - 4000, at - 100, at - 50],
        secrets={"api_key": "k", "hook_secret": "h", "path_key": "p"},
    )  # fmt: skip
    shown = text(page_of(alice).get(page(row)))
    assert "Failed downloads in the last hour" in shown
    assert "2 of 4" in shown


def test_a_crm_shows_what_applies(page_of, alice, workspace, kept_file):
    crm = make_connection(
        workspace, "hubspot", account_id="42", name="HubSpot Aurora", secrets={"token": "x"}
    )
    Connection.objects.filter(pk=crm.pk).update(
        checked_at=clock.now(), check_code="ok",
        check_facts={"api_version": "2026-03", "usage": {"daily_max": 250000, "daily_left": 188800, "burst_max": 190, "burst_left": 0}},
    )  # fmt: skip
    Delivery.objects.create(
        workspace=workspace,
        connection=crm,
        media=kept_file(),
        promised_at=NOW,
        due_at=NOW,
        delivered_at=clock.now(),
    )
    shown = text(page_of(alice).get(page(crm)))
    assert "Deliveries in 1 of the last 48 half hours" in shown
    assert "61,200 of 250,000" in shown
    assert 'class="b-bad" width="100.0%"' in shown
    assert "2026-03" in shown
    assert "Receipts not understood" not in shown
    assert "Try the way in" not in shown


def test_what_is_wrong_leads_and_leads_somewhere(page_of, alice, everybody, connection):
    Connection.objects.update(checked_at=clock.now(), check_code="token_revoked")
    tried(connection, "tls_expired")
    report(connection, event="DISABLED_UPDATE", waba_ban_state="DISABLE")
    shown = text(page_of(alice).get(page(connection)))
    assert "Suporte no longer accepts our access" in shown
    assert "has expired, so providers refuse to call it" in shown
    assert "WhatsApp disabled the business account" in shown
    assert shown.index("no longer accepts") < shown.index("do not reach this archive")
    assert f"{page(connection)}/reconnect" in shown
    assert "/reconnect" not in text(page_of(everybody["auditor"]).get(page(connection)))


def test_the_health_page_says_the_worst_of_all_connections(page_of, alice, workspace, connection):
    client = page_of(alice)
    other = make_connection(workspace, "meta_cloud", account_id="2", name="Vendas")
    Connection.objects.filter(pk=other.pk).update(check_facts={"unwell": ["status"], "status": "FLAGGED"})
    shown = text(client.get("/health"))
    assert "The account of Vendas needs a look" in shown
    assert "Status at the provider: Flagged" in shown
    report(connection, event="ACCOUNT_VIOLATION")
    shown = text(client.get("/health"))
    assert shown.index("broke its rules") < shown.index("The account of Vendas needs a look")
    assert "Needs you" in shown
    connection.pause(by="system", reason="token_revoked", at=clock.now())
    assert "Suporte is paused" in text(client.get("/health"))


def test_silence_is_a_sentence_and_no_alarm(page_of, alice, connection):
    for week in range(1, 6):
        for minutes in range(-60, 120, 10):
            at = clock.now() - timedelta(weeks=week) + timedelta(minutes=minutes)
            Receipt.objects.create(
                workspace=connection.workspace, connection=connection, received_at=at, body=b"{}", read_at=at
            )
    heard(connection, hours=5)
    for where in ("/health", page(connection)):
        shown = text(page_of(alice).get(where))
        assert "Suporte is quiet for longer than usual" in shown
        assert "tl__i--bad" not in shown
    assert 'class="pill pill--ok"' in text(page_of(alice).get("/health"))


def test_reports_are_looked_at_once_and_by_somebody(page_of, alice, connection):
    first, second = report(connection), report(connection, "security", "warning")
    quiet = report(connection, "history", "info")
    client = page_of(alice)
    answer = client.post(f"{page(connection)}/reports/seen", {"report": str(first)}, follow=True)
    assert "1 report is marked as seen" in text(answer)
    first.refresh_from_db()
    assert first.seen_by == f"member:{ids.text(alice.pk)}"
    assert "seen by Alice" in text(answer)
    assert "1 report is marked as seen" not in text(
        client.post(
            f"{page(connection)}/reports/seen",
            {"report": [str(first), "nonsense", ids.text(ids.new())]},
            follow=True,
        )
    )
    client.post(f"{page(connection)}/reports/seen")
    assert AccountEvent.objects.pressing().count() == 0
    deeds = AuditEntry.objects.filter(action="account.seen").order_by("number")
    assert [deed.details for deed in deeds] == [{"reports": 1}, {"reports": 2}]
    quiet.refresh_from_db()
    assert quiet.seen_at is not None
    second.refresh_from_db()
    assert second.seen_at is not None


def test_nobody_marks_reports_of_another_workspace_or_number(page_of, alice, charlie, workspace, connection):
    other = make_connection(workspace, "meta_cloud", account_id="2", name="Vendas")
    theirs = report(other)
    page_of(alice).post(f"{page(connection)}/reports/seen", {"report": str(theirs)})
    assert page_of(charlie).post(f"{page(other)}/reports/seen", {"report": str(theirs)}).status_code == 404
    theirs.refresh_from_db()
    assert theirs.seen_at is None


@pytest.mark.parametrize("what", ["check", "probe"])
def test_asking_starts_one_job_and_the_page_waits_for_it(what, page_of, alice, connection):
    client = page_of(alice)
    for _ in range(2):
        answer = client.post(f"{page(connection)}/{what}", follow=True)
    jobs = ProcrastinateJob.objects.filter(task_name=f"acervo:{what}")
    assert [job.args["connection"] for job in jobs] == [str(connection.pk)]
    assert jobs[0].args["by"] == f"member:{ids.text(alice.pk)}"
    assert "Waiting for the answer" in text(answer)
    Connection.objects.update(checked_at=clock.now(), check_code="ok")
    assert "Waiting for the answer" not in text(client.get(answer.redirect_chain[-1][0]))
    for nonsense in ("x", "-1", "9" * 30, "0"):
        assert "Waiting for the answer" not in text(client.get(f"{page(connection)}?since={nonsense}"))


def test_a_crm_has_no_way_in_to_try(page_of, alice, workspace):
    crm = make_connection(workspace, "hubspot", account_id="42", secrets={"token": "x"})
    answer = page_of(alice).post(f"{page(crm)}/probe", follow=True)
    assert "Nothing knocks at the door" in text(answer)
    assert not ProcrastinateJob.objects.filter(task_name="acervo:probe").exists()


def test_unread_receipts_are_listed_where_they_came_from(page_of, alice, connection):
    receipt = heard(connection, minutes=1)
    Receipt.objects.filter(pk=receipt.pk).update(
        unread=[{"pointer": "", "type": "change", "reason": "unheard of"}]
    )
    assert "change: unheard of" in text(page_of(alice).get(page(connection)))


def test_a_removed_connection_has_no_page(page_of, alice, connection):
    Connection.objects.update(removed_at=clock.now(), removed_by="test")
    assert page_of(alice).get(page(connection)).status_code == 404


def test_the_page_is_the_same_few_queries_whatever_happened(
    page_of, alice, connection, django_assert_max_num_queries
):
    for number in range(15):
        report(connection, "security", "warning", code=number)
        heard(connection, minutes=number)
        tried(connection, "ok")
    client = page_of(alice)
    client.get(page(connection))
    with django_assert_max_num_queries(17):
        client.get(page(connection))


# Words


def test_every_concern_and_every_way_a_probe_ends_has_words():
    import inspect
    import re

    from acervo.govern import probes

    said = set(re.findall(r'Concern\("(\w+)"', inspect.getsource(concerns)))
    assert said == set(concern_words.TEXTS)
    ends = set(
        re.findall(
            r'"(\w+)"', "".join(inspect.getsource(part) for part in (probes._unreached, probes._meaning))
        )
    )
    ends |= {*probes.BY_STATUS.values(), *probes.BY_VERIFICATION.values(), "not_journalled", probes.OK}
    assert ends - {"status", "verify_code"} <= set(health_words.WAYS_IN)
    assert set(health_words.SEVERITIES) == set(Severity.values)


def test_every_field_meta_reports_has_a_sentence():
    from acervo.providers.meta_cloud.accounts import FIELDS
    from acervo.receive.reported import ROUTINE

    unsaid = set(FIELDS) - ROUTINE - set(health_words.EVENTS)
    assert unsaid == {"automatic_events", "payment_configuration_update", "partner_solutions"}, (
        "shown by their name"
    )


@pytest.mark.django_db
def test_a_report_never_heard_of_is_shown_by_its_name(connection):
    told = report(connection, "whatsapp_moon_phase", "info", event="FULL")
    assert str(health_words.event(told)) == "The provider reported “whatsapp_moon_phase”."
