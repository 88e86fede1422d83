"""START HERE: the steps of a file, in order, and what happens when one fails.

    a provider knocks ──> journalled            hooks/        (no job: a receipt is on disk before the answer)
    read                  receipts to files     receive/      loop, many receipts a transaction
    capture               bytes, proven, sealed fetch/ keep/  queue `capture`, many files side by side
    scan                  clean, or quarantined prepare/      queue `prepare`, a job a file, where a scanner is set
    prepare               facts and copies      prepare/      queue `prepare`, a job a file
    transcribe            what was said         prepare/      queue `transcribe`, a job a file, where an engine is set
    deliver               the CRM's records     deliver/      queue `deliver`, a job a connection
    upload                the bytes themselves  deliver/      queue `deliver`, a job a connection, where somebody wants that
    send                  an answer of ours     answer/       queue `deliver`, a job a message
    withdraw              taken back: gone      govern/       queue `deliver`, a job a file that was taken back
    notify                subscribers told      notify/       queue `deliver`, one loop, many addresses side by side
    take_out              a wrong contact       deliver/      queue `deliver`, a job a decision that was undone

Each step commits its facts and starts the next one in the same transaction. A step that is repeated finds its facts
already there and changes nothing. Errors are of three families (`base.errors`): TryLater waits and tries again,
NeedsPerson and Gone are written on the row for people to read; anything else is our fault, is logged as such, and is
tried a few times more. What a dead worker held comes back by leases (files, deliveries) and by `timetable.rescue`.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from procrastinate import App, Blueprint, JobContext
from procrastinate.contrib.django import app as queue
from procrastinate.contrib.django.django_connector import DjangoConnector
from procrastinate.exceptions import AlreadyEnqueued, TaskNotFound
from procrastinate.jobs import Job, JobDeferrer
from procrastinate.manager import JobManager
from procrastinate.retry import BaseRetryStrategy, RetryDecision
from procrastinate.tasks import configure_task

from acervo.answer import asking, not_taken, sending, statuses
from acervo.answer.asking import Wish
from acervo.base import clock
from acervo.base.database import in_thread
from acervo.base.errors import AcervoError, Gone, NeedsPerson, TryLater
from acervo.base.http import crm_client, media_session
from acervo.crms.contract import RecordRef, RelatedRef
from acervo.deliver import (
    associations,
    attach,
    candidates,
    outbox,
    reconcile,
    repairs,
    review,
    uploading,
    uploads,
    withdrawal,
)
from acervo.deliver import backfill as backfilling
from acervo.deliver.estimates import Estimate
from acervo.fetch import again, forgotten, limits
from acervo.fetch import capture as capturing
from acervo.govern import (
    consent,
    crm_setups,
    erasure,
    liveness,
    media_rules,
    probes,
    reach,
    subscriptions,
    transcribers,
)
from acervo.govern.media_rules import Change, Rules
from acervo.models import (
    AuditEntry,
    Backfill,
    ChatImport,
    Connection,
    ContactDecision,
    Deed,
    Delivery,
    Discrepancy,
    Event,
    EventDelivery,
    EventKind,
    Happened,
    MediaFile,
    Person,
    Receipt,
    RecordLink,
    Remake,
    Sending,
    Subscription,
)
from acervo.notify import calling, promises
from acervo.organise import address, tags
from acervo.prepare import quarantine, renditions, second_copy, transcripts, unheard
from acervo.prepare import remake as remaking
from acervo.prepare import scan as scanning
from acervo.receive import imported, imports, missed, undone
from acervo.receive.reader import Drained, Heard, drain

log = logging.getLogger(__name__)
steps = Blueprint()

FAULT_TRIES = 5
PREPARE_TRIES = 3
"""A tool that runs out of time may have met a busy machine; after so many tries it is the file."""
LONGEST_WAIT_S = 3600.0
CRM_TIMEOUT_S = 30.0
RECOVERING = 4
"""Requests side by side while a provider's list is read."""
TRANSCRIBE_TRIES = 6
WAITED_FOR = 20
ARRIVED, BACKLOG = 10, 0
RESUMED_AT_ONCE = 50
"""Transcripts sent on their way by the press of a button; the clock sends the others."""
SENDINGS_AT_ONCE = 100
CUSTODY = ("stored_at", "held_at", "scanned_at", "infection", "released_at", "erase_asked_at")
"""What `MediaFile.is_openable` looks at."""
DELIVER_FIRST = 10
"""Deliveries share workers with preparation: a mountain of videos must not keep small records waiting."""


