"""`acervo backfill`: counted, begun, stopped and listed from the command line."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from acervo.models import AuditEntry, Backfill
from tests.conftest import make_connection

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("backfill", *arguments, stdout=out, stderr=out)
    return out.getvalue()


def run_json(*arguments: str) -> Any:
    return json.loads(run(*arguments, "--json"))


@pytest.fixture
def crm(workspace):
    return make_connection(workspace, "hubspot", name="HubSpot", account_id="4242", secrets={"token": "x"})


@pytest.fixture
def files(kept_file):
    return [kept_file(), kept_file(), kept_file(kind="video", mime="video/mp4")]


def test_it_counts_and_writes_nothing(crm, files):
    found = run_json("look", "HubSpot", "--query", "kind=voice")
    assert (found["files"], found["people"], found["already"]) == (2, 1, 0)
    assert found["calls"] > 0
    assert "3 files of 1 people" in run("look", str(crm))
    assert not Backfill.objects.exists()


def test_a_run_is_begun_paused_resumed_listed_and_ended(crm, files):
    assert "No earlier files" in run("list")
    begun = run_json("start", "HubSpot")
    assert (begun["state"], begun["total"], begun["crm"]) == ("running", 3, "HubSpot")
    for verb, state in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        assert run_json(verb, begun["id"])["state"] == state
    (listed,) = run_json("list")
    assert (listed["id"], listed["state"]) == (begun["id"], "cancelled")
    assert "0 of 3 written" in run("list")
    assert AuditEntry.objects.get(action="backfill.started").by.startswith("command:")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("start", "Nobody"), "There is no CRM Nobody"),
        (("start", "HubSpot", "--query", "colour=blue"), "no word"),
        (("pause", "01M8B7CDX3TQEH3BWQG0EH0WHC"), "There is no run"),
        (("cancel", "nonsense"), "There is no run"),
    ],
)
def test_what_cannot_be_done_says_why(crm, files, arguments, said):
    with pytest.raises(CommandError, match=said):
        run(*arguments)


def test_nothing_to_write_is_said(crm):
    with pytest.raises(CommandError, match="promised to this CRM already"):
        run("start", "HubSpot")
