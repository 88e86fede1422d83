"""Salesforce keeps the contract, against an organisation that remembers; both sides are held to the written shapes."""

import httpx

from acervo.crms.conformance import RenewingScenarios
from acervo.crms.contract import CrmCredentials
from acervo.crms.pace import Pace, RollingLimit
from acervo.crms.salesforce.adapter import Salesforce
from acervo.crms.salesforce.api import AT_ONCE, LANES
from acervo.crms.tokens import OwnToken
from acervo.crms.upload_conformance import UploadScenarios, UploadWorld
from acervo.crms.virtual_time import VirtualTime
from sandbox.salesforce import Fault, OrgTransport, content, create_org
from sandbox.salesforce.fields import FieldDef
from sandbox.salesforce.shapes import CheckedTransport

BASE = "https://aurora.my.salesforce.com"
TYPED = {"phone": "Phone", "mobile": "MobilePhone", "first_name": "FirstName", "last_name": "LastName"}
OURS = {
    **{theirs: ours for ours, theirs in TYPED.items()},
    "WA_Phone_E164__c": "phone_e164",
    "WA_Consent__c": "consent",
}
WRITES = "/composite/sobjects/"


class TimedTransport(CheckedTransport):
    def __init__(self, inner, time):
        super().__init__(inner)
        self.time = time

    async def handle_async_request(self, request):
        with self.time.busy():
            return await super().handle_async_request(request)


class SalesforceWorld(UploadWorld):
    def __init__(self, plan="object", daily=2_000):
        self.time = VirtualTime()
        self.org = create_org(
            "3MVG9-simulated",
            "s3cr3t-simulated",
            custom_objects=plan == "object",
            clock=self.time.now,
            daily=daily,
        )
        self.token = "AQ-simulated"
        self.transport = TimedTransport(OrgTransport(self.org), self.time)
        self.http = httpx.AsyncClient(transport=self.transport)
        lanes = {name: RollingLimit(count, per_s) for name, count, per_s in LANES}
        self.pace = Pace(lanes, at_once=AT_ONCE, now=self.time.now, sleep=self.time.sleep)
        self.tokens = OwnToken(self.time.now)
        self.options = {}
        self.files = "WhatsApp_Media__c" if plan == "object" else "Task"

    def connector(self, **secrets):
        credentials = CrmCredentials(
            secrets={"client_id": self.org.client_id, "client_secret": self.org.client_secret, **secrets},
            options=self.options,
            api_base=BASE,
            tokens=self.tokens,
        )
        return Salesforce(credentials, self.http, pace=self.pace)

    def remember(self, options):
        self.options = dict(options)

    def add_contact(self, **values):
        return self.org.add("Contact", **{TYPED[name]: value for name, value in values.items()})

    def contacts(self):
        return {
            one.id: {
                OURS.get(name, name.removeprefix("WA_").removesuffix("__c").lower()): _text(value)
                for name, value in one.values.items()
                if value is not None
            }
            for one in self.org.live_of("Contact")
        }

    def merge(self, winner_id, loser_id):
        self.org.merge(winner_id, loser_id)

    def delete_contact(self, contact_id):
        self.org.delete(contact_id)

    def add_deal(self, contact_id, title):
        deal_id = self.org.add("Opportunity", Name=title, IsClosed=False)
        self.org.add("OpportunityContactRole", OpportunityId=deal_id, ContactId=contact_id)
        return deal_id

    def records(self, media_id):
        return [one.id for one in self.org.media_of(media_id)]

    def contacts_of(self, record_id):
        values = self.org.find(record_id).values
        return [one for one in (values.get("Contact__c") or values.get("WhoId"),) if one]

    def everything_live(self):
        return repr([one.values for one in self.org.everything()])

    def retitle(self, record_id, title):
        self.org.edit(record_id, **{"Subject" if self.files == "Task" else "Name": title or None})

    def delete_record(self, record_id):
        self.org.delete(record_id)

    def lose_next_answer(self):
        self.org.faults.add(Fault("timeout_after_commit", method="PATCH", path_has=WRITES + self.files))

    def lose_next_answer_about_people(self):
        self.org.faults.add(Fault("timeout_after_commit", method="PATCH", path_has=WRITES + "Contact/"))

    def revoke_after(self, writes):
        self.org.faults.add(
            Fault("status", 401, "PATCH", WRITES, times=10_000, after=writes, category="INVALID_SESSION_ID")
        )

    def accept_token(self):
        self.org.faults.clear()

    def end_token(self):
        self.org.sessions.clear()

    def tokens_given(self):
        return self.org.tokens_given

    def be_away(self, seconds):
        self.org.away_until = self.time.now() + seconds

    def fields_made(self):
        return sum(map(len, self.org.objects.values())) + len(self.org.live_of("PermissionSet"))

    def calls(self):
        return sum(self.transport.exchanges.values())

    def add_field(self, place, name, type_):
        object_name = "Contact" if place == "contact" else self.files
        types = {"text": "Text", "number": "Number", "moment": "DateTime", "yes_no": "Checkbox"}
        theirs = f"{name.replace(' ', '_')}__c"
        self.org.objects[object_name][theirs] = FieldDef(theirs, types[type_], name)
        for seen in self.org.rights.values():
            seen.add(f"{object_name}.{theirs}")
        return theirs

    def held(self, place, record_id):
        return self.org.find(record_id).values

    def uploads(self, file_name):
        return content.held(self.org, file_name)

    def lose_next_answer_about_an_upload(self):
        self.org.faults.add(Fault("timeout_after_commit", method="POST", path_has="/sobjects/ContentVersion"))

    def limits(self):
        traffic = self.org.traffic
        return {
            "at once": (traffic.peak, traffic.at_once_limit),
            "daily": (traffic.daily.peak, traffic.daily.limit),
        }


def _text(value):
    return str(int(value)) if isinstance(value, float) else str(value)


class TestSalesforce(RenewingScenarios, UploadScenarios):
    def make_world(self):
        return SalesforceWorld(self.plan)


class TestSalesforceWithoutCustomObjects(RenewingScenarios, UploadScenarios):
    plan = "activity"

    def make_world(self):
        return SalesforceWorld(self.plan)