class Patience(BaseRetryStrategy):
    """How a job that failed is tried again, by the family of its error."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        if isinstance(exception, NeedsPerson | Gone):
            return None
        if not isinstance(exception, AcervoError):
            log.error("job.fault", extra={"task": job.task_name, "job": job.id}, exc_info=exception)
            if job.attempts >= FAULT_TRIES:
                return None
        wish = exception.after_s if isinstance(exception, TryLater) else None
        wait_s = wish if wish is not None else min(2.0 ** (job.attempts + 1), LONGEST_WAIT_S)
        return RetryDecision(retry_in={"seconds": max(1, round(wait_s * random.uniform(1.0, 1.25)))})  # noqa: S311


# ── the steps ──


def read() -> int:
    """Read a batch of receipts and send the files they announce on their way. Returns how many receipts it read."""
    with transaction.atomic():
        drained = drain(listen=_heard)
        _announced(drained)
    return drained.receipts


def _heard(heard: Heard) -> dict[UUID, list[Deed]]:
    """What a batch says about messages of ours: what became of them, and what they were answered with."""
    statuses.hear([statuses.Told(account, update) for account, update in heard.statuses])
    return dict(consent.hear(heard.pressed))


def _announced(drained: Drained) -> None:
    start_withdrawals(drained.withdrawn)
    if drained.new_files:
        start_capture()


@steps.task(
    name="capture", queue="capture"
)  # no retry: its facts are due again, and the clock looks for what is due
async def capture() -> None:
    """Fetch, prove, seal and store everything that is due. One loop runs in each process, and leaves places for the
    clock's jobs: while it runs, another call only makes it look again."""
    await capturing.capture(_captured)


def _captured(files: Sequence[UUID]) -> None:
    _kept(files)
    start_notifying()


def _kept(files: Sequence[UUID]) -> None:
    """Nothing looks into a file that the scanner has not seen; what is in quarantine stays there."""
    custody = MediaFile.objects.only(*CUSTODY)
    kept = list(custody.kept().filter(pk__in=files))
    held = {media.pk for media in kept if media.is_awaiting_scan}
    openable = {media.pk for media in kept if media.is_openable}
    for name, chosen in (("scan", held), ("prepare", openable)):
        if chosen:
            _enqueue(name, "prepare", [{"media": str(pk)} for pk in files if pk in chosen])


@steps.task(name="scan", queue="prepare", retry=Patience())
async def scan(media: str) -> None:
    """Ask the scanner about one file. While it is away the file waits, nobody has it, and the clock looks for what
    is due: only our own faults are tried again from here."""
    await scanning.scan(UUID(media), _let_through)


def _let_through(media: UUID) -> None:
    _enqueue("prepare", "prepare", [{"media": str(media)}])


@steps.task(name="prepare", queue="prepare", retry=Patience(), pass_context=True)
async def prepare(context: JobContext, media: str) -> None:
    """Look at one file in the sandbox and make its copies."""
    is_last_try = context.job.attempts + 1 >= PREPARE_TRIES
    await renditions.prepare(UUID(media), _prepared, is_last_try=is_last_try)
    await in_thread(start_notifying)


def _prepared(media: UUID) -> None:
    _tell_ready(media)
    is_promised = outbox.promise([media], chosen_by=address.found_in)
    start_transcripts(transcripts.ask_automatically([media]))
    if again.worth_another_look([media]):
        _enqueue_once("fetch_again", "prepare", media=str(media))
    else:
        start_forgetting(forgotten.ask([media]))
    if is_promised:
        start_deliveries()


def _tell_ready(media: UUID) -> None:
    """Subscribers hear of what arrived. A chat export brings years at once, which are no news."""
    arrived = MediaFile.objects.filter(pk=media, message__chat_import=None)
    for workspace_id in arrived.values_list("workspace_id", flat=True):
        Event.objects.record(workspace_id, [Happened(EventKind.READY, media)])


