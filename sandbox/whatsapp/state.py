"""What the simulated Cloud API knows: its numbers, tokens, files and faults, and what it was asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from sandbox.whatsapp.faults import FaultPlan
from sandbox.whatsapp.phone import Phone
from sandbox.whatsapp.shelf import MediaShelf


@dataclass(slots=True)
class Statistics:
    """What was asked of the sandbox since it started, or since it was cleared."""

    requests: Counter[str] = field(default_factory=Counter)
    """By kind: lookup, download, check, settings, delete, send, register."""
    refusals: Counter[str] = field(default_factory=Counter)
    """By reason: no_token, bad_token, foreign, unknown_id, dead_link."""
    lookups: Counter[str] = field(default_factory=Counter)
    """Good answers, by media id."""
    downloads: Counter[str] = field(default_factory=Counter)
    """True and whole bodies offered, by media id."""

    def clear(self) -> None:
        for counter in (self.requests, self.refusals, self.lookups, self.downloads):
            counter.clear()

    def as_json(self) -> dict[str, Any]:
        return {
            "requests": dict(self.requests),
            "refusals": dict(self.refusals),
            "lookups": dict(self.lookups),
            "downloads": dict(self.downloads),
        }


class State:
    """One sandbox. Handlers find it in the application under `STATE`."""

    def __init__(self, phones: Iterable[Phone], shelf: MediaShelf, plan: FaultPlan) -> None:
        self.phones: dict[str, Phone] = {}
        self.shelf = shelf
        self.plan = plan
        self.statistics = Statistics()
        self.usage_percent = 1
        self.key_header: str | None = None
        """Where a partner of Meta wants its key; None: `Authorization: Bearer`."""
        self.sent: list[dict[str, Any]] = []
        """What the archive said to customers, as it said it."""
        self.late: set[str] = set()
        """Customers (by what they are addressed with) who wrote more than 24 hours ago."""
        self.registered: dict[str, dict[str, Any]] = {}
        """By number: the address it knocks at, and what it shows there."""
        self.subscribed: set[str] = set()
        """Business accounts whose app listens."""
        self._reach: dict[str, set[str]] = {}
        self._revoked: set[str] = set()
        for phone in phones:
            self.add_phone(phone)

    def add_phone(self, phone: Phone) -> None:
        self.phones[phone.phone_number_id] = phone
        self._reach.setdefault(f"Bearer {phone.access_token}", set()).add(phone.phone_number_id)

    def revoke(self, token: str) -> None:
        self._revoked.add(f"Bearer {token}")

    def restore(self, token: str) -> None:
        self._revoked.discard(f"Bearer {token}")

    def opened_by(self, headers: Mapping[str, str]) -> set[str] | None:
        """The numbers these request headers open, or None when they open nothing."""
        if self.key_header is None:
            return self.reach(headers.get("Authorization"))
        key = headers.get(self.key_header)
        return self.reach(None if key is None else f"Bearer {key}")

    def reach(self, authorization: str | None) -> set[str] | None:
        """The numbers this Authorization header opens, or None when it opens nothing."""
        if authorization is None:
            self.statistics.refusals["no_token"] += 1
            return None
        numbers = None if authorization in self._revoked else self._reach.get(authorization)
        if numbers is None:
            self.statistics.refusals["bad_token"] += 1
        return numbers


STATE: web.AppKey[State] = web.AppKey("state", State)
