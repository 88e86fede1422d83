"""Copies made anew over many files, in a run that survives every interruption."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F, Q

from acervo.base import clock, ids
from acervo.base.database import alone, in_thread
from acervo.base.errors import AcervoError, NeedsPerson, Refused, TryLater
from acervo.models import AuditEntry, Deed, Remake, RenditionKind
from acervo.models.media import MediaFiles
from acervo.prepare import renditions

log = logging.getLogger(__name__)

ChosenBy = Callable[[UUID, str], MediaFiles]
"""`organise.address.found_in`: the workspace's files of a query, as a queryset in no order."""

BY: Final = "system:remake"
BATCH: Final = 200
OUTAGE: Final = 3
"""So many files in a row that cannot be had are no bad files: the store is away, or a tool is not installed."""


class UnknownCopy(Refused):
    """There are no copies of this kind."""

    code = "unknown_copy"


class NothingToRemake(Refused):
    """No kept file fits, so there is nothing to make anew."""

    code = "nothing_to_remake"


class RemakeOver(Refused):
    """This run is over; start another one."""

    code = "remake_over"


@dataclass(frozen=True, slots=True)
class Turn:
    """The last time somebody started, paused, resumed or ended a run, as the audit has it."""

    action: str
    by: str
    at: datetime
    reason: str
    done: int
    """How far it was then."""


@dataclass(frozen=True, slots=True)
class Pace:
    per_minute: float
    left_s: float


def files_of(workspace_id: UUID, query: str, chosen_by: ChosenBy) -> MediaFiles:
    """What a run would go through: files that have been prepared and that nobody holds back."""
    return chosen_by(workspace_id, query).openable().filter(prepared_at__isnull=False)


def ask(
    workspace_id: UUID, *, query: str, kinds: Iterable[str], reason: str, by: str, chosen_by: ChosenBy
) -> Remake:
    """A new run, of the files there are now. Raises UnknownCopy, NothingToRemake, and what `chosen_by` raises."""
    wanted = sorted(set(kinds))
    if unknown := set(wanted) - set(RenditionKind.values):
        raise UnknownCopy(f"There are no copies of the kind {', '.join(sorted(unknown))}.")
    run = Remake(
        workspace_id=workspace_id,
        query=query,
        kinds=wanted,
        reason=" ".join(reason.split())[:200],
        asked_by=by,
    )
    run.total = _waiting(run, chosen_by).count()
    if not run.total:
        raise NothingToRemake()
    with transaction.atomic():
        run.save(force_insert=True)
        _record(run, "remake.started", by, run.reason)
    return run


def pause(run: Remake, by: str, *, reason: str = "") -> None:
    """It stops after the file in hand. Pausing what is paused changes nothing. Raises RemakeOver."""
    _turn(run, Q(paused_at=None), "remake.paused", by, reason, paused_at=clock.now())


def resume(run: Remake, by: str) -> None:
    """Where it stood. Raises RemakeOver."""
    _turn(run, Q(paused_at__isnull=False), "remake.resumed", by, "", paused_at=None)


def cancel(run: Remake, by: str) -> None:
    """It stops after the file in hand, for good; what was made anew stays. Raises RemakeOver."""
    _turn(run, Q(), "remake.cancelled", by, "", cancelled_at=clock.now())


def turns(runs: Sequence[Remake]) -> dict[UUID, Turn]:
    """The last turn of each, in one query."""
    if not runs:
        return {}
    entries = AuditEntry.objects.filter(
        workspace_id__in={run.workspace_id for run in runs},
        subject_type="remake",
        subject_id__in=[run.pk for run in runs],
    ).order_by("number")
    return {
        entry.subject_id: Turn(entry.action, entry.by, entry.at, entry.reason, entry.details.get("done", 0))
        for entry in entries
        if entry.subject_id
    }


def pace(run: Remake, turn: Turn | None) -> Pace | None:
    """Since it last began to run; None while nobody can tell."""
    if run.state != "running" or turn is None:
        return None
    done, passed_s = run.done - turn.done, (clock.now() - turn.at).total_seconds()
    if done <= 0 or passed_s <= 0:
        return None
    return Pace(per_minute=60 * done / passed_s, left_s=max(run.total - run.done, 0) * passed_s / done)


async def go_on(run_id: UUID, *, chosen_by: ChosenBy) -> None:
    """From where the run stands to its end. Returns early when it was paused or cancelled, and at once when somebody
    else goes on with it. Raises TryLater while the bytes cannot be had."""
    async with alone(f"acervo.remake.{run_id}") as is_alone:
        if is_alone:
            await _walk(run_id, chosen_by)