@steps.task(name="fetch_again", queue="prepare", retry=Patience())
async def fetch_again(media: str) -> None:
    """A damaged file that nothing else could prove is fetched once more; the better one is kept."""
    second = await again.fetch_again(UUID(media))
    if second is not None:
        await second_copy.choose(UUID(media), second, _prepared)
        await in_thread(start_notifying)
    else:
        await in_thread(_seen_twice, UUID(media))


def _seen_twice(media: UUID) -> None:
    with transaction.atomic():
        start_forgetting(forgotten.ask([media]))


@steps.task(name="forget", queue="deliver", retry=Patience())
async def forget(media: str) -> None:
    """The provider's own copy goes, once ours is safe."""
    await forgotten.forget(UUID(media))


@steps.task(name="copies", queue="prepare", retry=Patience(), pass_context=True)
async def copies(context: JobContext, media: str, kinds: list[str]) -> None:
    """Make copies of a prepared file that are missing: somebody wants to play one of them now."""
    is_last_try = context.job.attempts + 1 >= PREPARE_TRIES
    await renditions.make_missing(UUID(media), kinds, is_last_try=is_last_try)


@steps.task(name="transcribe", queue="transcribe", retry=Patience(), pass_context=True)
async def transcribe(context: JobContext, transcript: str) -> None:
    """Let the workspace's engine listen to one file."""
    is_last_try = context.job.attempts + 1 >= TRANSCRIBE_TRIES
    await transcripts.transcribe(UUID(transcript), consent.allows, is_last_try=is_last_try)
    await in_thread(start_notifying)


@steps.task(name="check", queue="tick")
async def check(connection: str, by: str) -> None:
    """Somebody wants to know now whether a connection is well."""
    await liveness.check(await in_thread(Connection.objects.get, pk=UUID(connection)), by)


@steps.task(name="probe", queue="tick")
async def probe(connection: str, by: str) -> None:
    """Somebody wants to know now whether webhooks reach us."""
    await probes.probe(await in_thread(Connection.objects.get, pk=UUID(connection)), by)


@steps.task(name="remake", queue="bulk", retry=Patience())
async def remake(run: str) -> None:
    """Go on with a run of remaking, from where it stands, until it ends or somebody stops it."""
    await remaking.go_on(UUID(run), chosen_by=address.found_in)


@steps.task(name="import_chat", queue="bulk", retry=Patience())
async def import_chat(run: str) -> None:
    """Go on with a chat export, from where it stands to its end."""
    await imported.go_on(UUID(run), _kept)


@steps.task(name="undo_import", queue="bulk", retry=Patience())
async def undo_import(run: str) -> None:
    """Take out what a chat export brought, from where an interruption left it."""
    await undone.undo(UUID(run))


@steps.task(name="deliver", queue="deliver")  # no retry, as above
async def deliver(connection: str) -> None:
    """Keep what is promised to one CRM, until nothing is due."""
    async with _crm_client() as http:
        while await _deliver_batch(UUID(connection), http):
            await in_thread(start_notifying)
    await in_thread(start_uploads)


@steps.task(name="upload", queue="deliver")  # no retry, as above
async def upload(connection: str) -> None:
    """Put files themselves into one CRM, or take them out, one after the other; links never wait for them."""
    async with _crm_client() as http:
        while await uploading.go_on(UUID(connection), http=http):
            pass


async def _deliver_batch(connection: UUID, http: httpx.AsyncClient) -> bool:
    """Whether there may be more to do. Where what is due does not fill a batch, a backfill promises its next portion."""
    claimed = (await attach.deliver(connection, http=http, chosen_by=address.found_in)).claimed
    if claimed >= outbox.BATCH:
        return True
    return bool(await in_thread(_fill, connection)) or claimed > 0


def _fill(connection: UUID) -> int:
    return backfilling.go_on(connection, chosen_by=address.found_in)


@steps.task(name="make_fields", queue="deliver")
async def make_fields(connection: str) -> None:
    """Our fields in a CRM, as somebody asked for after having seen what would be made."""
    await crm_setups.make(UUID(connection))


@steps.task(name="send", queue="deliver")  # no retry, as above
async def send(sending_id: str) -> None:
    """One message of ours leaves, once."""
    await sending.send(UUID(sending_id))


