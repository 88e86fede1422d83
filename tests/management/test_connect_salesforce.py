"""A Salesforce organisation connected from the command line, against a simulated one on a real socket."""

import io
import json
import socket
import threading

import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.core.management import CommandError, call_command

from acervo.keep import credentials
from acervo.models import AuditEntry, Connection
from sandbox.salesforce import app, create_org

pytestmark = pytest.mark.django_db(transaction=True)
CLIENT, SECRET = "3MVG9-simulated", "s3cr3t-simulated"


@pytest.fixture
def org():
    """`.address` is where it answers."""
    simulated = create_org(CLIENT, SECRET)
    listener = socket.create_server(("127.0.0.1", 0))
    simulated.address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = uvicorn.Server(uvicorn.Config(app(simulated), log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield simulated
    server.should_exit = True
    thread.join(10)
    listener.close()


def connect(org, *arguments):
    said = io.StringIO()
    common = ["--client-id", CLIENT, "--api-base", org.address, "--json"]
    call_command("connect", "salesforce", *common, *arguments, stdout=said)
    return json.loads(said.getvalue())


def test_an_app_is_asked_whose_it_is_and_kept_sealed(workspace, org):
    made = connect(org, "--client-secret", SECRET)
    assert (made["kind"], made["account_id"]) == ("salesforce", org.id)
    row = Connection.objects.get()
    assert row.api_base == org.address
    assert credentials.open_secrets(row) == {"client_id": CLIENT, "client_secret": SECRET}
    assert SECRET not in json.dumps(made)
    assert not AuditEntry.objects.filter(details__icontains=SECRET).exists()


def test_a_private_key_is_enough_without_a_secret(workspace, org, tmp_path):
    key = rsa.generate_private_key(65537, 2048)
    org.public_key = key.public_key()
    file = tmp_path / "key.pem"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    made = connect(org, "--key-file", str(file), "--username", org.username)
    assert made["account_id"] == org.id
    row = Connection.objects.get()
    assert row.options["username"] == org.username
    assert "PRIVATE KEY" in credentials.open_secrets(row)["client_secret"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--client-secret", "wrong"], "refused"),
        (["--key-file", "/nowhere/key.pem", "--username", "u"], "cannot be read"),
        (["--key-file", __file__, "--username", "u"], "no private key"),
        (["--key-file", __file__], "username"),
    ],
)
def test_what_cannot_work_is_refused_in_words_and_nothing_is_made(workspace, org, arguments, told):
    with pytest.raises(CommandError, match=told):
        connect(org, *arguments)
    assert not Connection.objects.exists()


@pytest.mark.parametrize("domain", ["", "aurora", "https://evil.example/aurora.my.salesforce.com"])
def test_an_address_that_is_no_my_domain_is_refused_before_anything_is_sent(workspace, domain):
    with pytest.raises(CommandError, match="My Domain"):
        call_command("connect", "salesforce", "--client-id", "a", "--client-secret", "b", "--domain", domain)
    assert not Connection.objects.exists()
