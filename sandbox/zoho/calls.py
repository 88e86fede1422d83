"""One API call as the endpoints of the simulated organisation see it, and how their answers look."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sandbox.zoho.account import Account
from sandbox.zoho.fields import Field
from sandbox.zoho.records import Record, Refusal

PAGE = 200


@dataclass(frozen=True)
class Call:
    method: str
    path: Mapping[str, str]
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    fails_last_input: bool = False

    def rows(self, name: str, limit: int) -> list[Any]:
        """Of a call about several. Raises Refusal above Zoho's limit."""
        rows = self.body.get(name) if isinstance(self.body, dict) else None
        if not isinstance(rows, list) or not rows:
            raise Refusal("MANDATORY_NOT_FOUND", "required field not found", api_name=name)
        if len(rows) > limit:
            raise Refusal("LIMIT_EXCEEDED", "more than the allowed number of inputs", api_name=name)
        return rows


Answer = tuple[int, Any]


def each(call: Call, name: str, limit: int, work: Callable[[Any], dict[str, Any]], good: int = 200) -> Answer:
    """An entry for each that was sent, in order; 207 as soon as one was refused, 400 when it was the only one."""
    rows = call.rows(name, limit)
    entries: list[dict[str, Any]] = []
    for place, row in enumerate(rows):
        try:
            if call.fails_last_input and place == len(rows) - 1:
                raise Refusal("INTERNAL_ERROR", "internal server error")
            entries.append(success(work(row)))
        except Refusal as refusal:
            entries.append(refusal.entry(place, name))
    refused = sum(one["status"] == "error" for one in entries)
    status = good if not refused else 400 if refused == len(entries) == 1 else 207
    return status, {name: entries}


def success(details: dict[str, Any], message: str = "done") -> dict[str, Any]:
    return {"code": "SUCCESS", "details": details, "message": message, "status": "success"}


def record_json(account: Account, record: Record, names: Sequence[str]) -> dict[str, Any]:
    fields = account.module(record.module).fields
    shown = {
        name: _shown(account, fields.get(name), record.values.get(name)) for name in names if name != "id"
    }
    return {"id": record.id, **shown}


def listed(rows: list[dict[str, Any]], page: int = 1) -> Answer:
    """204 without a body where there is nothing."""
    part = rows[(page - 1) * PAGE : page * PAGE]
    if not part:
        return 204, None
    info = {"count": len(part), "page": page, "per_page": PAGE, "more_records": len(rows) > page * PAGE}
    return 200, {"data": part, "info": info}


def _shown(account: Account, one: Field | None, value: Any) -> Any:
    if value is not None and one and one.data_type == "datetime":
        return account.moment(datetime.fromisoformat(value).timestamp())
    return value
