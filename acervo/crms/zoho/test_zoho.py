"""Zoho keeps the contract, against an organisation that remembers; both sides are held to the written shapes."""

import httpx

from acervo.crms.conformance import RenewingScenarios
from acervo.crms.contract import CrmCredentials
from acervo.crms.fields import CHOICE_LABELS
from acervo.crms.pace import Pace, RollingLimit
from acervo.crms.tokens import OwnToken
from acervo.crms.upload_conformance import UploadScenarios, UploadWorld
from acervo.crms.virtual_time import VirtualTime
from acervo.crms.zoho.adapter import Zoho
from acervo.crms.zoho.api import AT_ONCE, LANES
from acervo.crms.zoho.names import LABELS, MODULE
from sandbox.zoho import AccountTransport, Fault, create_account
from sandbox.zoho.fields import Field
from sandbox.zoho.shapes import CheckedTransport

TYPED = {"phone": "Phone", "mobile": "Mobile", "first_name": "First_Name", "last_name": "Last_Name"}
OURS = {theirs: ours for ours, theirs in TYPED.items()} | {
    label.replace(" ", "_"): name for name, label in LABELS["contact"].items()
}
CHOICES = {label: choice for choice, labels in CHOICE_LABELS.items() for label in labels}


class TimedTransport(CheckedTransport):
    def __init__(self, inner, time):
        super().__init__(inner)
        self.time = time

    async def handle_async_request(self, request):
        with self.time.busy():
            return await super().handle_async_request(request)


class ZohoWorld(UploadWorld):
    """`others`: calls of the customer's other apps that are always under way."""

    def __init__(self, plan="object", **facts):
        self.time = VirtualTime()
        self.token = "1000.8cb9.refresh-simulated"
        self.client = ("1000.CLIENT", "c11ent-s3cret")
        facts = {"edition": "enterprise" if plan == "object" else "standard", "others": 2, **facts}
        self.account = create_account(self.token, client=self.client, clock=self.time.now, **facts)
        self.transport = TimedTransport(AccountTransport(self.account), self.time)
        self.http = httpx.AsyncClient(transport=self.transport)
        lanes = {name: RollingLimit(count, per_s) for name, count, per_s in LANES}
        self.pace = Pace(lanes, at_once=AT_ONCE, now=self.time.now, sleep=self.time.sleep)
        self.tokens = OwnToken(self.time.now)  # as all workers of a connection share one
        self.options = {}

    @property
    def is_object(self):
        return self.account.edition == "enterprise"

    def connector(self):
        client_id, client_secret = self.client
        secrets = {"client_id": client_id, "client_secret": client_secret, "refresh_token": self.token}
        credentials = CrmCredentials(secrets=secrets, options=self.options, tokens=self.tokens)
        return Zoho(credentials, self.http, pace=self.pace)

    def remember(self, options):
        self.options = {**self.options, **options}

    def add_contact(self, **values):
        return self.account.add_contact(**{TYPED[name]: value for name, value in values.items()})

    def contacts(self):
        return {
            one.id: {
                OURS.get(name, name): CHOICES.get(value, str(value))
                for name, value in one.values.items()
                if value is not None and value != "Sem nome"
            }
            for one in self.account.contacts()
        }

    def merge(self, winner_id, loser_id):
        self.account.merge(winner_id, loser_id)

    def delete_contact(self, contact_id):
        self.account.delete(contact_id)

    def add_deal(self, contact_id, title):
        return self.account.add(
            "Deals", Deal_Name=title, Stage="Qualification", Contact_Name={"id": contact_id}
        )

    def records(self, media_id):
        return [one.id for one in self.account.media_of(media_id)]

    def contacts_of(self, record_id):
        values = self.account.find(record_id).values
        return [tie["id"] for tie in (values.get("WA_Contact"), values.get("Parent_Id")) if tie]

    def everything_live(self):
        return repr([r.values for m in self.account.records.values() for r in m.values() if not r.is_purged])

    def retitle(self, record_id, title):
        name = "Name" if self.is_object else "Note_Title"
        self.account.edit(record_id, **{name: title or None})

    def delete_record(self, record_id):
        self.account.delete(record_id)

    def lose_next_answer(self):
        self.account.faults.add(Fault("timeout_after_commit", method="POST", path_has=self._written))

    def lose_next_answer_about_people(self):
        self.account.faults.add(Fault("timeout_after_commit", path_has="/Contacts/upsert"))

    def revoke_after(self, writes):
        """Somebody takes our grant away: neither token is accepted any more."""
        self.account.faults.add(
            Fault("status", 401, "POST", self._written, times=10_000, after=writes, category="INVALID_TOKEN")
        )
        self.account.is_grant_good = False

    def accept_token(self):
        self.account.faults.clear()
        self.account.is_grant_good = True

    def fields_made(self):
        return sum(1 + len(module.fields) for module in self.account.modules.values())

    def calls(self):
        return sum(self.transport.exchanges.values())

    def add_field(self, place, name, type_):
        types = {"number": "integer", "moment": "datetime", "yes_no": "boolean"}
        module = self.account.modules["Contacts" if place == "contact" else MODULE]
        theirs = name.replace(" ", "_")
        module.fields[theirs] = Field(theirs, name, types.get(type_, type_))
        return theirs

    def held(self, place, record_id):
        return self.account.find(record_id).values

    def uploads(self, file_name):
        return {one.id: one.content for one in self.account.files.named(file_name)}

    def lose_next_answer_about_an_upload(self):
        self.account.faults.add(Fault("timeout_after_commit", method="POST", path_has="/Attachments"))

    def limits(self):
        traffic = self.account.traffic
        return {
            "under way": (traffic.peak, traffic.at_once),
            "tokens": (traffic.tokens.peak, traffic.tokens.limit),
            "credits": (traffic.credits_a_day - traffic.credits_left, traffic.credits_a_day),
        }

    def end_token(self):
        self.account.tokens.clear()

    def tokens_given(self):
        return self.account.tokens_given

    def be_away(self, seconds):
        self.account.away_until = self.time.now() + seconds

    @property
    def _written(self):
        return f"/{MODULE}/upsert" if self.is_object else "/v8/Notes"


class TestZohoEnterprise(RenewingScenarios, UploadScenarios):
    def make_world(self):
        return ZohoWorld(self.plan)


class TestZohoWithoutModules(RenewingScenarios, UploadScenarios):
    plan = "activity"
    has_fields = False
    storm_items = 300  # every batch lists the notes of its contacts first
    storm_batch = 20

    def make_world(self):
        return ZohoWorld(self.plan)
