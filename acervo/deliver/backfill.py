"""Files from before, for one CRM: counted first, then promised a portion at a time, in a run that survives every
interruption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Exists, F, OuterRef, Q

from acervo.base import clock, ids
from acervo.base.errors import Refused
from acervo.deliver import mapping, outbox
from acervo.deliver.estimates import Estimate, estimate
from acervo.deliver.mapping import ChosenBy
from acervo.models import AuditEntry, Backfill, Connection, Deed, Delivery
from acervo.models.media import MediaFiles

BY: Final = "system:backfill"
PORTION: Final = 500
"""Files that one look takes; as many more of the same people come along, so that each person is met once."""
LOW: Final = outbox.BATCH
"""With fewer promises open than one call carries, the next portion is promised."""


class NothingToBackfill(Refused):
    """Every file that fits is promised to this CRM already."""

    code = "nothing_to_backfill"


class BackfillRuns(Refused):
    """This CRM is being filled already."""

    code = "backfill_runs"


class BackfillOver(Refused):
    """This run is over; start another one."""

    code = "backfill_over"


@dataclass(frozen=True, slots=True)
class Report:
    """What became of the promises of a run, in numbers of files."""

    written: int
    unchanged: int
    queued: int
    """Promised, and not tried yet."""
    to_come: int
    """Not promised yet."""
    waiting: dict[str, int]
    """Stopped until a person acts, by reason."""
    trying: dict[str, int]
    """Refused, and tried again by the clock, by reason."""
    taken_up: int
    """Taken up by people, or erased, since: what became of them is on the file."""

    @property
    def done(self) -> int:
        return self.written + self.unchanged + self.taken_up + sum(self.waiting.values())


@dataclass(frozen=True, slots=True)
class Turn:
    """The last time somebody started, paused, resumed or ended a run, as the audit has it."""

    action: str
    by: str
    at: datetime
    done: int
    """How far it was then."""


@dataclass(frozen=True, slots=True)
class Pace:
    per_minute: float
    left_s: float


def look(connection: Connection, query: str, chosen_by: ChosenBy) -> Estimate:
    """What a run would be, before anything starts. Raises what `chosen_by` does."""
    fitting = _files(connection, query, chosen_by)
    return estimate(connection, _unpromised(fitting, connection.pk), known=fitting.count())


def ask(connection: Connection, *, query: str, by: str, chosen_by: ChosenBy) -> Backfill:
    """A new run, of the files there are now. Raises NothingToBackfill, BackfillRuns, and what `chosen_by` raises."""
    expected = look(connection, query, chosen_by)
    if not expected.files:
        raise NothingToBackfill()
    with transaction.atomic():
        outbox.lock_connection(connection.pk)
        if Backfill.objects.unfinished().filter(connection=connection).exists():
            raise BackfillRuns()
        run = Backfill.objects.create(
            workspace_id=connection.workspace_id,
            connection=connection,
            query=query,
            total=expected.files,
            people=expected.people,
            calls=expected.calls,
            asked_by=by,
        )
        _record(run, "backfill.started", by)
    return run


def pause(run: Backfill, by: str) -> None:
    """What is in hand is still written. Pausing what is paused changes nothing. Raises BackfillOver."""
    _turn(run, Q(paused_at=None), "backfill.paused", by, paused_at=clock.now())


def resume(run: Backfill, by: str) -> None:
    """Where it stood. Raises BackfillOver."""
    _turn(run, Q(paused_at__isnull=False), "backfill.resumed", by, paused_at=None)


def cancel(run: Backfill, by: str) -> None:
    """For good. What was written stays; what was not tried yet is no longer promised. Raises BackfillOver."""
    with transaction.atomic():
        _turn(run, Q(), "backfill.cancelled", by, cancelled_at=clock.now(), paused_at=None, withdraw=True)


def go_on(connection_id: UUID, *, chosen_by: ChosenBy) -> int:
    """Promise the next portion of the connection's run, where it is short of promises; returns how many are new. Ends
    the run once nothing is left to promise and everything was tried."""
    running = Backfill.objects.running().filter(connection=connection_id)
    if not running.exists():  # nearly always: no delivery waits for the lock in vain
        return 0
    with transaction.atomic():
        connection = outbox.lock_connection(connection_id)
        run = running.first()
        if run is None or not outbox.is_open(connection, clock.now()):
            return 0
        untried = _untried(run).count()
        if untried >= LOW:
            return 0
        while portion := _next(run, connection, chosen_by):
            run.after, files = portion
            run.promised += (made := outbox.promise_old(run, files))
            run.save(update_fields=["after", "promised"])
            if made:
                return made
        if not untried:
            run.finished_at = clock.now()
            run.save(update_fields=["finished_at"])
            _record(run, "backfill.finished", BY)
        return 0


def report(run: Backfill) -> Report:
    rows = (
        run.deliveries.order_by()
        .values_list("refusal")
        .annotate(Count("pk"), stopped=Count("pk", filter=Q(stopped_at__isnull=False)))
    )
    found = {refusal: (count, stopped) for refusal, count, stopped in rows}
    queued, _ = found.pop(None, (0, 0))
    waiting = {code: stopped for code, (_, stopped) in found.items() if stopped}
    trying = {code: count - stopped for code, (count, stopped) in found.items() if count > stopped}
    open_ = queued + sum(waiting.values()) + sum(trying.values())
    return Report(
        written=run.written,
        unchanged=run.unchanged,
        queued=queued,
        to_come=0 if run.is_over else max(run.total - run.promised, 0),
        waiting=waiting,
        trying=trying,
        taken_up=max(run.promised - run.written - run.unchanged - open_, 0),
    )


def turns(runs: Sequence[Backfill]) -> dict[UUID, Turn]:
    """The last turn of each, in one query."""
    entries = AuditEntry.objects.filter(
        workspace_id__in={run.workspace_id for run in runs},
        subject_type="backfill",
        subject_id__in=[run.pk for run in runs],
    ).order_by("number")
    return {
        entry.subject_id: Turn(entry.action, entry.by, entry.at, entry.details.get("written", 0))
        for entry in entries
        if entry.subject_id
    }


def pace(run: Backfill, turn: Turn | None) -> Pace | None:
    """Since it last began to run; None while nobody can tell."""
    if run.state != "running" or turn is None:
        return None
    done = run.written + run.unchanged
    gained, passed_s = done - turn.done, (clock.now() - turn.at).total_seconds()
    if gained <= 0 or passed_s <= 0:
        return None
    return Pace(60 * gained / passed_s, max(run.total - done, 0) * passed_s / gained)


def _files(connection: Connection, query: str, chosen_by: ChosenBy) -> MediaFiles:
    """What may be shown to a CRM of all that a query names, and its mapping lets go."""
    files = chosen_by(connection.workspace_id, query).for_crms().filter(prepared_at__isnull=False)
    return mapping.wanted(files, connection, chosen_by)


def _unpromised(files: MediaFiles, connection_id: UUID) -> MediaFiles:
    return files.exclude(Exists(Delivery.objects.filter(media=OuterRef("pk"), connection=connection_id)))


def _untried(run: Backfill) -> Any:
    """Promises that the next batches will carry."""
    return run.deliveries.filter(
        outbox.TELLABLE, attempts=0, delivered_at=None, stopped_at=None, media__stored_at__isnull=False
    )


def _next(run: Backfill, connection: Connection, chosen_by: ChosenBy) -> tuple[UUID, list[UUID]] | None:
    """Where the run stands after it, and the files of a portion, those of a person together; None at the end. Files that
    came after the run was asked for are promised as they arrive."""
    there = _unpromised(_files(connection, run.query, chosen_by), run.connection_id).filter(pk__lt=run.pk)
    left = there if run.after is None else there.filter(pk__lt=run.after)
    page = list(left.order_by("-pk").values_list("pk", "person_id")[:PORTION])
    if not page:
        return None
    last = page[-1][0]
    people = list(dict.fromkeys(person_id for _, person_id in page))
    older = left.filter(pk__lt=last, person__in=people).order_by("-pk")
    mine: dict[UUID, list[UUID]] = {person_id: [] for person_id in people}
    for file_id, person_id in [*page, *older.values_list("pk", "person_id")[:PORTION]]:
        mine[person_id].append(file_id)
    return last, [file_id for files in mine.values() for file_id in files]


def _turn(run: Backfill, only: Q, action: str, by: str, *, withdraw: bool = False, **columns: Any) -> None:
    with transaction.atomic():
        outbox.lock_connection(run.connection_id)
        changed = Backfill.objects.unfinished().filter(only, pk=run.pk).update(**columns)
        if changed and withdraw:
            at = clock.now()
            free = Q(claimed_until=None) | Q(claimed_until__lte=at)
            gone, _ = _untried(run).filter(free, refusal=None).delete()
            Backfill.objects.filter(pk=run.pk).update(promised=F("promised") - gone)
        run.refresh_from_db()
        if changed:
            _record(run, action, by)
        elif run.finished_at or run.cancelled_at:
            raise BackfillOver()


def _record(run: Backfill, action: str, by: str) -> None:
    details = {
        "connection": ids.text(run.connection_id),
        "files": run.total,
        "promised": run.promised,
        "written": run.written + run.unchanged,
    }
    AuditEntry.objects.record(run.workspace_id, by, [Deed(action, "backfill", run.pk, "", details)])
