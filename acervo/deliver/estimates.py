"""What writing many files would cost: calls, minutes at the CRM's pace, and what is left of its day."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from django.db.models import Count, Exists, OuterRef, Q

from acervo import crms
from acervo.deliver import outbox, records
from acervo.models import Connection, RecordLink
from acervo.models.media import MediaFiles

CALL_S: Final = 0.35
"""What one call takes, roughly; most are made one after the other."""


@dataclass(frozen=True, slots=True)
class Estimate:
    files: int
    """That would be written."""
    already: int
    """That fit too, and are promised or written."""
    people: int
    strangers: int
    """Of the people, those whose contact is not known yet."""
    calls: int
    seconds: float
    left_today: int | None
    """Calls that the CRM still takes today from all apps together; None where it does not say."""

    @property
    def days(self) -> int | None:
        """So many days' calls, where one day's are not enough."""
        if self.left_today is None or self.calls <= self.left_today:
            return None
        return math.ceil(self.calls / max(self.left_today, 1))


def estimate(connection: Connection, files: MediaFiles, *, known: int) -> Estimate:
    """Of `files`, out of `known` that fit at all."""
    link = RecordLink.objects.filter(
        connection=connection, object_type=records.CONTACT, person=OuterRef("person_id")
    )
    facts = files.order_by().aggregate(
        files=Count("pk"),
        people=Count("person_id", distinct=True),
        strangers=Count("person_id", distinct=True, filter=~Q(Exists(link))),
    )
    effort = crms.get(connection.kind).effort(connection.options)
    batches = math.ceil(facts["files"] / outbox.BATCH)
    calls = math.ceil(
        batches * effort.per_batch
        + facts["files"] * effort.per_file
        + facts["people"] * effort.per_person
        + facts["strangers"] * effort.per_stranger
    )
    return Estimate(
        **facts,
        already=max(known - facts["files"], 0),
        calls=calls,
        seconds=max(60 * calls / effort.calls_per_minute, calls * CALL_S),
        left_today=left_today(connection),
    )


def left_today(connection: Connection) -> int | None:
    """As the last check heard it."""
    usage = connection.check_facts.get("usage") or {}
    if (left := usage.get("daily_left", usage.get("credits_left"))) is not None:
        return int(left)
    if usage.get("daily_max") and usage.get("daily_used") is not None:
        return max(int(usage["daily_max"]) - int(usage["daily_used"]), 0)
    return None
