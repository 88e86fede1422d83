"""A record with its versions, and the refusal every rule raises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(eq=False)
class Record:
    """`versions` is what Zoho's timeline keeps; search sees the version of some seconds ago."""

    id: str
    module: str
    created_at: float
    deleted_at: float | None = None
    is_purged: bool = False
    """Taken out of the recycle bin."""
    versions: list[tuple[float, dict[str, Any]]] = field(default_factory=list)

    @property
    def values(self) -> dict[str, Any]:
        return self.versions[-1][1] if self.versions else {}

    @property
    def is_live(self) -> bool:
        return self.deleted_at is None

    def change(self, values: Mapping[str, Any], *, at: float) -> None:
        self.versions.append((at, {**self.values, **values}))

    def as_of(self, at: float) -> dict[str, Any] | None:
        """What an index that is `at` old knows: None before the record's first second."""
        return next((values for moment, values in reversed(self.versions) if moment <= at), None)


class Refusal(Exception):
    """Zoho says no. Within a batch it is one entry's; otherwise it is the whole answer with `status`."""

    def __init__(self, code: str, message: str, *, status: int = 400, **details: Any) -> None:
        super().__init__(code)
        self.code = code
        self.message = message
        self.status = status
        self.details = details

    def entry(self, place: int | None = None, name: str = "data") -> dict[str, Any]:
        details = dict(self.details)
        if place is not None and "api_name" in details:
            details["json_path"] = f"$.{name}[{place}].{details['api_name']}"
        return {"code": self.code, "details": details, "message": self.message, "status": "error"}
