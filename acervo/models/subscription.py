"""Who is told what happens here, at which address; what happened; and what became of each telling."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.db import connections, models
from django.db.models import Q

from acervo.base import clock, ids
from acervo.models.workspace import Workspace

if TYPE_CHECKING:
    from acervo.models.member import Member

# One statement, one parameter for all: every kept file writes one, in the transaction that also writes its audit entry.
RECORD: Final = """
WITH told AS (
    INSERT INTO acervo_event (id, workspace_id, kind, at, subject_id, facts, is_sample)
    SELECT h.id, %(workspace)s, h.kind, %(at)s, h.subject_id, h.facts, false
    FROM jsonb_to_recordset(%(happened)s::jsonb) AS h(id uuid, kind text, subject_id uuid, facts jsonb)
    RETURNING id, kind
)
INSERT INTO acervo_eventdelivery (id, subscription_id, event_id, promised_at, due_at, attempts)
SELECT gen_random_uuid(), s.id, told.id, %(at)s, %(at)s, 0
FROM told JOIN acervo_subscription s
    ON s.workspace_id = %(workspace)s AND s.ended_at IS NULL AND told.kind = ANY(s.events)
"""


STEADY: Final = 3
"""Failures in a row after which an address is said to take nothing: it rests, and is asked with one event at a time."""


class EventKind(models.TextChoices):
    """What outsiders may hear of. The words are ours to keep: subscribers compare them."""

    STORED = "media.stored", "media.stored"
    """The bytes are in the vault."""
    READY = "media.ready", "media.ready"
    """Looked at, and playable."""
    TRANSCRIBED = "media.transcribed", "media.transcribed"
    TAGGED = "media.tagged", "media.tagged"
    """Tags were put on it, or taken off."""
    DELIVERED = "media.delivered", "media.delivered"
    """It is on a record of a CRM."""
    FAILED = "media.failed", "media.failed"
    """It could not be had, or a CRM does not take it until somebody acts."""
    CONSENT = "consent.changed", "consent.changed"
    ERASED = "media.erased", "media.erased"
    """Whoever holds something of it should let go."""


ANNOUNCED: Final[Mapping[str, EventKind]] = {
    "file.kept": EventKind.STORED,
    "transcript.made": EventKind.TRANSCRIBED,
    "file.tagged": EventKind.TAGGED,
    "file.untagged": EventKind.TAGGED,
    "file.delivered": EventKind.DELIVERED,
    "file.lost": EventKind.FAILED,
    "delivery.stopped": EventKind.FAILED,
    "consent.given": EventKind.CONSENT,
    "consent.refused": EventKind.CONSENT,
    "file.erased": EventKind.ERASED,
    "file.removed": EventKind.ERASED,
}
"""Deeds of the audit trail that are told to subscribers, and as what: whoever writes the one need not think of the
other. A file that is ready has no deed; `journey` tells that."""
TOLD_FACTS: Final = ("connection", "object_type", "record")
"""Details of a deed that an event keeps."""


class Detail(models.TextChoices):
    FACTS = "facts", "facts"
    """Ids, links, kinds, sizes, moments: nothing that says who somebody is or what they said."""
    FULL = "full", "full"
    """The contact's name and number, captions, file names, transcripts and tags, too."""


@dataclass(frozen=True, slots=True)
class Happened:
    """An event to be written. `facts` are ids and codes: what is told besides is looked up when it is sent, so that
    nothing is told of what was erased meanwhile."""

    kind: EventKind
    subject_id: UUID | None
    facts: dict[str, Any] = field(default_factory=dict)


class Subscriptions(models.QuerySet["Subscription"]):
    def visible_to(self, member: Member) -> Self:
        """An address may be a secret of its own: only those who operate see it."""
        from acervo.models.member import Ability

        return self.filter(workspace=member.workspace_id) if member.can(Ability.OPERATE) else self.none()

    def live(self) -> Self:
        """Neither ended nor paused."""
        return self.filter(ended_at=None, paused_at=None)


