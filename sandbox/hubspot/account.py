"""The state of a simulated HubSpot account and the rules HubSpot keeps over it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import phonenumbers

from sandbox.hubspot.faults import Faults
from sandbox.hubspot.files import Files, StoredFile
from sandbox.hubspot.limits import Traffic
from sandbox.hubspot.properties import DEFAULT_PROPERTIES, Property, checked
from sandbox.hubspot.records import Record, Refusal

TYPE_IDS = {"contacts": "0-1", "deals": "0-3", "tickets": "0-5", "notes": "0-46"}
_SINGULAR = {"contact": "contacts", "deal": "deals", "ticket": "tickets", "note": "notes"}


def create_account(
    token: str,
    *,
    custom_objects: bool = True,
    clock: Callable[[], float] = time.time,
    search_lag_s: float = 10.0,
    country: str = "BR",
    burst: int = 100,
    searches: int = 5,
    daily: int = 250_000,
) -> Account:
    """An empty account. `custom_objects`: whether its plan is Enterprise. `clock`: seconds since 1970."""
    traffic = Traffic(clock, burst=burst, searches=searches, daily=daily)
    return Account(token, custom_objects, clock, search_lag_s, country, traffic)


class Account:
    """Everything the portal holds. Writing goes through `write`, so that uniqueness, option lists and the
    lagging search index hold for whoever writes: the API or a person (`add_contact`, `edit`, `merge`)."""

    def __init__(
        self,
        token: str,
        custom_objects: bool,
        clock: Callable[[], float],
        search_lag_s: float,
        country: str,
        traffic: Traffic,
    ) -> None:
        self.tokens = {token}
        self.has_custom_objects = custom_objects
        self.clock = clock
        self.search_lag_s = search_lag_s
        self.country = country
        self.portal_id = 24_000_001
        self.names_bad_inputs = True
        """Whether batch writes answer 207 with an error per input, or refuse the whole batch with 400."""
        self.has_files_scope = True
        self.files = Files()
        self.traffic = traffic
        self.faults = Faults()
        self.groups: dict[str, dict[str, dict[str, Any]]] = {}
        self.properties: dict[str, dict[str, Property]] = {
            type_id: {one.name: one for one in DEFAULT_PROPERTIES[name]} for name, type_id in TYPE_IDS.items()
        }
        self.schemas: dict[str, dict[str, Any]] = {}
        self.records: dict[str, dict[str, Record]] = {type_id: {} for type_id in TYPE_IDS.values()}
        self.merged: dict[str, str] = {}
        self.associations: set[tuple[str, str, str, str]] = set()
        """(type, id, type, id), both ways round."""
        self._last_id = 100
        self._held: dict[tuple[str, str, str], list[Record]] = {}
        """(type, unique property, value) to whoever has or had it: HubSpot's unique index."""

    # --- what a person does in the CRM ---

    def add_contact(self, **properties: str) -> str:
        """Somebody types a contact in."""
        return self.write("0-1", None, properties).id

    def add(self, object_type: str, **properties: str) -> str:
        """A deal, a ticket or a note, by hand."""
        return self.write(self.type_id(object_type), None, properties).id

    def edit(self, object_type: str, record_id: str, **properties: str) -> None:
        """Somebody changes values by hand."""
        self.write(self.type_id(object_type), record_id, properties)

    def delete(self, object_type: str, record_id: str) -> None:
        """Into the recycle bin: gone for the API, its unique values free again."""
        self.live(object_type, record_id).archived_at = self.clock()

    def merge(self, winner_id: str, loser_id: str) -> None:
        """Two contacts become one: the winner's values stay, its gaps are filled from the loser's."""
        winner, loser = self.live("contacts", winner_id), self.live("contacts", loser_id)
        loser.archived_at = self.clock()
        self.merged[loser_id] = winner_id
        values = {
            name: value for name, value in loser.values.items() if value and not winner.values.get(name)
        }
        self.write("0-1", winner_id, values, is_system=True)
        for from_type, from_id, to_type, to_id in tuple(self.associations):
            if (from_type, from_id) == ("0-1", loser_id):
                self.associate("0-1", winner_id, to_type, to_id)

    # --- what a test or a page asks ---

    def media_of(self, media_id: str) -> list[Record]:
        """The live records or notes that carry one of our ids."""
        records = [self.by_unique(type_id, "wa_media_id", media_id) for type_id in self.schemas]
        notes = self.records[TYPE_IDS["notes"]].values()
        marked = [
            one
            for one in notes
            if one.is_live and f"wa-media:{media_id}" in one.values.get("hs_note_body", "")
        ]
        return [one for one in records if one] + marked

    def contacts(self) -> list[Record]:
        return [record for record in self.records["0-1"].values() if record.is_live]

    def files_on(self, record: Record) -> list[StoredFile]:
        """What hangs on it: named by any of its fields for files, and there."""
        fields = [one.name for one in self.properties[record.type_id].values() if one.field_type == "file"]
        named = ";".join(record.values.get(name, "") for name in fields).split(";")
        return [self.files.by_id[one] for one in named if one in self.files.by_id]

    # --- rules ---

    def type_id(self, object_type: str) -> str:
        """From any of the names HubSpot takes. Raises Refusal 400 for an unknown one."""
        name = _SINGULAR.get(object_type.lower(), object_type)
        if name in TYPE_IDS:
            return TYPE_IDS[name]
        for type_id, schema in self.schemas.items():
            if object_type in {type_id, schema["name"], schema["fullyQualifiedName"]}:
                return type_id
        if object_type in self.records:
            return object_type
        raise Refusal(400, "VALIDATION_ERROR", f"Unable to infer object type from: {object_type}")

    def live(self, object_type: str, record_id: str) -> Record:
        """Raises Refusal 404. The id of a merged contact answers the survivor."""
        type_id = self.type_id(object_type)
        while type_id == "0-1" and record_id in self.merged:
            record_id = self.merged[record_id]
        record = self.records[type_id].get(record_id)
        if record is None or not record.is_live:
            raise Refusal(404, "OBJECT_NOT_FOUND", "resource not found")
        return record

    def by_unique(self, type_id: str, name: str, value: str) -> Record | None:
        """Raises Refusal 400 for a property that is not unique."""
        definition = self.properties[type_id].get(name)
        if definition is None or not definition.is_unique:
            raise Refusal(400, "VALIDATION_ERROR", f"The property {name} is not a unique identifier")
        held = self._held.get((type_id, name, value), ())
        return next((one for one in held if one.is_live and one.values.get(name) == value), None)

    def write(
        self, type_id: str, record_id: str | None, properties: Mapping[str, str], *, is_system: bool = False
    ) -> Record:
        """Create or update. Raises Refusal without changing anything."""
        values = dict(properties) if is_system else checked(self.properties[type_id], properties)
        self._keep_unique(type_id, record_id, values)
        now = self.clock()
        if record_id is None:
            self._require(type_id, values)
            self._last_id += 1
            record = Record(str(self._last_id), type_id, created_at=now)
            self.records[type_id][record.id] = record
        else:
            record = self.live(type_id, record_id)
        record.change({**values, **self._computed(type_id, {**record.values, **values})}, at=now)
        for name, value in values.items():
            if value and self.properties[type_id][name].is_unique:
                holders = self._held.setdefault((type_id, name, value), [])
                if record not in holders:
                    holders.append(record)
        return record

    def associate(self, from_type: str, from_id: str, to_type: str, to_id: str) -> None:
        """Raises Refusal 404. An id merged away is not followed here: whether HubSpot does is not documented."""
        for type_id, record_id in ((from_type, from_id), (to_type, to_id)):
            record = self.records[type_id].get(record_id)
            if record is None or not record.is_live:
                raise Refusal(404, "OBJECT_NOT_FOUND", "an object to associate does not exist")
        self.associations |= {(from_type, from_id, to_type, to_id), (to_type, to_id, from_type, from_id)}

    def dissociate(self, from_type: str, from_id: str, to_type: str, to_id: str) -> None:
        self.associations -= {(from_type, from_id, to_type, to_id), (to_type, to_id, from_type, from_id)}

    def associated(self, from_type: str, from_id: str, to_type: str) -> list[str]:
        ids = (row[3] for row in self.associations if row[:3] == (from_type, from_id, to_type))
        return sorted((one for one in ids if self.records[to_type][one].is_live), key=int)

    def moment(self, at: float) -> str:
        return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _require(self, type_id: str, values: Mapping[str, str]) -> None:
        schema = self.schemas.get(type_id)
        missing = [name for name in (schema or {}).get("requiredProperties", []) if not values.get(name)]
        if missing:
            raise Refusal(400, "VALIDATION_ERROR", f"Error creating record. Required: {', '.join(missing)}")

    def _keep_unique(self, type_id: str, record_id: str | None, values: Mapping[str, str]) -> None:
        for name, value in values.items():
            if not (value and self.properties[type_id][name].is_unique):
                continue
            holder = self.by_unique(type_id, name, value)
            if holder and holder.id != record_id:
                if name == "email":
                    raise Refusal(409, "CONFLICT", f"Contact already exists. Existing ID: {holder.id}")
                code = "CONFLICTING_UNIQUE_VALUE"
                message = f'"{value}" is already taken by {holder.id}'
                detail = f'[{{"isValid":false,"message":{message!r},"error":"{code}","name":"{name}"}}]'
                raise Refusal(400, "VALIDATION_ERROR", f"Property values were not valid: {detail}")

    def _computed(self, type_id: str, values: Mapping[str, str]) -> dict[str, str]:
        if type_id != "0-1":
            return {}
        computed = {
            "hs_searchable_calculated_phone_number": self._as_dialled(values.get("phone")),
            "hs_searchable_calculated_mobile_number": self._as_dialled(values.get("mobilephone")),
        }
        typed = values.get("phone") or values.get("mobilephone") or ""
        try:
            number = phonenumbers.parse(typed, self.country)
        except phonenumbers.NumberParseException:
            return computed
        region = phonenumbers.region_code_for_country_code(number.country_code or 0)
        return {**computed, "hs_calculated_phone_number_country_code": region or ""}

    def _as_dialled(self, typed: str | None) -> str:
        """Area code and local number, no country code: why an E.164 search misses what people type."""
        try:
            return phonenumbers.national_significant_number(phonenumbers.parse(typed or "", self.country))
        except phonenumbers.NumberParseException:
            return ""
