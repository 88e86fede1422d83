"""Everything that happens by the clock, on one page."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Max
from procrastinate import App, Blueprint
from procrastinate.contrib.django import app as queue
from procrastinate.exceptions import AlreadyEnqueued, UniqueViolation
from procrastinate.jobs import Status

from acervo import journey
from acervo.answer import statuses
from acervo.base import clock
from acervo.base.database import in_thread
from acervo.base.errors import AcervoError
from acervo.deliver import associations as ties
from acervo.deliver import outbox, review, uploads
from acervo.deliver import reconcile as reconciliation
from acervo.fetch import forgotten as copies_there
from acervo.govern import connections, embeds, erasure, liveness, probes, subscriptions
from acervo.keep import sweeper
from acervo.models import ChatImport, Connection, KeptAnswer, MediaFile, Remake
from acervo.notify import promises
from acervo.organise import address
from acervo.prepare import scan
from acervo.prepare.clamd import ScannerAway
from acervo.receive import missed, overdue

log = logging.getLogger(__name__)
clockwork = Blueprint()

STALLED_AFTER_S = 30.0
"""A worker without a heartbeat for this long is taken for dead; its jobs are given to others."""
FINISHED_JOBS_HOURS = 24
FAILED_JOBS_HOURS = 14 * 24
"""While a database or a store is ill, looking for work may fail every few seconds."""
FORGOTTEN_AFTER = timedelta(minutes=10)
LOOK_BACK = timedelta(minutes=10)
"""Far more than the pause between two looks, so that a late one misses nothing."""
PER_RUN = 500
HOURLY = timedelta(hours=1)
QUARTERLY = timedelta(minutes=15)
SIDE_BY_SIDE = 8
BATCHES_A_LOOK = 5
"""Of a hundred files each: a CRM is compared a part at a time, so that its calls are left for what arrives."""


@clockwork.periodic(cron="* * * * * */5")  # seconds are the last field
@clockwork.task(name="look_for_due", queue="tick", queueing_lock="look_for_due")
async def look_for_due(timestamp: int) -> None:
    """Files and deliveries whose next try has come."""
    await in_thread(_start_what_is_due)


def _start_what_is_due() -> None:
    if MediaFile.objects.due(clock.now()).exists():
        journey.start_capture()
    journey.start_deliveries()
    journey.start_sendings()
    journey.start_notifying()


@clockwork.periodic(cron="* * * * * */20")
@clockwork.task(name="rescue", queue="tick", queueing_lock="rescue")
async def rescue(timestamp: int) -> None:
    """Jobs of workers that died. Procrastinate leaves them `doing` for ever; every step is safe to run twice."""
    for job in await queue.job_manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_AFTER_S):
        try:
            await queue.job_manager.retry_job(job)
            log.warning("job.rescued", extra={"task": job.task_name, "job": job.id})
        except (AlreadyEnqueued, UniqueViolation):  # its twin waits already: this one may end
            await queue.job_manager.finish_job_by_id_async(
                job_id=job.id or 0, status=Status.FAILED, delete_job=True
            )


@clockwork.periodic(cron="*/5 * * * *")
@clockwork.task(name="find_forgotten", queue="tick", queueing_lock="find_forgotten")
async def find_forgotten(timestamp: int) -> None:
    """Kept files whose preparation or scan failed or was lost: they are tried again, forever, but seldom."""
    await in_thread(_send_forgotten)


def _send_forgotten() -> None:
    """Two lists, so that files nobody can scan never stand before those that only need preparing."""
    before = clock.now() - FORGOTTEN_AFTER
    unprepared = MediaFile.objects.openable().filter(prepared_at=None, stored_at__lt=before)
    for event, forgotten in (
        ("file.preparation_forgotten", unprepared.order_by("stored_at")),
        ("file.scan_forgotten", scan.due_again()),
    ):
        if pks := list(forgotten.values_list("pk", flat=True)[:PER_RUN]):
            log.warning(event, extra={"files": len(pks)})
            journey.start_prepare(pks)


@clockwork.periodic(cron="* * * * * */20")
@clockwork.task(name="look_for_scanner", queue="tick", queueing_lock="look_for_scanner")
async def look_for_scanner(timestamp: int) -> None:
    """Files that were held because the malware scanner was away go on once it answers again."""
    scanner = scan.scanner()
    if scanner is None or not await in_thread(scan.waiting_for_scanner().exists):
        return
    try:
        await scanner.ping()
    except ScannerAway:
        return
    await in_thread(journey.start_waiting_scans, PER_RUN)


@clockwork.periodic(cron="*/2 * * * *")
@clockwork.task(name="renew_changed", queue="deliver", queueing_lock="renew_changed")
async def renew_changed(timestamp: int) -> None:
    """Files that look different since they were written to a CRM are written again; those prepared in the moment a
    CRM was connected are promised to it."""
    await in_thread(outbox.renew_changed, clock.now() - LOOK_BACK)
    await in_thread(_promise_recent)
    await in_thread(journey.start_deliveries)


def _promise_recent() -> None:
    recent = MediaFile.objects.kept().filter(prepared_at__gte=clock.now() - LOOK_BACK)
    with transaction.atomic():
        outbox.promise(list(recent.values_list("pk", flat=True)), chosen_by=address.found_in)


@clockwork.periodic(cron="23 * * * *")
@clockwork.task(name="erase_ended_secrets", queue="tick", queueing_lock="erase_ended_secrets")
async def erase_ended_secrets(timestamp: int) -> None:
    """Secrets that were replaced, and whose time beside the new ones is over."""
    await in_thread(connections.erase_ended)
    await in_thread(subscriptions.erase_ended)


@clockwork.periodic(cron="43 3 * * *")
@clockwork.task(name="forget_ended_embeds", queue="tick", queueing_lock="forget_ended_embeds")
async def forget_ended_embeds(timestamp: int) -> None:
    """Panels that were closed long ago: what was done in them stands in the audit."""
    await in_thread(embeds.forget_ended)


@clockwork.periodic(cron="* * * * * */20")
@clockwork.task(name="tell_what_was_not_taken", queue="tick", queueing_lock="tell_what_was_not_taken")
async def tell_what_was_not_taken(timestamp: int) -> None:
    """Whoever sent a file that could not be kept is told so, where the workspace wants that."""
    await in_thread(journey.tell_what_was_not_taken)


@clockwork.periodic(cron="*/5 * * * *")
@clockwork.task(name="find_unfinished_farewells", queue="tick", queueing_lock="find_unfinished_farewells")
async def find_unfinished_farewells(timestamp: int) -> None:
    """Files to be erased, or to be forgotten by their provider, whose job was lost or came to nothing; and what was heard
    of messages that were not ours."""
    await in_thread(_finish_farewells)


def _finish_farewells() -> None:
    before = clock.now() - FORGOTTEN_AFTER
    with transaction.atomic():
        journey.start_withdrawals(list(erasure.waiting(PER_RUN, before)))
        journey.start_forgetting(copies_there.waiting(PER_RUN, before))
        journey.start_untying(ties.to_untie(PER_RUN, before))
        journey.start_taking_out(review.to_take_out(PER_RUN, before))
        statuses.forget_early()
        uploads.take_out_infected()


@clockwork.periodic(cron="43 * * * *")
@clockwork.task(name="forget_kept_answers", queue="tick", queueing_lock="forget_kept_answers")
async def forget_kept_answers(timestamp: int) -> None:
    """Answers of the API that nobody may ask for again."""
    await in_thread(KeptAnswer.objects.over(clock.now()).delete)


@clockwork.periodic(cron="17 * * * *")
@clockwork.task(name="forget_finished_jobs", queue="tick", queueing_lock="forget_finished_jobs")
async def forget_finished_jobs(timestamp: int) -> None:
    """Finished jobs say nothing that the rows do not say better."""
    await queue.job_manager.delete_old_jobs(nb_hours=FINISHED_JOBS_HOURS, include_failed=False)
    await queue.job_manager.delete_old_jobs(nb_hours=FAILED_JOBS_HOURS, include_failed=True)


@clockwork.periodic(cron="29 * * * *")
@clockwork.task(name="forget_old_events", queue="tick", queueing_lock="forget_old_events")
async def forget_old_events(timestamp: int) -> None:
    """What subscribers were told more than a month ago, and who subscribed with a token that is over. The audit trail
    keeps the facts themselves."""
    await in_thread(subscriptions.end_orphans)
    while await in_thread(promises.forget, PER_RUN) == PER_RUN:
        pass


@clockwork.periodic(cron="*/15 * * * *")
@clockwork.task(name="reconcile", queue="deliver", queueing_lock="reconcile")
async def reconcile(timestamp: int) -> None:
    """A part of what each CRM holds is compared with what we wrote; in turn, everything."""
    live = await in_thread(list, Connection.objects.crms().live())
    for connection in live:
        if await in_thread(reconciliation.is_due, connection):
            await journey.compare(connection.pk, by="system:clock", batches=BATCHES_A_LOOK)


@clockwork.periodic(cron="* * * * *")
@clockwork.task(name="find_halted_remakes", queue="tick", queueing_lock="find_halted_remakes")
async def find_halted_remakes(timestamp: int) -> None:
    """Runs of remaking that nobody works on although nobody paused them: their job was lost, or gave up."""
    jobs = await queue.job_manager.list_jobs_async(task="acervo:remake", status="doing")
    await in_thread(_start_halted, {job.task_kwargs.get("run") for job in jobs})


def _start_halted(lively: set[Any]) -> None:
    for run in Remake.objects.running():
        if str(run.pk) not in lively:
            journey.start_remake(run.pk)


@clockwork.periodic(cron="* * * * *")
@clockwork.task(name="find_halted_imports", queue="tick", queueing_lock="find_halted_imports")
async def find_halted_imports(timestamp: int) -> None:
    """Chat exports that nobody works on although somebody said go, or undo: their job was lost, or gave up."""
    jobs = [
        job
        for task in ("acervo:import_chat", "acervo:undo_import")
        for job in await queue.job_manager.list_jobs_async(task=task, status="doing")
    ]
    await in_thread(_start_halted_imports, {job.task_kwargs.get("run") for job in jobs})


def _start_halted_imports(lively: set[Any]) -> None:
    for run in ChatImport.objects.unfinished():
        if str(run.pk) not in lively:
            journey.start_import(run)


@clockwork.periodic(cron="* * * * * */30")
@clockwork.task(name="find_waiting_transcripts", queue="tick", queueing_lock="find_waiting_transcripts")
async def find_waiting_transcripts(timestamp: int) -> None:
    """Transcripts that nobody works on: their engine was paused or their job was lost, or many were asked for at
    once. They come to the queue a few at a time, so that what arrives never stands behind all of them."""
    known = [
        job
        for status in ("todo", "doing")
        for job in await queue.job_manager.list_jobs_async(task="acervo:transcribe", status=status)
    ]
    busy = [UUID(str(job.task_kwargs["transcript"])) for job in known]
    if len(busy) < PER_RUN:
        await in_thread(journey.start_waiting_transcripts, PER_RUN - len(busy), busy)


@clockwork.periodic(cron="*/10 * * * *")
@clockwork.task(name="state_losses", queue="tick", queueing_lock="state_losses")
async def state_losses(timestamp: int) -> None:
    """Files that a provider told of and never offered."""
    await in_thread(overdue.state_losses)


@clockwork.periodic(cron="*/10 * * * *")
@clockwork.task(name="recover_missed", queue="bulk", queueing_lock="recover_missed")
async def recover_missed(timestamp: int) -> None:
    """Files whose webhook never came, where the provider keeps a list of what it received."""
    with_a_list = Connection.objects.live().filter(kind__in=missed.kinds_with_a_list())
    for connection in await in_thread(list, with_a_list):
        try:
            if found := await journey.recover_missed(connection):
                log.warning("receive.webhooks_missed", extra={"files": found})
        except AcervoError as error:  # its own trouble: the same stretch is read again next time
            log.warning("receive.list_not_read", extra={"reason": error.code})


@clockwork.periodic(cron="* * * * *")
@clockwork.task(name="check_connections", queue="bulk", queueing_lock="check_connections")
async def check_connections(timestamp: int) -> None:
    """Every connection that goes on is asked once an hour whether it is well, never all in the same minute."""
    live = await in_thread(list, Connection.objects.live())
    due = [row for row in live if _is_due(row.pk, row.checked_at, HOURLY)]
    await _side_by_side(liveness.check(row) for row in due)


@clockwork.periodic(cron="* * * * *")
@clockwork.task(name="probe_connections", queue="bulk", queueing_lock="probe_connections")
async def probe_connections(timestamp: int) -> None:
    """The way in of every number is tried from outside, every quarter of an hour, never all in the same minute."""
    if not settings.ACERVO_PROBE:
        return
    tried = Connection.objects.live().providers().annotate(tried_at=Max("probes__asked_at"))
    last_at: dict[UUID, datetime | None] = await in_thread(lambda: dict(tried.values_list("pk", "tried_at")))
    due = [pk for pk, at in last_at.items() if _is_due(pk, at, QUARTERLY)]
    numbers = await in_thread(list, Connection.objects.filter(pk__in=due))
    await _side_by_side(probes.probe(row, by="system:clock") for row in numbers if probes.can_probe(row))


def _is_due(pk: UUID, last_at: datetime | None, period: timedelta) -> bool:
    """Each connection has a period of its own, a tenth around the usual one, so that they drift apart."""
    return last_at is None or last_at < clock.now() - period * (0.9 + 0.2 * pk.bytes[-1] / 255)


async def _side_by_side(work: Iterable[Awaitable[object]]) -> None:
    """A few at a time. One that fails by our fault is logged, and hides no other."""
    places = asyncio.Semaphore(SIDE_BY_SIDE)

    async def one(task: Awaitable[object]) -> None:
        async with places:
            try:
                await task
            except Exception:
                log.exception("clock.connection_failed")

    await asyncio.gather(*(one(task) for task in work))


@clockwork.periodic(cron="37 3 * * *")
@clockwork.task(name="sweep_orphans", queue="tick", queueing_lock="sweep_orphans")
async def sweep_orphans(timestamp: int) -> None:
    """Objects that no row came to own."""
    await sweeper.sweep()


def register(app: App) -> None:
    """Called by procrastinate once it is ready: the steps of the journey, and the clock."""
    journey.register(app)
    app.add_tasks_from(clockwork, namespace="clock")
