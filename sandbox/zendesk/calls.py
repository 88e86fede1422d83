"""One API call as the endpoints of the simulated account see it, and the four ways Zendesk refuses one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Answer = tuple[int, Any]


@dataclass(frozen=True)
class Call:
    """`base` is where the caller reached us, for links."""

    path: Mapping[str, str]
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    content: bytes = field(default=b"", repr=False)
    """Of a call whose body is a file."""
    content_type: str = ""
    base: str = ""
    fails_last_item: bool = False

    def part(self, name: str) -> dict[str, Any]:
        """What the body wraps. Raises Refusal 400."""
        part = self.body.get(name) if isinstance(self.body, dict) else None
        if not isinstance(part, dict):
            raise Refusal(400, {"error": {"title": "Invalid attribute", "message": f"{name} is required"}})
        return part


class Refusal(Exception):
    """Zendesk says no."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(str(body))
        self.status = status
        self.body = body


def not_found() -> Refusal:
    return Refusal(404, {"error": "RecordNotFound", "description": "Not found"})


def no_such_feature() -> Refusal:
    return Refusal(404, {"error": "InvalidEndpoint", "description": "Not found"})


def forbidden() -> Refusal:
    return Refusal(403, {"error": {"title": "Forbidden", "message": "You do not have access to this page."}})


def invalid(name: str, code: str, description: str) -> Refusal:
    """422 with the field at fault."""
    return Refusal(
        422,
        {
            "error": "RecordInvalid",
            "description": "Record validation errors",
            "details": {name: [{"description": description, "error": code}]},
        },
    )


def listed(code: str, title: str, detail: str, *, status: int = 422) -> Refusal:
    """How the newer parts of the API refuse."""
    return Refusal(status, {"errors": [{"code": code, "title": title, "detail": detail}]})


def moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def page_of(rows: list[Any], name: str, query: Mapping[str, str]) -> Answer:
    """A page by cursor; the cursor is a position."""
    size = min(int(query.get("page[size]", 100)), 100)
    start = int(query.get("page[after]", 0))
    has_more = start + size < len(rows)
    meta = {"has_more": has_more, "after_cursor": str(start + size) if has_more else None}
    links = {"next": None, "prev": None}
    return 200, {name: rows[start : start + size], "meta": meta, "links": links}