async def _walk(run_id: UUID, chosen_by: ChosenBy) -> None:
    run = await in_thread(Remake.objects.get, pk=run_id)
    seen, blocked = run.after, 0
    while run.state == "running":
        files = await in_thread(_next, run, seen, chosen_by)
        if not files:
            await in_thread(_finish, run, seen, blocked=blocked)
            return
        for media_id in files:
            seen = media_id
            try:
                result = await _remake(media_id, run)
            except (TryLater, NeedsPerson) as error:
                blocked += 1
                if blocked == OUTAGE:
                    await _give_way(run, error)
                    return
                continue
            is_ours = await in_thread(_advance, run, media_id, result, blocked=blocked)
            if not is_ours or run.state != "running":
                return
            blocked = 0


@dataclass(frozen=True, slots=True)
class _Result:
    bytes_before: int = 0
    bytes_after: int = 0
    is_failed: bool = False


async def _remake(media_id: UUID, run: Remake) -> _Result:
    """Raises TryLater and NeedsPerson, which may not be this file's fault, and what the database raises."""
    try:
        made = await renditions.remake(media_id, run.kinds)
    except (TryLater, NeedsPerson, OperationalError, InterfaceError):
        raise
    except AcervoError as error:
        log.warning("remake.failed", extra={"file": ids.text(media_id), "code": error.code})
    except Exception:  # one file must not end a run of a hundred thousand
        log.exception("remake.fault", extra={"file": ids.text(media_id), "run": ids.text(run.pk)})
    else:
        return _Result(made.bytes_before, made.bytes_after, is_failed=made.failed)
    return _Result(is_failed=True)


async def _give_way(run: Remake, error: TryLater | NeedsPerson) -> None:
    """The clock or a person must help first. What could not be had is not counted: it is tried again."""
    log.warning("remake.gave_way", extra={"run": ids.text(run.pk), "code": error.code})
    if isinstance(error, TryLater):
        raise error
    with contextlib.suppress(RemakeOver):
        await in_thread(pause, run, BY, reason=error.code)


def _waiting(run: Remake, chosen_by: ChosenBy) -> MediaFiles:
    """Files that were there when the run was asked for: what came later is made by today's policy anyway."""
    return files_of(run.workspace_id, run.query, chosen_by).filter(pk__lt=run.pk)


def _next(run: Remake, seen: UUID | None, chosen_by: ChosenBy) -> list[UUID]:
    """The newest first; ids sort by time."""
    files = _waiting(run, chosen_by)
    if seen is not None:
        files = files.filter(pk__lt=seen)
    return list(files.order_by("-pk").values_list("pk", flat=True)[:BATCH])


def _advance(run: Remake, media_id: UUID, result: _Result, *, blocked: int) -> bool:
    """Count a file, and those before it that could not be had. False when somebody else got here: their connection
    holds the claim now, so this one stops."""
    return _move(
        run,
        after=media_id,
        done=F("done") + blocked + 1,
        failed=F("failed") + blocked + int(result.is_failed),
        bytes_before=F("bytes_before") + result.bytes_before,
        bytes_after=F("bytes_after") + result.bytes_after,
    )


def _finish(run: Remake, seen: UUID | None, *, blocked: int) -> None:
    with transaction.atomic():
        moved = _move(
            run,
            after=seen,
            done=F("done") + blocked,
            failed=F("failed") + blocked,
            finished_at=clock.now(),
        )
        if moved:
            _record(run, "remake.finished", BY, "")


def _move(run: Remake, **columns: Any) -> bool:
    """Only from where we know it stands: a file is counted once, however many workers there are."""
    here = Remake.objects.filter(pk=run.pk, after=run.after, finished_at=None)
    if "finished_at" in columns:
        here = here.filter(cancelled_at=None)
    moved = here.update(**columns)
    run.refresh_from_db()
    return bool(moved)


def _turn(run: Remake, only: Q, action: str, by: str, reason: str, **columns: Any) -> None:
    with transaction.atomic():
        unfinished = Remake.objects.filter(pk=run.pk, finished_at=None, cancelled_at=None)
        changed = unfinished.filter(only).update(**columns)
        run.refresh_from_db()
        if changed:
            _record(run, action, by, reason)
        elif run.finished_at or run.cancelled_at:
            raise RemakeOver()


def _record(run: Remake, action: str, by: str, reason: str) -> None:
    details = {"kinds": run.kinds, "files": run.total, "done": run.done, "failed": run.failed}
    AuditEntry.objects.record(run.workspace_id, by, [Deed(action, "remake", run.pk, reason, details)])
