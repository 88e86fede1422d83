"""The state of a simulated Zoho organisation and the rules Zoho keeps over it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from sandbox.hubspot.faults import Faults
from sandbox.zoho.fields import Field, Module, default_modules
from sandbox.zoho.files import File, Files
from sandbox.zoho.limits import Traffic
from sandbox.zoho.records import Record, Refusal

TOKEN_LIFE_S = 3600
ZONE = timezone(timedelta(hours=-3))
"""Moments are answered in the time zone of the organisation."""


def create_account(
    refresh_token: str,
    *,
    client: tuple[str, str] = ("1000.SIMULATED", "simulated-secret"),
    edition: str = "enterprise",
    clock: Callable[[], float] = time.time,
    search_lag_s: float = 10.0,
    at_once: int = 10,
    others: int = 0,
    credits_a_day: int = 50_000,
) -> Account:
    """An empty organisation. `client`: the id and secret of whoever may ask for tokens. `clock`: seconds since 1970."""
    traffic = Traffic(clock, at_once=at_once, others=others, credits_a_day=credits_a_day)
    return Account((*client, refresh_token), edition, clock, search_lag_s, traffic)


class Account:
    """Everything the organisation holds. Writing goes through `write`, so that uniqueness, picklists and the lagging
    search index hold for whoever writes: the API or a person (`add_contact`, `edit`, `merge`)."""

    def __init__(
        self,
        client: tuple[str, str, str],
        edition: str,
        clock: Callable[[], float],
        search_lag_s: float,
        traffic: Traffic,
    ) -> None:
        self.client = client
        self.is_grant_good = True
        """Whether the refresh token is still accepted; False once somebody revoked it."""
        self.grant_codes: dict[str, str] = {}
        """One-time codes of the API console to the refresh tokens they buy."""
        self.tokens: dict[str, float] = {}
        """Access tokens to the moment they end."""
        self.tokens_given = 0
        self.edition = edition
        self.lacks_scopes: set[str] = set()
        """Paths with such a part are answered OAUTH_SCOPE_MISMATCH."""
        self.clock = clock
        self.search_lag_s = search_lag_s
        self.finds_parts = True
        """Whether a search finds a number by a part of it, however written, or only as it was typed."""
        self.away_until = 0.0
        """Until then every call fails inside, one for a token too."""
        self.org_id = "716000123"
        self.traffic = traffic
        self.faults = Faults()
        self.modules: dict[str, Module] = default_modules()
        self.records: dict[str, dict[str, Record]] = {name: {} for name in self.modules}
        self.members: set[tuple[str, str]] = set()
        """(campaign, contact)."""
        self.files = Files()
        self._last_id = 5_843_104_000_000_100_000
        self._held: dict[tuple[str, str, str], list[Record]] = {}
        """(module, unique field, value) to whoever has or had it."""

    # --- what a person does in the CRM ---

    def add_contact(self, **values: str) -> str:
        """Somebody types a contact in."""
        return self.write("Contacts", None, {"Last_Name": "Sem nome", **values}).id

    def add(self, module: str, **values: Any) -> str:
        return self.write(module, None, values).id

    def edit(self, record_id: str, **values: Any) -> None:
        """Somebody changes values by hand, also to nothing."""
        self.find(record_id).change(values, at=self.clock())

    def delete(self, record_id: str) -> None:
        """Into the recycle bin: gone for the API, its unique values free again."""
        self.find(record_id).deleted_at = self.clock()

    def merge(self, winner_id: str, loser_id: str) -> None:
        """Two contacts become one: the winner's values stay, its gaps are filled, the loser's records move."""
        winner, loser = self.live("Contacts", winner_id), self.live("Contacts", loser_id)
        loser.deleted_at = self.clock()
        gaps = {name: value for name, value in loser.values.items() if value and not winner.values.get(name)}
        self.write("Contacts", winner_id, gaps)
        for records in self.records.values():
            for record in records.values():
                moved = {
                    name: {**value, "id": winner_id}
                    for name, value in record.values.items()
                    if isinstance(value, dict) and value.get("id") == loser_id
                }
                if moved:
                    record.change(moved, at=self.clock())

    def add_file(self, holder_id: str, name: str, content: bytes, content_type: str = "text/plain") -> File:
        """Somebody, or the API, hangs a file on a record."""
        holder = self.find(holder_id)
        return self.files.add(File(self.next_id(), name, content_type, content, holder, self.clock()))

    # --- what a test or a page asks ---

    def contacts(self) -> list[Record]:
        return [one for one in self.records["Contacts"].values() if one.is_live]

    def media_of(self, media_id: str) -> list[Record]:
        """The live records, or notes, that carry one of our ids."""
        keyed = (self.by_unique(module, "WA_Media_Id", media_id) for module in self.modules)
        notes = self.records["Notes"].values()
        marker = f"wa-media:{media_id}"
        marked = [one for one in notes if one.is_live and marker in (one.values.get("Note_Content") or "")]
        return [one for one in keyed if one] + marked

    def find(self, record_id: str) -> Record:
        return next(records[record_id] for records in self.records.values() if record_id in records)

    @property
    def is_away(self) -> bool:
        return self.clock() < self.away_until

    # --- rules ---

    def module(self, name: str) -> Module:
        if name not in self.modules:
            raise Refusal("INVALID_MODULE", "the module name given seems to be invalid", api_name="module")
        return self.modules[name]

    def live(self, module: str, record_id: str, *, named: str = "id") -> Record:
        """Raises Refusal. The id of a merged contact leads nowhere: Zoho promises nothing else."""
        record = self.records[self.module(module).api_name].get(record_id)
        if record is None or not record.is_live:
            raise Refusal("INVALID_DATA", "the id given seems to be invalid", api_name=named)
        return record

    def by_unique(self, module: str, name: str, value: Any) -> Record | None:
        held = self._held.get((module, name, str(value)), ())
        return next((one for one in held if one.is_live and one.values.get(name) == value), None)

    def write(self, module: str, record_id: str | None, values: Mapping[str, Any]) -> Record:
        """Create or update. Raises Refusal without changing anything."""
        definition = self.module(module)
        record = None if record_id is None else self.live(module, record_id)
        self._check(definition, record, values)
        if record is None:
            record = Record(self.next_id(), module, created_at=self.clock())
            self.records[module][record.id] = record
        record.change(values, at=self.clock())
        for name, value in values.items():
            if value is not None and name in definition.fields and definition.fields[name].is_unique:
                holders = self._held.setdefault((module, name, str(value)), [])
                if record not in holders:
                    holders.append(record)
        return record

    def purge(self, one_id: str) -> None:
        """Out of the recycle bin: a record with its files, or a file alone. Raises Refusal."""
        record = next((held[one_id] for held in self.records.values() if one_id in held), None)
        if record and not record.is_live and not record.is_purged:
            record.is_purged = True
            self.files.purge_with(record)
        elif not self.files.purge(one_id):
            raise Refusal("INVALID_DATA", "the id given seems to be invalid", api_name="id")

    def next_id(self) -> str:
        self._last_id += 1
        return str(self._last_id)

    def moment(self, at: float) -> str:
        return datetime.fromtimestamp(at, UTC).astimezone(ZONE).isoformat(timespec="seconds")

    def _check(self, module: Module, record: Record | None, values: Mapping[str, Any]) -> None:
        for name, one in module.fields.items():
            if one.is_mandatory and record is None and values.get(name) is None:
                raise Refusal("MANDATORY_NOT_FOUND", "required field not found", api_name=name)
        for name, value in values.items():
            if name == "Parent_Id":
                self.live(value["module"]["api_name"], value["id"], named="Parent_Id")
            elif name in module.fields:  # Zoho passes over names it does not know
                module.fields[name].check(value)
                self._check_ties(module, record, module.fields[name], value)

    def _check_ties(self, module: Module, record: Record | None, one: Field, value: Any) -> None:
        if one.to_module and value is not None:
            self.live(one.to_module, value["id"], named=one.api_name)
        if one.is_unique and value is not None:
            holder = self.by_unique(module.api_name, one.api_name, value)
            if holder and holder is not record:
                raise Refusal("DUPLICATE_DATA", "duplicate data", api_name=one.api_name, id=holder.id)
