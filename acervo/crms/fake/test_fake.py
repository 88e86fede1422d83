"""The CRM in memory keeps the contract."""

from collections.abc import Mapping, Sequence

from acervo.crms.contract import CrmCredentials
from acervo.crms.fake.account import FakeAccount
from acervo.crms.fake.adapter import FakeCrm
from acervo.crms.pace import Pace, RollingLimit
from acervo.crms.upload_conformance import UploadScenarios, UploadWorld
from acervo.crms.virtual_time import VirtualTime


class FakeWorld(UploadWorld):
    def __init__(self, model):
        self.time = VirtualTime()
        self.token = "fake-token-5d1c"
        self.account = FakeAccount(self.token, model=model, now=self.time.now)
        self.pace = Pace({"burst": RollingLimit(90, 10)}, now=self.time.now, sleep=self.time.sleep)
        self.options = {}

    def connector(self):
        credentials = CrmCredentials(secrets={"token": self.token}, options=self.options)
        return FakeCrm(credentials, pace=self.pace)

    def remember(self, options):
        self.options = dict(options)

    def add_contact(self, **values):
        return self.account.add("contact", values).id

    def contacts(self) -> Mapping[str, Mapping[str, str]]:
        return {one.id: one.values for one in self.account.live("contact")}

    def merge(self, winner_id, loser_id):
        self.account.merge(winner_id, loser_id)

    def delete_contact(self, contact_id):
        self.account.records[contact_id].is_live = False

    def add_deal(self, contact_id, title):
        deal = self.account.add("deal", {"title": title})
        self.account.tie(deal, self.account.records[contact_id])
        return deal.id

    def records(self, media_id) -> Sequence[str]:
        return [one.id for one in self.account.live("media") if one.values.get("media_id") == media_id]

    def contacts_of(self, record_id):
        return [
            one.id
            for one in self.account.live("contact")
            if one.id in self.account.records[record_id].tied_to
        ]

    def everything_live(self):
        return repr([one.values for one in self.account.records.values()])

    def retitle(self, record_id, title):
        self.account.records[record_id].values["title"] = title

    def delete_record(self, record_id):
        self.account.records[record_id].is_live = False

    def lose_next_answer(self):
        self.account.loses_next_answer = True

    def lose_next_answer_about_people(self):
        self.account.loses_next_person = True

    def revoke_after(self, writes):
        self.account.revokes_after = writes

    def accept_token(self):
        self.account.revokes_after, self.account.is_token_accepted = None, True

    def fields_made(self):
        return len(self.account.fields)

    def add_field(self, place, name, type_):
        theirs = name.lower().replace(" ", "_")
        self.account.own_fields[place][theirs] = type_
        return theirs

    def held(self, place, record_id):
        return self.account.records[record_id].values

    def uploads(self, file_name):
        return {key: one.content for key, one in self.account.uploads.items() if one.file_name == file_name}

    def lose_next_answer_about_an_upload(self):
        self.account.loses_next_upload = True

    def limits(self):
        return {"burst": (self.account.peak, self.account.limit)}


class TestFakeWithObjects(UploadScenarios):
    storm_items = 300

    def make_world(self):
        return FakeWorld(self.plan)


class TestFakeWithActivities(TestFakeWithObjects):
    plan = "activity"
    has_fields = False
