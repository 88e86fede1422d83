"""The state of a simulated Salesforce organisation and the rules Salesforce keeps over it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sandbox.forms import Part
from sandbox.hubspot.faults import Faults
from sandbox.hubspot.limits import Window
from sandbox.salesforce.fields import ID, PREFIXES, STANDARD, FieldDef, Refusal, stored

MEDIA = "WhatsApp_Media__c"
FREE = frozenset({"PermissionSet", "PermissionSetAssignment", "Organization", "User"})
"""Set-up objects: their fields need no permission here."""
GOES_WITH = {
    "ContentDocumentLink": ("ContentDocumentId", "LinkedEntityId"),
    "ContentVersion": ("ContentDocumentId",),
}
"""What is deleted together with what it leads to. A file is not deleted with the record it hangs on."""


@dataclass
class Record:
    id: str
    object_name: str
    values: dict[str, Any] = field(default_factory=dict)
    versions: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    is_deleted: bool = False
    master_id: str | None = None

    def as_of(self, at: float) -> dict[str, Any] | None:
        """What the search index knows."""
        return next((values for moment, values in reversed(self.versions) if moment <= at), None)

    def get(self, name: str) -> Any:
        system = {"Id": self.id, "IsDeleted": self.is_deleted, "MasterRecordId": self.master_id}
        return system[name] if name in system else self.values.get(name)


class Traffic:
    """Calls of 24 hours, and how many were under way at once."""

    def __init__(self, clock: Callable[[], float], daily: int, at_once: int) -> None:
        self.daily = Window(daily, 86_400.0, clock)
        self.at_once_limit = at_once
        self.at_once = 0
        self.peak = 0
        self.by_operation: dict[str, int] = {}


def create_org(
    client_id: str,
    client_secret: str,
    *,
    custom_objects: bool = True,
    clock: Callable[[], float] = time.time,
    search_lag_s: float = 10.0,
    daily: int = 15_000,
    at_once: int = 5,
    session_s: float = 7200.0,
) -> Org:
    """An empty organisation. `custom_objects`: whether its edition has them. `clock`: seconds since 1970."""
    traffic = Traffic(clock, daily, at_once)
    return Org(client_id, client_secret, custom_objects, clock, search_lag_s, session_s, traffic)


class Org:
    """Everything the organisation holds. Writing goes through `write`, so that uniqueness, restricted values and
    the lagging index hold for whoever writes: the API or a person (`add`, `edit`, `merge`)."""

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        custom_objects: bool,
        clock: Callable[[], float],
        search_lag_s: float,
        session_s: float,
        traffic: Traffic,
    ) -> None:
        self.client_id, self.client_secret = client_id, client_secret
        self.public_key: Any = None
        """Of the certificate at the app, for the JWT bearer flow."""
        self.username = "acervo@example.com"
        self.has_custom_objects = custom_objects
        self.clock = clock
        self.search_lag_s = search_lag_s
        self.session_s = session_s
        self.traffic = traffic
        self.faults = Faults()
        self.sessions: dict[str, float] = {}
        """Token to its end."""
        self.tokens_given = 0
        self.refuses_access = False
        self.joins_search_terms = True
        self.refuses_duplicates = False
        """Whether a duplicate rule stops a new contact with the name of another."""
        self.away_until = 0.0
        self.objects: dict[str, dict[str, FieldDef]] = {
            name: dict(fields) for name, fields in STANDARD.items()
        }
        self.records: dict[str, dict[str, Record]] = {name: {} for name in STANDARD}
        self.rights: dict[str, set[str]] = {}
        """Permission set to the fields and objects it shows."""
        self.bytes_of: dict[str, Part] = {}
        """Of the versions of files, by their id."""
        self.most_file_bytes = 2 * 1024**3
        self.file_room_bytes = 10 * 1024**3
        self.files_a_day = Window(200_000, 86_400.0, clock)
        self.has_sites = False
        """Whether customers and partners have a site, and are users too."""
        self.deployments: dict[str, dict[str, Any]] = {}
        self.deploy_s = 3.0
        self._held: dict[tuple[str, str, str], list[Record]] = {}
        """(object, unique field, value) to whoever has or had it."""
        self._last_number = 0
        edition = "Enterprise Edition" if custom_objects else "Team Edition"
        organisation = {
            "Name": "Aurora",
            "OrganizationType": edition,
            "InstanceName": "BR1",
            "IsSandbox": False,
        }
        self.id = self.write("Organization", None, organisation, is_system=True).id
        self.user_id = self.write("User", None, {"Username": self.username}, is_system=True).id

    # --- what a person does in the CRM ---

    def add(self, object_name: str, **values: Any) -> str:
        return self.write(object_name, None, values, is_system=True).id

    def edit(self, record_id: str, **values: Any) -> None:
        record = self.find(record_id)
        self.write(record.object_name, record_id, values, is_system=True)

    def delete(self, record_id: str) -> None:
        """Into the recycle bin: still there for queryAll, its unique values free again."""
        gone = self.live(record_id)
        gone.is_deleted = True
        for name, lookups in GOES_WITH.items():
            for one in self.live_of(name):
                one.is_deleted = any(one.values.get(lookup) == gone.id for lookup in lookups)

    def merge(self, winner_id: str, loser_id: str) -> None:
        """Two contacts become one: the winner keeps its own values, what hung on the loser hangs on it."""
        winner, loser = self.live(winner_id), self.live(loser_id)
        loser.is_deleted, loser.master_id = True, winner.id
        for record in self.everything():
            for name, one in self.objects[record.object_name].items():
                if one.type == "Lookup" and record.values.get(name) == loser_id:
                    record.values[name] = winner_id

    # --- what a test or a page asks ---

    def live_of(self, object_name: str) -> list[Record]:
        return [one for one in self.records.get(object_name, {}).values() if not one.is_deleted]

    def media_of(self, media_id: str) -> list[Record]:
        """The live records of a file, of either model."""
        keys = {MEDIA: "Media_Id__c", "Task": "WA_Media_Id__c"}
        return [
            one for name, key in keys.items() for one in self.live_of(name) if one.values.get(key) == media_id
        ]

    def everything(self) -> Iterator[Record]:
        for records in self.records.values():
            yield from (one for one in records.values() if not one.is_deleted)

    # --- rules ---

    def find(self, record_id: str) -> Record:
        """Raises Refusal 404. Ids are good in their short form too."""
        for records in self.records.values():
            if found := records.get(record_id) or next(
                (one for one in records.values() if one.id[:15] == record_id), None
            ):
                return found
        raise Refusal(404, "NOT_FOUND", "Provided external ID field does not exist or is not accessible")

    def live(self, record_id: str) -> Record:
        record = self.find(record_id)
        if record.is_deleted:
            raise Refusal(404, "ENTITY_IS_DELETED", "entity is deleted")
        return record

    def sees(self, object_name: str, name: str) -> bool:
        """Field-level security: what was made by API is seen by nobody until a permission set says so."""
        if object_name in FREE or not name.endswith("__c"):
            return True
        return f"{object_name}.{name}" in self._granted()

    def sees_object(self, object_name: str) -> bool:
        return object_name in self.objects and (
            not object_name.endswith("__c") or object_name in self._granted()
        )

    def definition(self, object_name: str, name: str) -> FieldDef:
        """Raises Refusal 400 for a field that is not there, or not for us."""
        one = self.objects[object_name].get(name)
        if one is None or not self.sees(object_name, name):
            message = f"No such column '{name}' on sobject of type {object_name}"
            raise Refusal(400, "INVALID_FIELD", message, [name])
        return one

    def write(
        self,
        object_name: str,
        record_id: str | None,
        values: Mapping[str, Any],
        *,
        is_system: bool = False,
    ) -> Record:
        """Create or update. Raises Refusal without changing anything."""
        checked = dict(values) if is_system else self._checked(object_name, values)
        self._keep_unique(object_name, record_id, checked)
        if record_id is None:
            if object_name == "Contact" and not is_system and not checked.get("LastName"):
                message = "Required fields are missing: [LastName]"
                raise Refusal(400, "REQUIRED_FIELD_MISSING", message, ["LastName"])
            if object_name == "Contact" and not is_system:
                self._keep_duplicates_out(checked)
            record = Record(self._new_id(object_name), object_name)
            self.records[object_name][record.id] = record
        else:
            record = self.live(record_id)
        record.values = {**record.values, **checked}
        if object_name == MEDIA and not record.values.get("Name"):
            record.values["Name"] = record.id
        record.versions.append((self.clock(), dict(record.values)))
        for name, value in checked.items():
            if value and (one := self.objects[object_name].get(name)) and one.is_external_id:
                self._held.setdefault((object_name, name, str(value).lower()), []).append(record)
        return record

    def by_key(self, object_name: str, key: str, value: Any) -> Record | None:
        one = self.definition(object_name, key)
        if not one.is_external_id:
            raise Refusal(404, "NOT_FOUND", "Provided external ID field does not exist or is not accessible")
        return self._holder(object_name, key, value)

    def _checked(self, object_name: str, values: Mapping[str, Any]) -> dict[str, Any]:
        checked: dict[str, Any] = {}
        for name, value in values.items():
            if name == "attributes":
                continue
            one = self.definition(object_name, name)
            if one.is_formula:
                message = f"Unable to create/update fields: {name}. Please check the security settings"
                raise Refusal(400, "INVALID_FIELD_FOR_INSERT_UPDATE", message, [name])
            checked[name] = stored(one, value)
            if one.type == "Lookup" and checked[name]:
                self._keep_references(one, checked[name])
        return checked

    def _keep_references(self, one: FieldDef, record_id: str) -> None:
        """An id merged away is not followed: whoever writes it must know the survivor."""
        try:
            record = self.find(record_id)
        except Refusal:
            message = f"invalid cross reference id: {record_id}"
            raise Refusal(400, "INVALID_CROSS_REFERENCE_KEY", message, [one.name]) from None
        if record.is_deleted:
            raise Refusal(400, "ENTITY_IS_DELETED", "entity is deleted", [one.name])

    def _keep_unique(self, object_name: str, record_id: str | None, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            one = self.objects[object_name].get(name)
            if one is None or not one.is_unique or not value:
                continue
            other = self._holder(object_name, name, value)
            if other and other.id != record_id:
                message = f"duplicate value found: {name} duplicates value on record with id: {other.id}"
                raise Refusal(400, "DUPLICATE_VALUE", message)
        if object_name == "PermissionSetAssignment":
            pair = (values.get("AssigneeId"), values.get("PermissionSetId"))
            if any(
                (one.values["AssigneeId"], one.values["PermissionSetId"]) == pair
                for one in self.live_of(object_name)
            ):
                message = f"duplicate value found: duplicates value on record with id: {pair[1]}"
                raise Refusal(400, "DUPLICATE_VALUE", message)

    def _keep_duplicates_out(self, values: Mapping[str, Any]) -> None:
        name = values.get("LastName")
        found = [one.id for one in self.live_of("Contact") if one.values.get("LastName") == name]
        if self.refuses_duplicates and found:
            refusal = Refusal(400, "DUPLICATES_DETECTED", "Use one of these records?")
            refusal.matches = found
            raise refusal

    def _holder(self, object_name: str, name: str, value: Any) -> Record | None:
        held = self._held.get((object_name, name, str(value).lower()), ())
        return next((one for one in held if not one.is_deleted and _same(one.values.get(name), value)), None)

    def _granted(self) -> set[str]:
        assigned = {one.values["PermissionSetId"] for one in self.live_of("PermissionSetAssignment")}
        names = [one.values["Name"] for one in self.live_of("PermissionSet") if one.id in assigned]
        return {right for name in names for right in self.rights.get(name, ())}

    def _new_id(self, object_name: str) -> str:
        self._last_number += 1
        return f"{PREFIXES.get(object_name, 'a00')}{self._last_number:012d}AAA"

    def rename(self, object_name: str, definition: FieldDef, **changes: Any) -> None:
        """Somebody changes a field by hand."""
        self.objects[object_name][definition.name] = replace(definition, **changes)


def is_id(value: str) -> bool:
    return bool(ID.fullmatch(value))


def _same(theirs: Any, value: Any) -> bool:
    """Our unique fields do not tell case apart."""
    return theirs is not None and str(theirs).lower() == str(value).lower()
