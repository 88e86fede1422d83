"""The in-memory provider keeps every promise of the contract."""

import json
from contextlib import asynccontextmanager
from pathlib import Path

from acervo.providers.conformance import ProviderConformance
from acervo.providers.contract import (
    AccessLost,
    AnnouncedFile,
    Credentials,
    Kind,
    Outcome,
    ProviderBusy,
    Resolved,
    Webhook,
)
from acervo.providers.fake.adapter import SIGNATURE_HEADER, Fake, FakeAccount, sign
from acervo.providers.scripted import BUSY_FOR_S, Scene, Stage, local_session

HELD = Resolved(url="http://127.0.0.1/held", sha256="ab" * 32, size_bytes=311)
TROUBLES = {
    Scene.BUSY: ProviderBusy("wait", after_s=BUSY_FOR_S, code=Outcome.RATE_LIMITED),
    Scene.REVOKED: AccessLost("revoked"),
    Scene.UNWELL: ProviderBusy("unwell"),
    Scene.NONSENSE: ProviderBusy("nonsense", code=Outcome.UNKNOWN),
    Scene.SILENT: ProviderBusy("silent", code=Outcome.TIMED_OUT),
    Scene.DEAD: AccessLost("revoked"),
    Scene.SICK: ProviderBusy("unwell"),
    Scene.MUTE: ProviderBusy("silent", code=Outcome.TIMED_OUT),
}


class TestFake(ProviderConformance):
    provider = Fake
    folder = Path(__file__).parent
    account_id = "fake-conformance"
    secrets = {"signing_secret": "fixture-signing-secret"}
    signing_secret = "signing_secret"
    lost_payload = "lost"

    def sign(self, body, secret):
        return Webhook("POST", {SIGNATURE_HEADER: sign(body, secret)}, body)

    def join(self, documents):
        lists = [
            document.get("messages") if isinstance(document, dict) else document for document in documents
        ]
        messages = [message for found in lists for message in (found if isinstance(found, list) else [found])]
        return {"provider": "fake", "messages": messages}

    def vector_webhook(self, vector):
        return Webhook("POST", {SIGNATURE_HEADER: vector["signature"]}, vector["body"].encode())

    def vector_secret(self, vector):
        return vector["secret"]

    @asynccontextmanager
    async def stage(self, scene):
        files = {} if scene is Scene.LOST else {"held": HELD}
        Fake.accounts[self.account_id] = FakeAccount(files=files, trouble=TROUBLES.get(scene))
        try:
            async with local_session() as session:
                provider = Fake(Credentials(self.account_id, self.secrets))
                yield Stage(provider, session, AnnouncedFile("held", Kind.VOICE), promised=HELD)
        finally:
            del Fake.accounts[self.account_id]


def test_a_message_without_a_moment_is_listed_and_its_neighbour_read():
    body = json.dumps(
        {"provider": "fake", "messages": [{"id": "a", "from": "b"}, {"id": "c", "from": "d", "at": 1}]}
    )
    reading = Fake(Credentials("acc", {})).read(Webhook("POST", {}, body.encode()))
    assert [event.message_id for event in reading.events] == ["c"]
    assert [unread.pointer for unread in reading.unread] == ["/messages/0"]