class Subscription(models.Model):
    """An address of somebody else's that is told when something happens. On the screen: "hook"."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="subscriptions")
    name = models.CharField(max_length=80)
    url = models.CharField(max_length=500)
    events = ArrayField(models.CharField(max_length=24))
    """`EventKind`s."""
    detail = models.CharField(max_length=8, choices=Detail, default=Detail.FACTS)
    sealed_secrets = models.BinaryField(editable=False, null=True)
    """`base.sealed`: JSON of name to secret; nothing once it ended."""
    previous_until = models.DateTimeField(null=True, blank=True)
    """Until when what is sent is signed with the secret of before the last change, too."""
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.CharField(max_length=64)

    paused_at = models.DateTimeField(null=True, blank=True)
    paused_by = models.CharField(max_length=64, null=True, blank=True)
    pause_reason = models.CharField(max_length=32, null=True, blank=True)
    """`by_hand`, or `failing`: nothing was taken for days."""
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.CharField(max_length=64, null=True, blank=True)
    end_reason = models.CharField(max_length=32, null=True, blank=True)
    """`by_hand`, `unsubscribed` by whoever made it, or `gone`: the address said so (410)."""

    failures = models.PositiveIntegerField(default=0)
    """Tries in a row that were not taken, whichever events they told."""
    failing_since = models.DateTimeField(null=True, blank=True)
    rests_until = models.DateTimeField(null=True, blank=True)
    last_success_at = models.DateTimeField(null=True, blank=True)

    objects = Subscriptions.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="subscription_listens_for_something", condition=Q(events__len__gte=1)
            ),
            models.CheckConstraint(
                name="subscription_events_are_known", condition=Q(events__contained_by=EventKind.values)
            ),
            models.CheckConstraint(
                name="subscription_detail_is_known", condition=Q(detail__in=Detail.values)
            ),
            models.CheckConstraint(
                name="subscription_pause_has_a_time_an_author_and_a_reason",
                condition=Q(paused_at=None, paused_by=None, pause_reason=None)
                | Q(paused_at__isnull=False, paused_by__isnull=False, pause_reason__isnull=False),
            ),
            models.CheckConstraint(
                name="subscription_end_has_a_time_an_author_and_a_reason",
                condition=Q(ended_at=None, ended_by=None, end_reason=None)
                | Q(ended_at__isnull=False, ended_by__isnull=False, end_reason__isnull=False),
            ),
            models.CheckConstraint(
                name="subscription_has_secrets_until_it_ends",
                condition=Q(ended_at=None, sealed_secrets__isnull=False)
                | Q(ended_at__isnull=False, sealed_secrets=None),
            ),
            models.CheckConstraint(
                name="failing_subscription_says_since_when",
                condition=Q(failures=0, failing_since=None) | Q(failures__gt=0, failing_since__isnull=False),
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["workspace"], name="subscription_open", condition=Q(ended_at=None)),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def state(self) -> str:
        """ended, disabled (paused by us), paused, failing, live or silent (nothing was told yet)."""
        if self.ended_at:
            return "ended"
        if self.paused_at:
            return "paused" if self.pause_reason == "by_hand" else "disabled"
        if self.failures >= STEADY:
            return "failing"
        return "live" if self.last_success_at else "silent"


class Events(models.QuerySet["Event"]):
    def visible_to(self, member: Member) -> Self:
        """Of files and people that the member sees; of what is gone for everybody, that it is."""
        from acervo.models.media import MediaFile
        from acervo.models.member import Ability
        from acervo.models.person import Person

        if not member.is_active:
            return self.none()
        ours = self.filter(workspace=member.workspace_id, is_sample=False)
        if member.limits() is None:
            hidden = MediaFile.objects.filter(workspace=member.workspace_id).hidden()
            return ours if member.can(Ability.DECIDE) else ours.exclude(subject_id__in=hidden.values("pk"))
        files = Q(subject_id__in=MediaFile.objects.visible_to(member).values("pk"))
        people = Q(subject_id__in=Person.objects.visible_to(member).values("pk"))
        return ours.filter(files | people)

    def record(self, workspace_id: UUID, happened: Iterable[Happened]) -> None:
        """Write down what happened, and promise it to every subscription that listens for it. Runs inside the
        transaction of the fact: neither is ever there without the other."""
        rows = [
            {
                "id": str(ids.new()),
                "kind": one.kind,
                "subject_id": str(one.subject_id) if one.subject_id else None,
                "facts": one.facts,
            }
            for one in happened
        ]
        if not rows:
            return
        told: dict[str, Any] = {"workspace": workspace_id, "at": clock.now(), "happened": json.dumps(rows)}
        with connections[self.db].cursor() as cursor:
            cursor.execute(RECORD, told)


class Event(models.Model):
    """Ids only: it outlives what it tells of, and is forgotten after a month (`notify.promises.forget`)."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=24, choices=EventKind)
    at = models.DateTimeField()
    subject_id = models.UUIDField(null=True)
    """A file, or a person whose consent changed; no foreign key, as in the audit trail."""
    facts = models.JSONField(default=dict, blank=True)
    is_sample = models.BooleanField(default=False)
    """Sent because somebody wanted to try an address: it tells of an invented file."""

    objects = Events.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="event_kind_is_known", condition=Q(kind__in=EventKind.values)),
            models.CheckConstraint(
                name="event_is_of_something_or_a_sample",
                condition=Q(is_sample=True, subject_id=None) | Q(is_sample=False, subject_id__isnull=False),
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["workspace", "-id"], name="event_newest"),
            models.Index(fields=["at"], name="event_by_age"),
        ]

    def __str__(self) -> str:
        return f"evt_{ids.text(self.id)}"