@steps.task(name="withdraw", queue="deliver", retry=Patience())
async def withdraw(media: str) -> None:
    """A file that was taken back: its bytes go where the number wants that, and the CRMs let go of it."""
    await erasure.erase(UUID(media))
    await in_thread(start_notifying)
    async with _crm_client() as http:
        await withdrawal.withdraw(UUID(media), http=http)


@steps.task(name="notify", queue="deliver")  # no retry, as above
async def notify() -> None:
    """Tell subscribers what happened, until nothing is due. What a stage wrote down and nobody was woken for is found
    by the clock, seconds later."""
    async with crm_client(settings.ACERVO_ALLOW_PRIVATE_HOSTS, timeout_s=calling.CALL_S) as http:
        await calling.notify(http)


@steps.task(name="untie", queue="deliver", retry=Patience())
async def untie(link: str) -> None:
    """A file leaves a deal or a ticket that it was tied to."""
    async with _crm_client() as http:
        await associations.untie(UUID(link), http=http)


@steps.task(name="reconcile", queue="bulk")  # no retry: the clock goes on with a pass that stopped
async def reconcile_now(connection: str, by: str) -> None:
    """Somebody wants to know now whether a CRM holds what we wrote."""
    await compare(UUID(connection), by=by)


@steps.task(name="take_out", queue="deliver", retry=Patience())
async def take_out(decision: str) -> None:
    """Somebody took an answer back: what was written to the wrong contact leaves the CRM."""
    async with _crm_client() as http:
        await review.take_out(UUID(decision), http=http)


def _crm_client() -> httpx.AsyncClient:
    return crm_client(settings.ACERVO_ALLOW_PRIVATE_HOSTS, timeout_s=CRM_TIMEOUT_S)


# ── starting them ──


def start_capture() -> None:
    """A worker will look for due files. One waiting job is enough, however many ask."""
    _enqueue_once("capture", "capture")


def start_deliveries() -> None:
    """A worker will look after every CRM that something is due for."""
    for connection in outbox.due_connections():
        _enqueue_once("deliver", "deliver", priority=DELIVER_FIRST, connection=str(connection))
    start_uploads()


def start_uploads() -> None:
    """A worker will look after every CRM that files themselves are due for, after everything else that waits."""
    for connection in uploads.due_connections():
        _enqueue_once("upload", "deliver", connection=str(connection))


def start_sendings() -> None:
    """Messages that are due: just asked for, put off by their provider, or left behind by a job that was lost."""
    for pk in (
        Sending.objects.due(clock.now()).order_by("due_at").values_list("pk", flat=True)[:SENDINGS_AT_ONCE]
    ):
        start_sending(pk)


def start_sending(pk: UUID) -> None:
    """Somebody waits for it. One waiting job is enough."""
    _enqueue_once("send", "deliver", priority=WAITED_FOR, sending_id=str(pk))


def start_notifying() -> None:
    """A worker will tell subscribers what is due. One waiting job is enough."""
    if promises.are_due():
        _enqueue_once("notify", "deliver", priority=DELIVER_FIRST)


def start_withdrawals(files: Sequence[UUID]) -> None:
    for media in files:
        _enqueue_once("withdraw", "deliver", priority=WAITED_FOR, media=str(media))


def start_taking_out(decisions: Sequence[UUID]) -> None:
    for pk in decisions:
        _enqueue_once("take_out", "deliver", priority=WAITED_FOR, decision=str(pk))


def start_untying(links: Sequence[UUID]) -> None:
    for pk in links:
        _enqueue_once("untie", "deliver", priority=WAITED_FOR, link=str(pk))


def start_reconciliation(connection: UUID, by: str) -> None:
    """A worker will look at everything a CRM holds of us, beginning now."""
    _enqueue_once("reconcile", "bulk", priority=WAITED_FOR, connection=str(connection), by=by)


def start_forgetting(files: Sequence[UUID]) -> None:
    for media in files:
        _enqueue_once("forget", "deliver", media=str(media))


def tell_what_was_not_taken() -> None:
    """Customers whose file could not be kept are told so, where their workspace wants that."""
    with transaction.atomic():
        for pk in not_taken.ask_for_all():
            start_sending(pk)


