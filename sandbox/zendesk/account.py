"""The state of a simulated Zendesk account: who may come in, how often, and what it holds."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any

from sandbox.hubspot.faults import Faults
from sandbox.hubspot.limits import Window
from sandbox.zendesk.desk import Desk
from sandbox.zendesk.files import File
from sandbox.zendesk.objects import Objects, Record
from sandbox.zendesk.people import People

CLIENT_ID = "acervo"
MEDIA = "whatsapp_media"


def create_account(
    secret: str,
    *,
    custom_objects: int = 30,
    clock: Callable[[], float] = time.time,
    search_lag_s: float = 10.0,
    per_minute: int = 400,
    job_s: float = 2.0,
) -> Account:
    """An empty account with one OAuth client. `custom_objects`: how many its plan allows. `clock`: seconds since
    1970."""
    return Account(secret, custom_objects, clock, search_lag_s, per_minute, job_s)


class Account:
    """What the API and the people who work in it share."""

    def __init__(
        self,
        secret: str,
        custom_objects: int,
        clock: Callable[[], float],
        search_lag_s: float,
        per_minute: int,
        job_s: float,
    ) -> None:
        self.clock = clock
        self.clients = {CLIENT_ID: secret}
        self.api_tokens: set[tuple[str, str]] = set()
        """Pairs of e-mail address and token."""
        self.tokens: dict[str, float] = {}
        """Access tokens, and when they end."""
        self.token_lifetime_s = 1800.0
        self.tokens_sold = 0
        self.away_until = 0.0
        """Until then everything is answered with 503."""
        self.role = "admin"
        self.takes_uploads = True
        """Whether its settings let anybody put files on tickets."""
        self.faults = Faults()
        self.minute = Window(per_minute, 60.0, clock)
        self.ticket_updates = Window(100, 60.0, clock)
        self.by_operation: dict[str, int] = {}
        self.people = People(clock, search_lag_s=search_lag_s, updates=5)
        self.desk = Desk(clock)
        self.objects = Objects(clock, limit=custom_objects, job_s=job_s, knows=self._knows)

    # --- the door ---

    def sell_token(self, client_id: str, secret: str, lifetime_s: float | None) -> tuple[str, float] | None:
        """A token and its seconds, or None for a client nobody knows."""
        if self.clients.get(client_id) != secret:
            return None
        lives_s = min(lifetime_s or self.token_lifetime_s, self.token_lifetime_s)
        token = secrets.token_hex(32)
        self.tokens[token] = self.clock() + lives_s
        self.tokens_sold += 1
        return token, lives_s

    def lets_in(self, token: str) -> bool:
        return self.tokens.get(token, 0.0) > self.clock()

    # --- what a person does in Zendesk ---

    def merge(self, winner_id: int, loser_id: int) -> None:
        """Two users become one; the tickets go along."""
        self.people.merge(self.people.live(winner_id), self.people.live(loser_id))
        for ticket in self.desk.requested_by(loser_id):
            ticket.requester_id = winner_id
            ticket.updated_at = self.clock()

    # --- what a test or a page asks ---

    def media_of(self, media_id: str) -> list[Record]:
        one = self.objects.objects.get(MEDIA)
        record = one.held.get(media_id) if one else None
        return [record] if record else []

    def notes_of(self, media_id: str) -> list[str]:
        """The tickets on which a note tells of this file, once for each note."""
        return [
            str(ticket.id)
            for ticket in self.desk.tickets.values()
            for comment in ticket.comments
            if f"<p>wa-media:{media_id}</p>" in comment.html
        ]

    def files_named(self, name: str) -> dict[str, File]:
        """Those that hang on a comment, by ticket, comment and file."""
        return {
            f"{ticket.id}/{comment.id}/{file.id}": file
            for ticket in self.desk.tickets.values()
            for comment in ticket.comments
            for file in comment.files
            if file.name == name
        }

    def everything(self) -> str:
        """All that can be read in it."""
        records: list[Any] = [
            (record.name, record.values)
            for one in self.objects.objects.values()
            for record in one.records.values()
        ]
        comments = [comment.html for ticket in self.desk.tickets.values() for comment in ticket.comments]
        users = [(user.name, user.user_fields) for user in self.people.users.values()]
        return repr([records, comments, users])

    def _knows(self, target: str, key: str) -> bool:
        if not key.isdigit():
            return False
        if target == "zen:user":
            user = self.people.users.get(int(key))
            return bool(user and user.is_active)
        return int(key) in self.desk.tickets
