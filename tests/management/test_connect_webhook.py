"""`acervo connect webhook`: a secret made and said once, or read from standard input."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from acervo.base import signing
from acervo.keep import credentials
from acervo.models import AuditEntry, Connection
from sandbox import webhook
from sandbox.webhook import Receiver
from sandbox.webhook.app import PATH
from tests.web.test_crm_setups import served

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def receiver() -> Receiver:
    return webhook.create_receiver(signing.new_secret())


@pytest.fixture
def address(receiver: Receiver) -> Iterator[str]:
    with served(receiver, webhook.app) as base:
        yield base + PATH


def connect(*arguments: str) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("connect", "webhook", *arguments, stdout=out, stderr=err)
    finally:
        connect.said = err.getvalue()  # type: ignore[attr-defined]
    return out.getvalue(), err.getvalue()


def test_a_secret_that_was_given_before_is_read_and_never_printed(workspace, receiver, address, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{receiver.secret}\n"))
    out, err = connect(
        "--url", address, "--secret-stdin", "--per-call", "100", "--name", "In-house", "--json"
    )
    row = Connection.objects.get()
    assert json.loads(out)["kind"] == "webhook"
    assert (row.name, row.api_base, row.options["per_call"]) == ("In-house", address, 100)
    assert credentials.open_secrets(row) == {"secret": receiver.secret}
    assert receiver.secret not in out + err
    assert not AuditEntry.objects.filter(details__icontains="whsec_").exists()


def test_a_new_secret_is_said_before_it_is_tried_so_that_the_other_side_can_be_given_it(
    workspace, receiver, address, monkeypatch
):
    with pytest.raises(CommandError, match="auth_revoked"):
        connect("--url", address)
    assert not Connection.objects.exists()
    receiver.secret = re.search(r"whsec_\S+", connect.said)[0]
    monkeypatch.setattr(sys, "stdin", io.StringIO(receiver.secret))
    connect("--url", address, "--secret-stdin")
    assert credentials.open_secrets(Connection.objects.get()) == {"secret": receiver.secret}


@pytest.mark.parametrize(
    ("url", "secret"), [("nonsense", ""), ("https://10.0.0.1/x", ""), ("https://crm.example/x", "hunter2")]
)
def test_what_cannot_work_is_refused(workspace, monkeypatch, url, secret):
    monkeypatch.setattr(sys, "stdin", io.StringIO(secret))
    with pytest.raises(CommandError):
        connect("--url", url, *(["--secret-stdin"] if secret else []))
    assert not Connection.objects.exists()