def start_prepare(files: Sequence[UUID]) -> None:
    """Files whose scan or preparation was lost on the way are sent again."""
    _kept(files)


def start_waiting_scans(limit: int) -> int:
    """The scanner has returned: files that waited for it go on. Returns how many."""
    with transaction.atomic():
        waiting = scanning.take_waiting(limit)
        if waiting:
            _kept(waiting)
    return len(waiting)


def start_copies(media: UUID, kinds: Sequence[str]) -> None:
    """Somebody waits for these copies: before the mountain of new files. One waiting job is enough."""
    _enqueue_once("copies", "prepare", priority=WAITED_FOR, media=str(media), kinds=sorted(kinds))


def start_transcripts(asked: Sequence[UUID], *, priority: int = ARRIVED) -> None:
    """A worker will let the engine listen. One waiting job a file is enough."""
    for transcript in asked:
        _enqueue_once("transcribe", "transcribe", priority=priority, transcript=str(transcript))


def start_waiting_transcripts(limit: int, busy: Sequence[UUID] = ()) -> None:
    """Those that nobody works on, after everything that just arrived: an engine was paused, a job was lost, or
    somebody asked for many at once."""
    with transaction.atomic():
        start_transcripts(unheard.waiting(limit, busy=busy), priority=BACKLOG)


def start_remake(run: UUID) -> None:
    """A worker will go on with this run. It goes on by itself after every interruption."""
    _enqueue_once("remake", "bulk", run=str(run))


def start_check(connection: UUID, by: str) -> None:
    """A worker will ask the vendor whether this account is well, at once."""
    _enqueue_once("check", "tick", priority=WAITED_FOR, connection=str(connection), by=by)


def start_probe(connection: UUID, by: str) -> None:
    """A worker will try the way in of this number, at once."""
    _enqueue_once("probe", "tick", priority=WAITED_FOR, connection=str(connection), by=by)


def start_import(run: ChatImport) -> None:
    """A worker will go on with this import, or with undoing it."""
    _enqueue_once("undo_import" if run.undo_asked_at else "import_chat", "bulk", run=str(run.pk))


def _enqueue(task: str, name: str, arguments: Sequence[dict[str, Any]]) -> None:
    _deferrer(task, queue=name).batch_defer(*arguments)


def _enqueue_once(task: str, name: str, *, priority: int = 0, **arguments: Any) -> None:
    """The last thing in a transaction: until it ends, whoever wants the same job waits for it."""
    lock = ":".join([task, *map(str, arguments.values())])
    try:
        with transaction.atomic():  # a savepoint: the refusal must not spoil the caller's transaction
            _deferrer(task, queue=name, queueing_lock=lock, priority=priority).defer(**arguments)
    except AlreadyEnqueued:
        pass


def _deferrer(task: str, **options: Any) -> JobDeferrer:
    """The queue on Django's own connection: a job exists exactly when the fact it follows from does. Not by the task
    itself, nor through an app of another connector: both ride on the connection of whoever runs the worker, where the
    job is seen before the fact, and stays when the fact is taken back."""
    name = f"acervo:{task}"
    if name not in queue.tasks:
        raise TaskNotFound(name)
    return configure_task(name=name, job_manager=JobManager(DjangoConnector()), **options)


def register(app: App) -> None:
    """Called by procrastinate once it is ready."""
    app.add_tasks_from(steps, namespace="acervo")


# ── what people do ──


def retry_capture(media: MediaFile, by: str) -> None:
    """Try to get a file now, even one that was given up: perhaps the provider was wrong."""
    with transaction.atomic():
        at = clock.now()
        found = MediaFile.objects.filter(pk=media.pk, stored_at=None, erase_asked_at=None)
        if not found.update(gone_at=None, due_at=at, claimed_until=None, corrupt_attempts=0, changed_at=at):
            return
        AuditEntry.objects.record(
            media.workspace_id, by, [Deed("file.retried", "file", media.pk, media.refusal or "")]
        )
        start_capture()  # after the audit, like everybody: in another order two would wait for each other


