"""`acervo connect messagebird` and `bird`, against their sandboxes."""

import pytest

from acervo.keep import credentials
from acervo.models import AuditEntry, Connection, Workspace
from sandbox.bird import BirdServer
from sandbox.bird import Channel as BirdChannel
from sandbox.bird.server import DESK as BIRD_DESK
from sandbox.messagebird import Channel, MessageBirdServer
from sandbox.messagebird.server import DESK
from tests.management.test_commands import run, run_json
from tests.served import served

pytestmark = pytest.mark.django_db(transaction=True)
BIRD = BirdChannel()
PLACES = ["--channel-id", BIRD.channel_id, "--workspace-id", BIRD.workspace_id]
PLACES += ["--organization-id", BIRD.organization_id]


def test_bird_gets_a_key_nobody_saw_and_our_address(workspace: Workspace) -> None:
    with served(BirdServer()) as sandbox:
        made = run_json(
            "connect", "bird", *PLACES, "--access-key", BIRD.access_key, "--api-base", sandbox.base_url
        )
        kept = sandbox._runner.app[BIRD_DESK].subscriptions
    connection = Connection.objects.get()
    key = credentials.open_secrets(connection)["signing_key"]
    assert len(key) == 32
    assert [(one["url"], one["signingKey"]) for one in kept] == [(made["webhook_url"], key)] * 3
    assert connection.options["workspace_id"] == BIRD.workspace_id
    assert AuditEntry.objects.filter(action="connection.registered").exists()
    assert key not in str(made)


def test_bird_without_registering_needs_the_key_of_the_subscriptions_made_by_hand(
    workspace: Workspace,
) -> None:
    access = ["--access-key", "k", "--api-base", "http://127.0.0.1:9", "--no-register"]
    with pytest.raises(Exception, match="signing key"):
        run("connect", "bird", *PLACES, *access)
    assert not Connection.objects.exists()
    made = run_json("connect", "bird", *PLACES, *access, "--signing-key", "of-the-console")
    assert "/hooks/bird/" in made["webhook_url"]
    assert credentials.open_secrets(Connection.objects.get())["signing_key"] == "of-the-console"


def test_messagebird_is_connected_and_told_our_address(workspace: Workspace) -> None:
    channel = Channel()
    keys = ["--access-key", channel.access_key, "--signing-key", channel.signing_key]
    with served(MessageBirdServer()) as sandbox:
        place = ["--channel-id", channel.channel_id, "--api-base", sandbox.base_url]
        made = run_json("connect", "messagebird", *place, *keys)
        kept = sandbox._runner.app[DESK].webhooks
    assert [(one["url"], one["channelId"]) for one in kept] == [(made["webhook_url"], channel.channel_id)]
    assert "signing" not in str(made)
