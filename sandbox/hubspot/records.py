"""A record with its history, and the refusal every rule raises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(eq=False)
class Record:
    """`versions` is what HubSpot calls property history; search sees the version of some seconds ago."""

    id: str
    type_id: str
    created_at: float
    archived_at: float | None = None
    versions: list[tuple[float, dict[str, str]]] = field(default_factory=list)

    @property
    def values(self) -> dict[str, str]:
        return self.versions[-1][1] if self.versions else {}

    @property
    def updated_at(self) -> float:
        return self.versions[-1][0] if self.versions else self.created_at

    @property
    def is_live(self) -> bool:
        return self.archived_at is None

    def change(self, values: Mapping[str, str], *, at: float) -> None:
        self.versions.append((at, {**self.values, **values}))

    def as_of(self, at: float) -> dict[str, str] | None:
        """What an index that is `at` old knows: None before the record's first second."""
        return next((values for moment, values in reversed(self.versions) if moment <= at), None)


class Refusal(Exception):
    """HubSpot says no."""

    def __init__(self, status: int, category: str, message: str, *, sub_category: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.category = category
        self.message = message
        self.sub_category = sub_category
