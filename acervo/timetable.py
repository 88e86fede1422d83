"""Everything that happens by the clock, on one page."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.db import transaction
from procrastinate import App, Blueprint
from procrastinate.contrib.django import app as queue
from procrastinate.exceptions import AlreadyEnqueued, UniqueViolation
from procrastinate.jobs import Status

from acervo import journey
from acervo.base import clock
from acervo.base.database import in_thread
from acervo.deliver import outbox
from acervo.keep import sweeper
from acervo.models import Connection, MediaFile

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


@clockwork.periodic(cron="* * * * * */5")  # seconds are the last field
@clockwork.task(name="look_for_due", queue="tick", queueing_lock="look_for_due")
async def look_for_due(timestamp: int) -> None:
    """Files and deliveries whose next try has come."""
    await in_thread(_start_what_is_due)


def _start_what_is_due() -> None:
    if MediaFile.objects.due(clock.now()).exists():
        journey.start_capture()
    journey.start_deliveries()


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
    """Kept files whose preparation failed or was lost: they are tried again, forever, but seldom."""
    await in_thread(_send_forgotten)


def _send_forgotten() -> None:
    before = clock.now() - FORGOTTEN_AFTER
    forgotten = MediaFile.objects.kept().filter(prepared_at=None, stored_at__lt=before).order_by("stored_at")
    if pks := list(forgotten.values_list("pk", flat=True)[:PER_RUN]):
        log.warning("file.preparation_forgotten", extra={"files": len(pks)})
        journey.start_prepare(pks)


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
        outbox.promise(list(recent.values_list("pk", flat=True)))


@clockwork.periodic(cron="17 * * * *")
@clockwork.task(name="forget_finished_jobs", queue="tick", queueing_lock="forget_finished_jobs")
async def forget_finished_jobs(timestamp: int) -> None:
    """Finished jobs say nothing that the rows do not say better."""
    await queue.job_manager.delete_old_jobs(nb_hours=FINISHED_JOBS_HOURS, include_failed=False)
    await queue.job_manager.delete_old_jobs(nb_hours=FAILED_JOBS_HOURS, include_failed=True)


@clockwork.periodic(cron="*/15 * * * *")
@clockwork.task(name="reconcile", queue="deliver", queueing_lock="reconcile")
async def reconcile(timestamp: int) -> None:
    """A part of what each CRM holds is compared with what we wrote; in turn, everything."""
    connections = await in_thread(lambda: list(Connection.objects.crms().live()))
    for connection in connections:
        await journey.reconcile(connection)


@clockwork.periodic(cron="37 3 * * *")
@clockwork.task(name="sweep_orphans", queue="tick", queueing_lock="sweep_orphans")
async def sweep_orphans(timestamp: int) -> None:
    """Objects that no row came to own."""
    await sweeper.sweep()


def register(app: App) -> None:
    """Called by procrastinate once it is ready: the steps of the journey, and the clock."""
    journey.register(app)
    app.add_tasks_from(clockwork, namespace="clock")