def tag_file(media: MediaFile, names: Sequence[str], by: str) -> list[str]:
    """Put tags on a file; returns those that are new on it. The CRMs follow by the clock. Raises Refused."""
    with transaction.atomic():
        return tags.put(media, names, by)


def untag_file(media: MediaFile, name: str, by: str) -> bool:
    """Take a tag off a file; returns whether it was there."""
    with transaction.atomic():
        return tags.take_off(media, name, by)


def answer(wish: Wish, by: str) -> Sending:
    """Write to a customer. Raises what `asking.ask` does, and then nothing is sent."""
    with transaction.atomic():
        row = asking.ask(wish, by)
        start_sending(row.pk)
    return row


def answer_again(row: Sending, by: str) -> Sending:
    """Send a message once more that failed, or may not have arrived."""
    with transaction.atomic():
        twin = asking.repeat(row, by)
        start_sending(twin.pk)
    return twin


def fetch_by_hand(media: MediaFile, by: str, reason: str) -> None:
    """Fetch a file that is over its limit. Raises LimitStands where that cannot be."""
    with transaction.atomic():
        limits.lift(media, by=by, reason=reason)
        start_capture()


def limits_changed(workspace_id: UUID) -> int:
    """Files that were too large and no longer are go on their way; returns how many."""
    with transaction.atomic():
        due = limits.reconsider(workspace_id)
        if due:
            start_capture()
    return due


def release(media: MediaFile, by: str, reason: str) -> None:
    """Let a file out of quarantine. Raises NothingToDecide and ReasonMissing."""
    with transaction.atomic():
        quarantine.release(media, by=by, reason=reason)
        _kept([media.pk])


def leave_in_quarantine(media: MediaFile, by: str, reason: str) -> None:
    """Write down that somebody looked at it. Raises NothingToDecide and ReasonMissing."""
    with transaction.atomic():
        quarantine.leave(media, by=by, reason=reason)


def scan_again(media: MediaFile, by: str) -> None:
    """Show a held file to the scanner now. Raises NothingToDecide."""
    with transaction.atomic():
        quarantine.ask_again(media, by=by)
        _kept([media.pk])


def waive_scans(files: Sequence[UUID], by: str, reason: str) -> int:
    """Let held files through although nothing scanned them; returns how many. Raises ReasonMissing."""
    with transaction.atomic():
        let_through = quarantine.waive(files, by=by, reason=reason)
        if let_through:
            _kept(let_through)
    return len(let_through)


def retry_delivery(delivery: Delivery, by: str) -> None:
    """Try to write to the CRM now."""
    with transaction.atomic():
        outbox.retry(delivery, by=by)
        start_deliveries()


def choose_record(delivery: Delivery, record_id: str, by: str) -> None:
    """Tell which of the CRM records that were offered is the person's. Raises Refused for one that was not."""
    with transaction.atomic():
        review.choose_offered(delivery, record_id, by=by)
        start_deliveries()


def link_person(connection: Connection, person: Person, ref: RecordRef, by: str) -> RecordLink:
    """Tell which CRM record a person is. Raises Refused for one that is somebody else's already."""
    with transaction.atomic():
        link = outbox.link_person(connection, person, ref, by=by)
        start_deliveries()
    return link


def look_at_backfill(connection: Connection, query: str) -> Estimate:
    """What it would be to write all files that a query names (empty: every file) to a CRM. Raises UnknownWord."""
    return backfilling.look(connection, address.settled(query), address.found_in)


def backfill(connection: Connection, *, query: str, by: str) -> Backfill:
    """Write them. Raises Refused for a query that does not exist, while another run goes on, and where nothing is to
    be done."""
    with transaction.atomic():
        run = backfilling.ask(connection, query=address.settled(query), by=by, chosen_by=address.found_in)
        start_deliveries()
    return run


def resume_backfill(run: Backfill, by: str) -> None:
    """Go on with a paused run."""
    with transaction.atomic():
        backfilling.resume(run, by)
        start_deliveries()


def make_fields_there(connection: Connection, by: str) -> None:
    """Our fields may be made in this CRM, as they were shown: a worker begins at once."""
    with transaction.atomic():
        crm_setups.ask(connection, by)
        _enqueue_once("make_fields", "deliver", priority=WAITED_FOR, connection=str(connection.pk))


