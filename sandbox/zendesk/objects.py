"""Custom objects of the simulated account: fields with types, records by external id, jobs that take their time."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from acervo.base import ids
from sandbox.zendesk.calls import Refusal, invalid, listed, moment, no_such_feature, not_found

FIELD_TYPES = frozenset(
    [
        "text",
        "textarea",
        "checkbox",
        "currency",
        "date",
        "integer",
        "decimal",
        "regexp",
        "dropdown",
        "lookup",
        "multiselect",
        "parent",
    ]
)
TEXT_LIMIT, TEXTAREA_LIMIT, NAME_LIMIT = 65_535, 65_535, 255
FIELD_LIMIT = 100


@dataclass(eq=False)
class Record:
    id: str
    external_id: str | None
    name: str
    values: dict[str, Any]
    created_at: float
    updated_at: float


@dataclass(eq=False)
class CustomObject:
    definition: dict[str, Any]
    fields: dict[str, dict[str, Any]] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)
    held: dict[str, Record] = field(default_factory=dict)
    """By external id: a unique index."""


@dataclass(eq=False)
class Job:
    id: str
    results: list[dict[str, Any]]
    ends_at: float
    total: int


class Objects:
    """`limit`: how many objects the plan has room for; 0 means it has none at all. `knows`: whether a lookup's
    target exists."""

    def __init__(
        self, clock: Callable[[], float], *, limit: int, job_s: float, knows: Callable[[str, str], bool]
    ) -> None:
        self.limit = limit
        self.job_s = job_s
        self.jobs_at_once = 30
        self.most_jobs = 0
        self.objects: dict[str, CustomObject] = {}
        self.jobs: dict[str, Job] = {}
        self._clock = clock
        self._knows = knows

    def get(self, key: str) -> CustomObject:
        self.need_plan()
        if key not in self.objects:
            raise not_found()
        return self.objects[key]

    def need_plan(self) -> None:
        if not self.limit:
            raise no_such_feature()

    def create(self, definition: Mapping[str, Any]) -> CustomObject:
        self.need_plan()
        key = str(definition["key"])
        if key in self.objects:
            raise invalid("key", "DuplicateValue", f"Key: {key} has already been taken")
        if len(self.objects) >= self.limit:
            raise listed(
                "LimitReached", "Limit reached", "the account has all the objects it may have", status=403
            )
        self.objects[key] = CustomObject(dict(definition))
        return self.objects[key]

    def define(self, key: str, definition: Mapping[str, Any]) -> dict[str, Any]:
        fields = self.get(key).fields
        name = str(definition["key"])
        if name in fields:
            raise invalid("key", "DuplicateValue", f"Key: {name} has already been taken")
        if definition["type"] not in FIELD_TYPES or len(fields) >= FIELD_LIMIT:
            raise invalid("type", "InvalidValue", "Type: is invalid")
        if definition["type"] == "dropdown" and not definition.get("custom_field_options"):
            raise invalid("custom_field_options", "BlankValue", "Options: cannot be blank")
        if definition["type"] == "lookup" and not definition.get("relationship_target_type"):
            raise invalid("relationship_target_type", "BlankValue", "Target: cannot be blank")
        fields[name] = {"id": 9000 + len(fields), "active": True, **definition}
        return fields[name]

    def upsert(self, key: str, external_id: str, body: Mapping[str, Any]) -> tuple[Record, bool]:
        """The record, and whether it is new. Only what is given is changed."""
        record = self.get(key).held.get(external_id)
        if record:
            return self.change(key, record, body), False
        now = self._clock()
        name, values = self._checked(key, body, needs_name=True)
        record = Record(ids.text(ids.new()), external_id, name or "", values, now, now)
        self.objects[key].records[record.id] = record
        self.objects[key].held[external_id] = record
        return record, True

    def change(self, key: str, record: Record, body: Mapping[str, Any]) -> Record:
        name, values = self._checked(key, body, needs_name=False)
        record.name = record.name if name is None else name
        record.values |= values
        record.updated_at = max(self._clock(), record.created_at + 1)
        return record

    def record(self, key: str, record_id: str) -> Record:
        found = self.get(key).records.get(record_id)
        if found is None:
            raise not_found()
        return found

    def delete(self, key: str, record: Record) -> None:
        one = self.get(key)
        one.records.pop(record.id, None)
        if record.external_id:
            one.held.pop(record.external_id, None)

    def start_job(self, key: str, items: list[Mapping[str, Any]], *, fails_last: bool) -> Job:
        def upsert(item: Mapping[str, Any]) -> dict[str, Any]:
            record, is_new = self.upsert(key, str(item["external_id"]), item)
            return {
                "id": record.id,
                "external_id": record.external_id,
                "status": "Created" if is_new else "Updated",
            }

        return self.run_job(items, upsert, fails_last=fails_last)

    def run_job(
        self,
        items: list[Mapping[str, Any]],
        do: Callable[[Mapping[str, Any]], dict[str, Any]],
        *,
        fails_last: bool,
    ) -> Job:
        """The work is done at once; that it is done is known when the job ends."""
        running = sum(job.ends_at > self._clock() for job in self.jobs.values())
        self.most_jobs = max(self.most_jobs, running + 1)
        if running >= self.jobs_at_once:
            raise Refusal(429, {"error": "TooManyJobs", "description": "You have too many jobs"})
        results: list[dict[str, Any]] = []
        for index, item in enumerate(items):
            try:
                if fails_last and index == len(items) - 1:
                    raise invalid("base", "InternalError", "something went wrong")
                results.append({**do(item), "index": index, "success": True})
            except Refusal as refusal:
                body = {"error": refusal.body["error"], "details": str(refusal.body.get("details"))}
                results.append({"index": index, "success": False, "status": "Failed", **body})
        job = Job(uuid.uuid4().hex, results, self._clock() + self.job_s, len(items))
        self.jobs[job.id] = job
        return job

    def job_as_json(self, job: Job, base: str) -> dict[str, Any]:
        is_over = self._clock() >= job.ends_at
        return {
            "id": job.id,
            "url": f"{base}/api/v2/job_statuses/{job.id}.json",
            "status": "completed" if is_over else "working",
            "total": job.total,
            "progress": job.total if is_over else None,
            "message": None,
            "results": job.results if is_over else None,
        }

    def as_json(self, key: str, record: Record, base: str) -> dict[str, Any]:
        fields = self.objects[key].fields
        return {
            "id": record.id,
            "url": f"{base}/api/v2/custom_objects/{key}/records/{record.id}.json",
            "name": record.name,
            "external_id": record.external_id,
            "custom_object_key": key,
            "custom_object_fields": {name: record.values.get(name) for name in fields},
            "created_at": moment(record.created_at),
            "updated_at": moment(record.updated_at),
        }

    def _checked(
        self, key: str, body: Mapping[str, Any], *, needs_name: bool
    ) -> tuple[str | None, dict[str, Any]]:
        name = body.get("name")
        if (needs_name or "name" in body) and not name:
            raise invalid("name", "BlankValue", "Name: cannot be blank")
        if name and len(str(name)) > NAME_LIMIT:
            raise invalid("name", "TooLong", "Name: is too long")
        values = dict(body.get("custom_object_fields") or {})
        fields = self.get(key).fields
        for one, value in values.items():
            if one not in fields:
                raise invalid(one, "InvalidValue", f"{one}: no such field")
            if value is not None and not self._fits(fields[one], value):
                raise invalid(one, "InvalidValue", f"{one}: {value} is invalid")
        return (None if name is None else str(name)), values

    def _fits(self, definition: Mapping[str, Any], value: Any) -> bool:
        type_ = definition["type"]
        if type_ == "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        if type_ == "checkbox":
            return isinstance(value, bool)
        if type_ == "dropdown":
            return value in {option["value"] for option in definition["custom_field_options"]}
        if type_ == "date":
            return bool(re.fullmatch(r"\d{4}-\d\d-\d\d", str(value))) and bool(date.fromisoformat(str(value)))
        if type_ == "lookup":
            return self._knows(str(definition["relationship_target_type"]), str(value))
        return isinstance(value, str) and len(value) <= (TEXT_LIMIT if type_ == "text" else TEXTAREA_LIMIT)