class EventDeliveries(models.QuerySet["EventDelivery"]):
    def visible_to(self, member: Member) -> Self:
        return self.filter(subscription__in=Subscription.objects.visible_to(member))

    def open(self) -> Self:
        """Neither told nor given up."""
        return self.filter(delivered_at=None, stopped_at=None)

    def due(self, at: datetime) -> Self:
        """Promises that may be kept now, and are in nobody's hands."""
        return self.open().filter(Q(claimed_until=None) | Q(claimed_until__lte=at), due_at__lte=at)


class EventDelivery(models.Model):
    """One promise to one subscription about one event."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    subscription = models.ForeignKey(
        Subscription, on_delete=models.CASCADE, related_name="deliveries", db_index=False
    )
    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="deliveries")
    promised_at = models.DateTimeField()
    due_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    claimed_until = models.DateTimeField(null=True, blank=True)
    delivered_at = models.DateTimeField(null=True, blank=True)
    stopped_at = models.DateTimeField(null=True, blank=True)
    """When it was given up; somebody may send it again."""
    refusal = models.CharField(max_length=32, null=True, blank=True)
    """Why the last try was not taken; worded by `web.words`."""
    refused_at = models.DateTimeField(null=True, blank=True)

    objects = EventDeliveries.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["subscription", "event"], name="event_is_promised_to_a_subscription_once"
            ),
            models.CheckConstraint(
                name="event_delivery_is_not_both_told_and_stopped",
                condition=Q(delivered_at=None) | Q(stopped_at=None),
            ),
            models.CheckConstraint(
                name="event_delivery_refusal_has_a_time_and_a_reason_or_neither",
                condition=Q(refusal=None, refused_at=None)
                | Q(refusal__isnull=False, refused_at__isnull=False),
            ),
            models.CheckConstraint(
                name="stopped_event_delivery_says_why",
                condition=Q(stopped_at=None) | Q(refusal__isnull=False),
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["subscription", "due_at"],
                name="event_delivery_due",
                condition=Q(delivered_at=None, stopped_at=None),
            ),
        ]

    def __str__(self) -> str:
        return ids.text(self.id)

    @property
    def state(self) -> str:
        """told, stopped, trying (not taken before) or waiting."""
        if self.delivered_at:
            return "told"
        if self.stopped_at:
            return "stopped"
        return "trying" if self.refusal else "waiting"


class EventTry(models.Model):
    """One call of an address, and what it answered. Never what it said: that is none of ours to keep."""

    OK: ClassVar[str] = "ok"

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    delivery = models.ForeignKey(EventDelivery, on_delete=models.CASCADE, related_name="tries")
    at = models.DateTimeField()
    took_ms = models.PositiveIntegerField()
    code = models.CharField(max_length=32)
    """`ok`, or why it was not taken."""
    http_status = models.PositiveSmallIntegerField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["at", "id"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="event_try_went_well_exactly_when_it_was_answered_so",
                condition=Q(code="ok", http_status__gte=200, http_status__lt=300)
                | (~Q(code="ok") & (Q(http_status=None) | Q(http_status__lt=200) | Q(http_status__gte=300))),
            ),
        ]

    def __str__(self) -> str:
        return ids.text(self.id)
