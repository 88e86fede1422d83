"""Zendesk keeps the contract, against an account that remembers; both sides are held to the written shapes."""

import httpx

from acervo.crms.conformance import RenewingScenarios
from acervo.crms.contract import CrmCredentials
from acervo.crms.pace import Pace, RollingLimit
from acervo.crms.tokens import OwnToken
from acervo.crms.upload_conformance import UploadScenarios, UploadWorld
from acervo.crms.virtual_time import VirtualTime
from acervo.crms.zendesk.adapter import Zendesk
from acervo.crms.zendesk.api import lanes
from sandbox.hubspot.shapes import CheckedTransport
from sandbox.zendesk import AccountTransport, Fault, create_account
from sandbox.zendesk.account import CLIENT_ID, MEDIA

PER_MINUTE = 400
UNTIL_TOLD = 10_000


class TimedTransport(CheckedTransport):
    def __init__(self, inner, time):
        super().__init__(inner, "zendesk")
        self.time = time

    async def handle_async_request(self, request):
        with self.time.busy():
            return await super().handle_async_request(request)


class ZendeskWorld(UploadWorld):
    related_type = "ticket"

    def __init__(self, plan="object"):
        self.time = VirtualTime()
        self.token = "c2e1a7-client-secret-simulated"
        objects = 30 if plan == "object" else 0
        self.account = create_account(
            self.token, custom_objects=objects, clock=self.time.now, per_minute=PER_MINUTE
        )
        self.account.token_lifetime_s = 100_000.0
        self.transport = TimedTransport(AccountTransport(self.account), self.time)
        self.http = httpx.AsyncClient(transport=self.transport)
        limits = {name: RollingLimit(count, per_s) for name, count, per_s in lanes(PER_MINUTE)}
        self.pace = Pace(limits, now=self.time.now, sleep=self.time.sleep)
        self.tokens = OwnToken(now=self.time.now)
        self.secrets = {"client_id": CLIENT_ID, "secret": self.token}
        self.options = {"subdomain": "aurora"}

    @property
    def media(self):
        return self.account.objects.objects[MEDIA]

    def connector(self):
        credentials = CrmCredentials(secrets=self.secrets, options=self.options, tokens=self.tokens)
        return Zendesk(credentials, self.http, pace=self.pace)

    def remember(self, options):
        self.options = {**self.options, **options}

    def add_contact(self, **values):
        name = " ".join(values[part] for part in ("first_name", "last_name") if part in values)
        user = self.account.people.add(name=name or "Sem nome", phone=values.get("phone"))
        if "mobile" in values:
            self.account.people.add_number(user, values["mobile"])
        return str(user.id)

    def contacts(self):
        return {
            str(user.id): {
                "first_name": user.name,
                "phone": user.phone or "",
                **{
                    name.removeprefix("wa_"): str(value)
                    for name, value in user.user_fields.items()
                    if value is not None
                },
            }
            for user in self.account.people.users.values()
            if user.is_active
        }

    def merge(self, winner_id, loser_id):
        """And minutes pass: Zendesk says nowhere into whom somebody was merged; its index finds the number there."""
        self.account.merge(int(winner_id), int(loser_id))
        self.settle()

    def delete_contact(self, contact_id):
        self.account.people.delete(self.account.people.live(int(contact_id)))

    def add_deal(self, contact_id, title):
        return str(self.account.desk.add(int(contact_id), title).id)

    def records(self, media_id):
        notes = [f"{ticket_id}/{media_id}" for ticket_id in self.account.notes_of(media_id)]
        return [record.id for record in self.account.media_of(media_id)] + notes

    def contacts_of(self, record_id):
        ticket_id, _, media_id = record_id.partition("/")
        if media_id:
            return [str(self.account.desk.get(int(ticket_id)).requester_id)]
        return [str(self.media.records[record_id].values["contact"])]

    def everything_live(self):
        return self.account.everything()

    def retitle(self, record_id, title):
        """Nobody can change a comment in Zendesk: what a person can do is black its text out."""
        media_id = record_id.partition("/")[2]
        if not media_id:
            self.media.records[record_id].name = title
            return
        for comment in self._cards(record_id):
            before, marker, after = comment.html.partition(f"<p>wa-media:{media_id}</p>")
            start = before.rindex("<a ")
            opening, _, rest = before[start:].partition(">")
            comment.html = f"{before[:start]}{opening}>▇▇▇{rest[rest.index('</a>') :]}{marker}{after}"

    def delete_record(self, record_id):
        if "/" not in record_id:
            self.account.objects.delete(MEDIA, self.media.records[record_id])
            return
        marker = f"<p>wa-media:{record_id.partition('/')[2]}</p>"
        for comment in self._cards(record_id):
            comment.html = comment.html.replace(marker, "<p>▇▇▇</p>")

    def _cards(self, record_id):
        ticket_id, _, media_id = record_id.partition("/")
        ticket = self.account.desk.get(int(ticket_id))
        return [one for one in ticket.comments if f"<p>wa-media:{media_id}</p>" in one.html]

    def lose_next_answer(self):
        is_object = bool(self.account.objects.limit)
        method, path = ("PATCH", "/records") if is_object else ("POST", "/api/v2/tickets")
        self.account.faults.add(Fault("timeout_after_commit", method=method, path_has=path))

    def lose_next_answer_about_people(self):
        self.account.faults.add(Fault("timeout_after_commit", path_has="/users/create_or_update_many"))

    def revoke_after(self, writes):
        path = "/records" if self.account.objects.limit else "/api/v2/tickets"
        self.account.faults.add(
            Fault("status", 401, path_has=path, times=UNTIL_TOLD, after=writes, category="invalid_token")
        )
        self.account.faults.add(
            Fault("status", 401, path_has="/oauth/tokens", times=UNTIL_TOLD, category="invalid_client")
        )

    def accept_token(self):
        self.account.faults.clear()

    def end_token(self):
        self.account.tokens.clear()

    def tokens_given(self):
        return self.account.tokens_sold

    def be_away(self, seconds):
        self.account.away_until = self.time.now() + seconds

    def fields_made(self):
        objects = self.account.objects.objects
        return (
            len(self.account.people.fields) + len(objects) + sum(len(one.fields) for one in objects.values())
        )

    def calls(self):
        return sum(self.transport.exchanges.values())

    def add_field(self, place, name, type_):
        theirs = name.lower().replace(" ", "_")
        types = {"number": "integer", "moment": "text", "yes_no": "checkbox"}
        definition = {"key": theirs, "title": name, "type": types.get(type_, type_), "active": True}
        fields = self.account.people.fields if place == "contact" else self.media.fields
        fields[theirs] = {"id": 7_000 + len(fields), **definition}
        return theirs

    def held(self, place, record_id):
        if place == "media":
            return self.media.records[record_id].values
        return self.account.people.users[int(record_id)].user_fields

    def uploads(self, file_name):
        return {key: file.content for key, file in self.account.files_named(file_name).items()}

    def lose_next_answer_about_an_upload(self):
        """That of the note they hang on: bytes that hang on nothing are soon forgotten."""
        self.account.faults.add(Fault("timeout_after_commit", method="PUT", path_has="/api/v2/tickets/"))

    def limits(self):
        windows = {"minute": self.account.minute, "ticket updates": self.account.ticket_updates}
        peaks = {name: (window.peak, window.limit) for name, window in windows.items()}
        most = max((window.peak for window in self.account.desk.windows.values()), default=0)
        peaks["one ticket"] = (most, 30)
        return {**peaks, "jobs": (self.account.objects.most_jobs, self.account.objects.jobs_at_once)}


class TestZendeskSuite(RenewingScenarios, UploadScenarios):
    def make_world(self):
        return ZendeskWorld(self.plan)


class TestZendeskWithoutCustomObjects(RenewingScenarios, UploadScenarios):
    plan = "activity"
    has_fields = False
    storm_items = 1000
    storm_batch = 50  # every write to a ticket reads it first

    def make_world(self):
        return ZendeskWorld(self.plan)
