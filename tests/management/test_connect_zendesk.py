"""A Zendesk account connected from the command line, against a simulated one on a real socket."""

import io
import json
import socket
import threading

import pytest
import uvicorn
from django.core.management import CommandError, call_command

from acervo.keep import credentials
from acervo.models import AuditEntry, Connection
from sandbox.zendesk import app, create_account
from sandbox.zendesk.account import CLIENT_ID

pytestmark = pytest.mark.django_db(transaction=True)
SECRET = "client-secret-9f"
TOKEN = "old-api-token-3c"
EMAIL = "bot@aurora.example"


@pytest.fixture
def account():
    """`.address` is where it answers."""
    simulated = create_account(SECRET)
    simulated.api_tokens.add((EMAIL, TOKEN))
    listener = socket.create_server(("127.0.0.1", 0))
    simulated.address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = uvicorn.Server(uvicorn.Config(app(simulated), log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield simulated
    server.should_exit = True
    thread.join(10)
    listener.close()


def connect(account, *arguments, subdomain="aurora"):
    said, complained = io.StringIO(), io.StringIO()
    common = ["--subdomain", subdomain, "--api-base", account.address, "--json"]
    call_command("connect", "zendesk", *common, *arguments, stdout=said, stderr=complained)
    return json.loads(said.getvalue()), complained.getvalue()


def by_client(account, **options):
    return connect(account, "--client-id", CLIENT_ID, "--secret", SECRET, **options)


def test_an_oauth_client_is_asked_whose_it_is_and_kept_sealed(workspace, account):
    made, complained = by_client(account)
    assert (made["kind"], made["account_id"]) == ("zendesk", "aurora")
    row = Connection.objects.get()
    assert row.options == {"subdomain": "aurora"}
    assert credentials.open_secrets(row) == {"secret": SECRET, "client_id": CLIENT_ID}
    assert SECRET not in json.dumps(made)
    assert not complained


def test_an_api_token_is_taken_with_its_last_day_and_replaced_by_a_client(workspace, account):
    first, complained = connect(account, "--email", EMAIL, "--secret", TOKEN)
    assert "2027-04-30" in complained
    second, complained = by_client(account)
    assert second["id"] == first["id"]
    assert not complained
    account.api_tokens.clear()
    assert Connection.objects.get().state == "waiting"
    assert AuditEntry.objects.filter(action="connection.reconnected").exists()
    assert account.tokens_sold


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--secret", SECRET], "OAuth client"),
        (["--secret", SECRET, "--client-id", "a", "--email", EMAIL], "OAuth client"),
        (["--secret", "wrong", "--client-id", CLIENT_ID], "refused"),
        (["--secret", "wrong", "--email", EMAIL], "refused"),
    ],
)
def test_what_cannot_work_is_refused_in_words_and_nothing_is_made(workspace, account, arguments, told):
    with pytest.raises(CommandError, match=told) as refusal:
        connect(account, *arguments)
    assert SECRET not in str(refusal.value)
    assert not Connection.objects.exists()


def test_a_subdomain_is_no_address_of_somebody_else(workspace, account):
    with pytest.raises(CommandError, match="subdomain"):
        by_client(account, subdomain="aurora.zendesk.com.evil.example")
    assert not Connection.objects.exists()


def test_an_agent_who_is_no_administrator_is_refused_before_anything_is_made(workspace, account):
    account.role = "agent"
    with pytest.raises(CommandError, match="administrator"):
        by_client(account)
    assert not Connection.objects.exists()