async def look_at_candidates(connection: UUID, person: UUID, besides: str = "") -> candidates.Look:
    """What the CRM says now of the contacts a person may be. Raises CrmError and Refused."""
    async with _crm_client() as http:
        return await candidates.look(connection, person, besides=besides, http=http)


async def decide_contact(choice: review.Choice, by: str) -> ContactDecision:
    """Say who a person is in a CRM; all that waited for it is on its way. Raises CrmError and Refused."""
    async with _crm_client() as http:
        return await review.decide(choice, by=by, http=http, then=start_deliveries)


def promise_by_hand(media: MediaFile, connection: Connection, by: str) -> None:
    """Write a file to a CRM that it was never promised to. Raises Refused where nobody may have it."""
    with transaction.atomic():
        outbox.promise_to(connection, media, by=by, chosen_by=address.found_in)
        start_deliveries()


def retry_stopped(stopped: QuerySet[Delivery], by: str) -> int:
    """Try again all of these that only a person can set going; returns how many."""
    with transaction.atomic():
        count = outbox.retry_all(stopped, by=by)
        start_deliveries()
    return count


async def look_at_related(delivery: Delivery) -> Sequence[RelatedRef]:
    """Deals, tickets and campaigns a file could go onto. Raises CrmError and Refused."""
    async with _crm_client() as http:
        return await associations.offered(delivery, http=http)


async def tie_file(delivery: Delivery, wanted: Sequence[str], by: str) -> int:
    """A file belongs to these, too. Raises CrmError and Refused."""
    async with _crm_client() as http:
        return await associations.tie(delivery, wanted, by=by, http=http, then=start_deliveries)


def untie_file(link: RecordLink, by: str) -> None:
    """A file is to leave a deal or a ticket again."""
    with transaction.atomic():
        if associations.ask_untie(link, by=by):
            start_untying([link.pk])


def rewrite_in_crm(found: QuerySet[Discrepancy], by: str) -> int:
    """What a CRM holds differently is written again; returns how many files."""
    with transaction.atomic():
        count = repairs.rewrite(found, by=by)
        start_deliveries()
    return count


def undo_decision(decision: ContactDecision, by: str) -> None:
    """The person waits for an answer again; what was written because of the old one leaves the CRM. Raises Refused."""
    with transaction.atomic():
        undone = review.undo(decision, by=by)
        if undone.taken_out_at is None:
            start_taking_out([undone.pk])


def change_media_rules(workspace_id: UUID, wanted: Rules, *, seen: str, by: str) -> Change:
    """Change what is made of files and how large they may be; what a raised limit lets through is fetched. Raises
    Refused, and then nothing is saved."""
    with transaction.atomic():
        made = media_rules.change(workspace_id, wanted, seen=seen, by=by)
        if made.has_raised_a_limit:
            limits_changed(workspace_id)
    return made


def remake_files(workspace_id: UUID, *, query: str, kinds: Sequence[str], reason: str, by: str) -> Remake:
    """Make copies anew of all files that a query names (empty: of every file). Raises Refused for a query or a kind
    that does not exist, and where there is nothing to do."""
    with transaction.atomic():
        run = remaking.ask(
            workspace_id,
            query=address.settled(query),
            kinds=kinds,
            reason=reason,
            by=by,
            chosen_by=address.found_in,
        )
        start_remake(run.pk)
    return run


def resume_remake(run: Remake, by: str) -> None:
    """Go on with a paused run."""
    with transaction.atomic():
        remaking.resume(run, by)
        start_remake(run.pk)


def ask_transcript(media: MediaFile, by: str, *, is_sure: bool = False) -> None:
    """Let the engine listen to this file now. Raises Refused, and HasCorrections unless somebody is sure."""
    with transaction.atomic():
        start_transcripts([transcripts.ask(media, by, is_sure=is_sure)], priority=WAITED_FOR)


def resume_transcripts(workspace_id: UUID, by: str) -> None:
    """The engine may listen again: what waited goes on."""
    with transaction.atomic():
        transcribers.resume(workspace_id, by)
        start_waiting_transcripts(RESUMED_AT_ONCE)


