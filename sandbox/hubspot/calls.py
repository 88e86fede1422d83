"""One API call as the endpoints of the simulated account see it, and how their answers look."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.forms import Part
from sandbox.hubspot.account import Account
from sandbox.hubspot.records import Record, Refusal


@dataclass(frozen=True)
class Call:
    """`host` is where the caller reached us, for links to pages."""

    method: str
    path: Mapping[str, str]
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    form: Mapping[str, Part] | None = None
    host: str = ""
    fails_last_input: bool = False

    @property
    def inputs(self) -> list[Any]:
        """Of a batch call. Raises Refusal 400 above HubSpot's hundred."""
        inputs = self.body.get("inputs") if isinstance(self.body, dict) else None
        if not isinstance(inputs, list) or not inputs:
            raise Refusal(400, "VALIDATION_ERROR", "Some required fields were not set: [inputs]")
        if len(inputs) > 100:
            raise Refusal(
                400, "VALIDATION_ERROR", "The maximum number of inputs supported in a batch is 100."
            )
        return inputs


Answer = tuple[int, Any]


def record_json(account: Account, record: Record, properties: list[str] | None = None) -> dict[str, Any]:
    """A record with the properties asked for; a property without value is null."""
    names = properties if properties is not None else list(record.values)
    return {
        "id": record.id,
        "properties": {name: record.values.get(name) or None for name in names},
        "createdAt": account.moment(record.created_at),
        "updatedAt": account.moment(record.updated_at),
        "archived": not record.is_live,
    }


def batch_json(account: Account, results: list[Any], errors: list[Any] | None = None) -> Answer:
    """200, or 207 as soon as one input failed."""
    now = account.moment(account.clock())
    answer: dict[str, Any] = {"status": "COMPLETE", "results": results, "startedAt": now, "completedAt": now}
    if errors:
        return 207, {**answer, "numErrors": len(errors), "errors": errors}
    return 200, answer


def error_json(category: str, message: str, **more: Any) -> dict[str, Any]:
    """HubSpot's error body."""
    return {
        "status": "error",
        "message": message,
        "correlationId": str(uuid.uuid4()),
        "category": category,
        **{name: value for name, value in more.items() if value is not None},
    }


def item_error(refusal: Refusal, context: Mapping[str, list[str]]) -> dict[str, Any]:
    """An entry of `errors` in a 207 answer."""
    return {
        "status": "error",
        "category": refusal.category,
        "message": refusal.message,
        "context": dict(context),
        "errors": [],
        "links": {},
    }
