"""What the CRM in memory holds, and the troubles it can be asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Literal

from acervo.crms.contract import CrmError, CrmErrorKind
from acervo.crms.mapping import TargetType

ACCOUNTS: dict[str, FakeAccount] = {}
"""By token, so that every connector of a connection meets the same account."""


@dataclass(eq=False)
class FakeRecord:
    """A contact, a deal or a file. `tied_to` are ids of other records."""

    id: str
    object_type: str
    values: dict[str, str]
    tied_to: set[str] = field(default_factory=set)
    is_live: bool = True


@dataclass(frozen=True)
class FakeUpload:
    """Bytes that hang on a record."""

    file_name: str
    holder_id: str
    content: bytes


@dataclass(eq=False)
class FakeAccount:
    """`limit` requests in any ten seconds; more are refused."""

    token: str
    model: Literal["object", "activity"] = "object"
    now: Callable[[], float] = monotonic
    limit: int = 100
    is_token_accepted: bool = True
    fields: set[str] = field(default_factory=set)
    own_fields: dict[str, dict[str, TargetType]] = field(
        default_factory=lambda: {"contact": {"phone": "text", "mobile": "text"}, "media": {}}
    )
    """What people made, by place: names and types."""
    records: dict[str, FakeRecord] = field(default_factory=dict)
    merged: dict[str, str] = field(default_factory=dict)
    uploads: dict[str, FakeUpload] = field(default_factory=dict)
    loses_next_upload: bool = False
    peak: int = 0
    loses_next_answer: bool = False
    loses_next_person: bool = False
    revokes_after: int | None = None
    """So many more files are written before the token stops working."""
    _seen: deque[float] = field(default_factory=deque)
    _last_id: int = 100

    def __post_init__(self) -> None:
        ACCOUNTS[self.token] = self

    def knock(self) -> None:
        """Every request begins here. Raises CrmError."""
        while self._seen and self._seen[0] <= self.now() - 10:
            self._seen.popleft()
        self.peak = max(self.peak, len(self._seen) + 1)
        if len(self._seen) >= self.limit:
            raise CrmError(CrmErrorKind.RATE_LIMITED, "too many at once", retry_after_s=10)
        self._seen.append(self.now())
        if not self.is_token_accepted:
            raise CrmError(CrmErrorKind.AUTH_REVOKED, "the token is not accepted")

    def before_write(self) -> None:
        if self.revokes_after is not None:
            if self.revokes_after <= 0:
                self.is_token_accepted = False
                raise CrmError(CrmErrorKind.AUTH_REVOKED, "the token is not accepted")
            self.revokes_after -= 1

    def after_write(self) -> None:
        if self.loses_next_answer:
            self.loses_next_answer = False
            raise CrmError(CrmErrorKind.UNKNOWN_OUTCOME, "no answer in time")

    def after_person(self) -> None:
        if self.loses_next_person:
            self.loses_next_person = False
            raise CrmError(CrmErrorKind.UNKNOWN_OUTCOME, "no answer in time")

    def after_upload(self) -> None:
        if self.loses_next_upload:
            self.loses_next_upload = False
            raise CrmError(CrmErrorKind.UNKNOWN_OUTCOME, "no answer in time")

    def add(self, object_type: str, values: Mapping[str, str]) -> FakeRecord:
        self._last_id += 1
        record = FakeRecord(str(self._last_id), object_type, dict(values))
        self.records[record.id] = record
        return record

    def live(self, object_type: str) -> list[FakeRecord]:
        return [one for one in self.records.values() if one.is_live and one.object_type == object_type]

    def get(self, object_type: str, record_id: str) -> FakeRecord:
        """Follows merges. Raises CrmError NOT_FOUND."""
        record = self.records.get(self.merged.get(record_id, record_id))
        if record is None or not record.is_live or record.object_type != object_type:
            raise CrmError(CrmErrorKind.NOT_FOUND, "the record does not exist")
        return record

    def tie(self, one: FakeRecord, other: FakeRecord) -> None:
        one.tied_to.add(other.id)
        other.tied_to.add(one.id)

    def merge(self, winner_id: str, loser_id: str) -> None:
        winner, loser = self.get("contact", winner_id), self.get("contact", loser_id)
        winner.values = {**loser.values, **{name: value for name, value in winner.values.items() if value}}
        for record_id in loser.tied_to:
            self.tie(winner, self.records[record_id])
        loser.is_live = False
        self.merged[loser_id] = winner_id