def configure_transcriber(workspace_id: UUID, choice: transcribers.Choice, by: str) -> None:
    """Choose the engine, or change it; what waited for it goes on. Raises Refused, and then nothing is saved."""
    with transaction.atomic():
        transcribers.configure(workspace_id, choice, by)
        start_waiting_transcripts(RESUMED_AT_ONCE)


def transcribe_all(workspace_id: UUID, by: str) -> int:
    """Ask for a transcript of every file that has none; returns how many were asked for now. The clock sends them."""
    return unheard.ask_for_all(workspace_id, by)


def transcribe_import(run: ChatImport, by: str) -> int:
    """Ask for a transcript of every file an exported chat brought; returns how many were asked for now. The clock sends
    them. Raises NotConfigured."""
    return unheard.ask_for_import(run, by)


def resume_subscription(subscription: Subscription, by: str, *, drops_waiting: bool = False) -> int:
    """Go on telling a subscriber; what waited is told now, or dropped. Returns how many events that are."""
    with transaction.atomic():
        count = subscriptions.resume(subscription, by, drops_waiting=drops_waiting)
        start_notifying()
    return count


def send_sample(subscription: Subscription, kind: str, by: str) -> EventDelivery:
    """Try an address with an invented event. Raises Ended."""
    with transaction.atomic():
        made = subscriptions.sample(subscription, kind, by)
        start_notifying()
    return made


def replay_events(subscription: Subscription, events: Sequence[UUID] | None, by: str) -> int:
    """Tell events once more, or all that were not taken; returns how many. Raises Ended."""
    with transaction.atomic():
        count = subscriptions.replay(subscription, events, by)
        start_notifying()
    return count


def begin_import(run: ChatImport, choice: imports.Choice, by: str) -> None:
    """Import an uploaded chat export. Raises DateOrderMissing, UsMissing, UnknownZone and NotWaiting."""
    with transaction.atomic():
        imports.begin(run, choice, by=by)
        start_import(run)


async def import_here(run: UUID, path: Path, progress: imported.Progress) -> None:
    """Import a chat export in this process, reading it where it lies."""
    await imported.go_on(run, _kept, path=path, progress=progress)


def resume_import(run: ChatImport, by: str) -> None:
    """Go on with an import that stopped."""
    with transaction.atomic():
        imports.resume(run, by=by)
        start_import(run)


def take_back_import(run: ChatImport, by: str) -> None:
    """Take out what an import brought; one that is under way ends first."""
    with transaction.atomic():
        imports.ask_undo(run, by=by)
        start_import(run)


def replay_receipts(receipts: Sequence[UUID], by: str) -> int:
    """Read stored receipts again, e.g. after a parser was mended or a number connected. Returns how many."""
    with transaction.atomic():
        found = Receipt.objects.filter(pk__in=receipts).exclude(read_at=None)
        by_workspace: dict[UUID, list[UUID]] = {}
        for pk, workspace_id in found.values_list("pk", "workspace_id"):
            by_workspace.setdefault(workspace_id, []).append(pk)
        Receipt.objects.filter(pk__in=[pk for pks in by_workspace.values() for pk in pks]).update(
            read_at=None
        )
        for workspace_id, pks in by_workspace.items():
            deed = Deed("receipt.replayed", "workspace", workspace_id, "", {"receipts": len(pks)})
            AuditEntry.objects.record(workspace_id, by, [deed])
    return sum(len(pks) for pks in by_workspace.values())


async def recover_missed(connection: Connection) -> int:
    """Read a provider's own list for files whose webhook never came; returns how many there were."""
    async with media_session(settings.ACERVO_ALLOW_PRIVATE_HOSTS, limit=RECOVERING) as session:
        return await missed.recover(connection, session, _announced, _heard)


async def compare(connection: UUID, *, by: str, batches: int | None = None) -> None:
    """Compare what a CRM has with what we said it has, and mend it as the connection says. At most so many batches; None:
    until the pass is over."""
    found, done = reconcile.Findings(is_over=False), 0
    async with _crm_client() as http:
        while not found.is_over and (batches is None or done < batches):
            found = await reconcile.reconcile(connection, http=http, asked_by=by)
            done += 1
            if done == 1:
                code = (await in_thread(reach.reach)).code
                await in_thread(reconcile.note_address, connection, code)
    await in_thread(start_deliveries)
