"""A webhook keeps the contract as far as one address can, with a receiver that remembers; every message is verified by the
reference library of the scheme."""

import httpx
from standardwebhooks import Webhook as Verifier

from acervo.base import signing
from acervo.crms.conformance import ConnectorScenarios, World
from acervo.crms.contract import CrmCredentials
from acervo.crms.pace import Pace, RollingLimit
from acervo.crms.virtual_time import VirtualTime
from acervo.crms.webhook.adapter import Webhook
from acervo.crms.webhook.api import LANES
from sandbox.webhook import Fault, ReceiverTransport, create_receiver

LACKS = frozenset(
    {
        "ensure_schema", "fields", "find_contacts", "describe_contacts", "upsert_contact",
        "find_related", "link", "unlink", "upload", "remove_upload",
    }
)  # fmt: skip


class VerifyingTransport(httpx.AsyncBaseTransport):
    """What the receiver verifies by itself is verified by somebody else's code first."""

    def __init__(self, inner, time, secret):
        self.inner, self.time, self.verifier = inner, time, Verifier(secret)

    async def handle_async_request(self, request):
        self.verifier.verify(request.content, dict(request.headers))
        with self.time.busy():
            return await self.inner.handle_async_request(request)


class WebhookWorld(World):
    def __init__(self, per_call=1):
        self.time = VirtualTime()
        self.token = signing.new_secret()
        self.per_call = per_call
        self.receiver = create_receiver(self.token, clock=self.time.now)
        transport = VerifyingTransport(ReceiverTransport(self.receiver), self.time, self.token)
        self.http = httpx.AsyncClient(transport=transport)
        lanes = {name: RollingLimit(count, per_s) for name, count, per_s in LANES}
        self.pace = Pace(lanes, now=self.time.now, sleep=self.time.sleep)

    def connector(self):
        credentials = CrmCredentials(
            secrets={"secret": self.token},
            options={"per_call": self.per_call},
            api_base="https://crm.example/acervo",
        )
        return Webhook(credentials, self.http, pace=self.pace)

    def remember(self, options):
        raise AssertionError("there is nothing to remember")

    def add_contact(self, **values):
        raise AssertionError("a receiver has no contacts")

    merge = delete_contact = add_deal = lose_next_answer_about_people = add_contact

    def contacts(self):
        return {}

    def records(self, media_id):
        kept = self.receiver.files.get(media_id)
        return [kept.id] if kept else []

    def contacts_of(self, record_id):
        return []

    def everything_live(self):
        return repr(self.receiver.files)

    def retitle(self, record_id, title):
        self.receiver.by_record(record_id).data["title"] = title

    def delete_record(self, record_id):
        self.receiver.erase(self.receiver.by_record(record_id).data["media_id"])

    def lose_next_answer(self):
        self.receiver.faults.add(Fault("timeout_after_commit", type_has="upserted"))

    def revoke_after(self, writes):
        self.receiver.faults.add(Fault("status", 401, "upserted", times=10_000, after=writes))

    def accept_token(self):
        self.receiver.faults.clear()

    def fields_made(self):
        return 0

    def add_field(self, place, name, type_):
        return name.lower().replace(" ", "_")

    def held(self, place, record_id):
        return self.receiver.by_record(record_id).data

    def calls(self):
        return len(self.receiver.letters)

    def limits(self):
        window = self.receiver.window
        return {"burst": (window.peak, window.limit)}


class TestWebhookFileByFile(ConnectorScenarios):
    lacks = LACKS
    storm_items = 400

    def make_world(self):
        return WebhookWorld()


class TestWebhookInBatches(ConnectorScenarios):
    lacks = LACKS
    storm_items = 400

    def make_world(self):
        return WebhookWorld(per_call=100)
