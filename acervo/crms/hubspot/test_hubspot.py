"""HubSpot keeps the contract, against an account that remembers; both sides are held to the written shapes."""

import httpx

from acervo.crms.contract import CrmCredentials
from acervo.crms.hubspot.adapter import HubSpot
from acervo.crms.hubspot.api import LANES
from acervo.crms.pace import Pace, RollingLimit
from acervo.crms.upload_conformance import UploadScenarios, UploadWorld
from acervo.crms.virtual_time import VirtualTime
from sandbox.hubspot import AccountTransport, Fault, create_account
from sandbox.hubspot.properties import Property
from sandbox.hubspot.shapes import CheckedTransport

TYPED = {"phone": "phone", "mobile": "mobilephone", "first_name": "firstname", "last_name": "lastname"}
OURS = {theirs: ours for ours, theirs in TYPED.items()}


class TimedTransport(CheckedTransport):
    def __init__(self, inner, time):
        super().__init__(inner)
        self.time = time

    async def handle_async_request(self, request):
        with self.time.busy():
            return await super().handle_async_request(request)


class HubSpotWorld(UploadWorld):
    def __init__(self, plan="object"):
        self.time = VirtualTime()
        self.token = "pat-na1-7e1f0c52-simulated"
        self.account = create_account(self.token, custom_objects=plan == "object", clock=self.time.now)
        self.transport = TimedTransport(AccountTransport(self.account), self.time)
        self.http = httpx.AsyncClient(transport=self.transport)
        lanes = {name: RollingLimit(count, per_s) for name, count, per_s in LANES}
        self.pace = Pace(lanes, now=self.time.now, sleep=self.time.sleep)
        self.options = {}

    def connector(self):
        credentials = CrmCredentials(secrets={"token": self.token}, options=self.options)
        return HubSpot(credentials, self.http, pace=self.pace)

    def remember(self, options):
        self.options = dict(options)

    def add_contact(self, **values):
        return self.account.add_contact(**{TYPED[name]: value for name, value in values.items()})

    def contacts(self):
        return {
            one.id: {OURS.get(name, name.removeprefix("wa_")): value for name, value in one.values.items()}
            for one in self.account.contacts()
        }

    def merge(self, winner_id, loser_id):
        self.account.merge(winner_id, loser_id)

    def delete_contact(self, contact_id):
        self.account.delete("contacts", contact_id)

    def add_deal(self, contact_id, title):
        deal_id = self.account.add("deals", dealname=title)
        self.account.associate("0-1", contact_id, "0-3", deal_id)
        return deal_id

    def records(self, media_id):
        return [one.id for one in self.account.media_of(media_id)]

    def _type_of(self, record_id):
        return next(type_id for type_id, records in self.account.records.items() if record_id in records)

    def contacts_of(self, record_id):
        return self.account.associated(self._type_of(record_id), record_id, "0-1")

    def everything_live(self):
        return repr([one.values for records in self.account.records.values() for one in records.values()])

    def retitle(self, record_id, title):
        type_id = self._type_of(record_id)
        if type_id != "0-46":
            self.account.edit(type_id, record_id, wa_title=title)
            return
        body = self.account.records[type_id][record_id].values["hs_note_body"]
        before, _, rest = body.partition('">')
        _, _, after = rest.partition("</a>")
        self.account.edit(type_id, record_id, hs_note_body=f'{before}">{title}</a>{after}')

    def delete_record(self, record_id):
        self.account.delete(self._type_of(record_id), record_id)

    def lose_next_answer(self):
        path = "/batch/upsert" if self.account.has_custom_objects else "2026-03/notes"
        self.account.faults.add(Fault("timeout_after_commit", method="POST", path_has=path))

    def lose_next_answer_about_people(self):
        self.account.faults.add(Fault("timeout_after_commit", path_has="contacts/batch/upsert"))

    def revoke_after(self, writes):
        path = "/batch/upsert" if self.account.has_custom_objects else "2026-03/notes"
        self.account.faults.add(
            Fault("status", 401, "POST", path, times=10_000, after=writes, category="INVALID_AUTHENTICATION")
        )

    def accept_token(self):
        self.account.faults.clear()

    def fields_made(self):
        return sum(map(len, self.account.properties.values())) + len(self.account.schemas)

    def calls(self):
        return sum(self.transport.exchanges.values())

    def add_field(self, place, name, type_):
        type_id = "0-1" if place == "contact" else self.options["media_type_id"]
        theirs = name.lower().replace(" ", "_")
        types = {"moment": ("datetime", "date"), "yes_no": ("bool", "booleancheckbox")}
        type_, field_type = types.get(type_, ({"text": "string"}.get(type_, type_), type_))
        self.account.properties[type_id][theirs] = Property(theirs, name, type_, field_type)
        return theirs

    def held(self, place, record_id):
        return self.account.records[self._type_of(record_id)][record_id].values

    def uploads(self, file_name):
        live = [one for records in self.account.records.values() for one in records.values() if one.is_live]
        shown = [file for record in live for file in self.account.files_on(record)]
        return {one.id: one.content for one in shown if one.name.startswith(file_name.partition(".")[0])}

    def lose_next_answer_about_an_upload(self):
        self.account.faults.add(Fault("timeout_after_commit", method="POST", path_has="2026-03/files"))

    def limits(self):
        traffic = self.account.traffic
        return {
            name: (window.peak, window.limit)
            for name, window in vars(traffic).items()
            if hasattr(window, "peak")
        }


class TestHubSpotEnterprise(UploadScenarios):
    def make_world(self):
        return HubSpotWorld(self.plan)


class TestHubSpotWithoutCustomObjects(UploadScenarios):
    plan = "activity"
    storm_items = 300  # every note is a request of its own, and every batch lists the contact's notes first
    storm_batch = 20
    has_fields = False

    def make_world(self):
        return HubSpotWorld(self.plan)
