"""Copies made anew: counted once whatever dies, stopped by people and outages, never by one bad file."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

import pytest
from asgiref.sync import sync_to_async
from django.db import connection as database
from django.db import transaction

from acervo import journey, timetable
from acervo.base import clock
from acervo.base.database import in_thread
from acervo.base.errors import Gone, NeedsPerson, TryLater
from acervo.keep import storage, vault
from acervo.keep.storage import StorageAway
from acervo.models import AuditEntry, MediaFile, MediaPolicy, Remake, Rendition
from acervo.organise.address import UnknownWord, found_in
from acervo.prepare import remake as remaking
from acervo.prepare import renditions
from acervo.prepare.isolation import ToolMissing
from acervo.prepare.remake import NothingToRemake, RemakeOver, UnknownCopy
from sandbox import samples
from tests.conftest import keep, make_connection, make_file

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass(frozen=True)
class Made:
    bytes_before: int = 10
    bytes_after: int = 4
    failed: bool = False


class Maker:
    """Stands for `renditions.remake`: remembers the files, and does what a test wants of one of them."""

    def __init__(self) -> None:
        self.made: list[UUID] = []
        self.acts: dict[UUID, Callable[[], object]] = {}
        self.kinds: list[list[str]] = []

    async def __call__(self, media_id: UUID, kinds=(), *, is_last_try: bool = True) -> Made:
        self.kinds.append(list(kinds))
        if act := self.acts.get(media_id):
            result = act()
            if asyncio.iscoroutine(result):
                result = await result
            if isinstance(result, BaseException):
                raise result
            if isinstance(result, Made):
                self.made.append(media_id)
                return result
        self.made.append(media_id)
        return Made()


@pytest.fixture
def maker(monkeypatch) -> Maker:
    made = Maker()
    monkeypatch.setattr(renditions, "remake", made, raising=False)
    return made


@pytest.fixture
def files(connection) -> list[MediaFile]:
    """Eight prepared ones, the newest first."""
    made = [make_file(connection, kind="video" if number % 2 else "voice") for number in range(8)]
    for media in made:
        pretend_kept(media)
    return sorted(made, key=lambda media: media.pk, reverse=True)


def pretend_kept(media: MediaFile) -> None:
    at = clock.now()
    MediaFile.objects.filter(pk=media.pk).update(
        object_key=f"x/{media.pk}", size_bytes=1, sealed_bytes=1, sha256="0" * 64, sealing="storage", mime="video/mp4",
        stored_at=at, prepared_at=at,
    )  # fmt: skip


def asked(workspace, query="", kinds=()) -> Remake:
    return remaking.ask(
        workspace.pk, query=query, kinds=kinds, reason="a newer ffmpeg", by="member:x", chosen_by=found_in
    )


async def go_on(run: Remake) -> None:
    await remaking.go_on(run.pk, chosen_by=found_in)
    await run.arefresh_from_db()


def deeds(run: Remake) -> list[str]:
    return list(AuditEntry.objects.of("remake", run.pk).order_by("number").values_list("action", flat=True))


async def test_a_run_goes_from_the_newest_file_to_the_oldest_and_counts(workspace, files, maker):
    run = await in_thread(asked, workspace, kinds=["mp4", "mp3"])
    assert run.total == 8
    await go_on(run)
    assert maker.made == [media.pk for media in files]
    assert maker.kinds[0] == ["mp3", "mp4"]
    assert (run.state, run.done, run.failed) == ("finished", 8, 0)
    assert (run.bytes_before, run.bytes_after) == (80, 32)
    assert await in_thread(deeds, run) == ["remake.started", "remake.finished"]


async def test_only_the_files_of_the_query_that_are_there_to_be_opened(workspace, files, maker):
    held, unprepared = files[1], files[3]
    await MediaFile.objects.filter(pk=held.pk).aupdate(held_at=clock.now())
    await MediaFile.objects.filter(pk=unprepared.pk).aupdate(prepared_at=None)
    videos = [media.pk for media in files if media.kind == "video"]
    run = await in_thread(asked, workspace, query="kind=video")
    await go_on(run)
    assert maker.made == [pk for pk in videos if pk not in (held.pk, unprepared.pk)]
    assert run.total == run.done == len(maker.made)


async def test_files_that_come_during_a_run_are_not_part_of_it(workspace, connection, files, maker):
    async def arrival() -> None:
        pretend = await sync_to_async(make_file)(connection)
        await in_thread(pretend_kept, pretend)

    run = await in_thread(asked, workspace)
    maker.acts[files[0].pk] = arrival
    await go_on(run)
    assert run.done == run.total == 8


@pytest.mark.parametrize(
    ("query", "kinds", "refusal"),
    [("kind=movie", (), UnknownWord), ("", ("mp5",), UnknownCopy), ("kind=sticker", (), NothingToRemake)],
)
async def test_what_cannot_be_done_is_refused_and_leaves_no_run(workspace, files, query, kinds, refusal):
    with pytest.raises(refusal):
        await in_thread(asked, workspace, query=query, kinds=kinds)
    assert not await Remake.objects.aexists()
    assert not await AuditEntry.objects.aexists()


async def test_one_bad_file_never_stops_a_run(workspace, files, maker):
    maker.acts = {
        files[1].pk: lambda: ValueError("a fault of ours"),
        files[2].pk: lambda: Gone("its key was destroyed"),
        files[4].pk: lambda: Made(failed=True),
        files[6].pk: lambda: NeedsPerson("object damaged"),
        files[7].pk: lambda: TryLater("never comes"),
    }
    run = await in_thread(asked, workspace)
    await go_on(run)
    assert (run.state, run.done, run.failed) == ("finished", 8, 5)


async def test_an_outage_lets_the_run_wait_without_counting_what_it_could_not_have(workspace, files, maker):
    maker.acts = dict.fromkeys([media.pk for media in files[3:]], lambda: StorageAway())
    run = await in_thread(asked, workspace)
    with pytest.raises(TryLater):
        await go_on(run)
    await run.arefresh_from_db()
    assert (run.state, run.done, run.failed) == ("running", 3, 0)
    maker.acts = {}
    await go_on(run)
    assert (run.state, run.done, run.failed) == ("finished", 8, 0)
    assert maker.made == [media.pk for media in files]


async def test_a_missing_tool_pauses_the_run_and_says_why(workspace, files, maker):
    maker.acts = dict.fromkeys([media.pk for media in files[2:]], lambda: ToolMissing())
    run = await in_thread(asked, workspace)
    await go_on(run)
    assert (run.state, run.done, run.failed) == ("paused", 2, 0)
    turn = (await in_thread(remaking.turns, [run]))[run.pk]
    assert (turn.action, turn.by, turn.reason) == ("remake.paused", remaking.BY, "tool_missing")


async def test_pausing_and_cancelling_take_effect_after_the_file_in_hand(workspace, files, maker):
    run = await in_thread(asked, workspace)
    maker.acts = {
        files[2].pk: lambda: in_thread(lambda: remaking.pause(Remake.objects.get(), "member:x")),
        files[4].pk: lambda: in_thread(lambda: remaking.cancel(Remake.objects.get(), "member:y")),
    }
    await go_on(run)
    assert (run.state, run.done) == ("paused", 3)
    await in_thread(remaking.resume, run, "member:x")
    await go_on(run)
    assert (run.state, run.done) == ("cancelled", 5)
    assert maker.made == [media.pk for media in files[:5]]
    assert await in_thread(deeds, run) == [
        "remake.started", "remake.paused", "remake.resumed", "remake.cancelled",
    ]  # fmt: skip
    for turn in (remaking.pause, remaking.resume, remaking.cancel):
        with pytest.raises(RemakeOver):
            await in_thread(turn, run, "member:x")


async def test_pausing_twice_is_one_deed(workspace, files):
    run = await in_thread(asked, workspace)
    for _ in range(2):
        await in_thread(remaking.pause, run, "member:x")
    assert (await in_thread(deeds, run)).count("remake.paused") == 1


async def test_two_workers_never_go_on_with_the_same_run(workspace, files, maker):
    is_here, may_go_on = asyncio.Event(), asyncio.Event()

    async def stay() -> None:
        maker.acts = {}  # a second worker would not stay
        is_here.set()
        await may_go_on.wait()

    run = await in_thread(asked, workspace)
    maker.acts[files[0].pk] = stay
    first = asyncio.create_task(remaking.go_on(run.pk, chosen_by=found_in))
    await is_here.wait()
    await remaking.go_on(run.pk, chosen_by=found_in)  # returns at once: it is somebody else's
    assert not maker.made
    may_go_on.set()
    await first
    assert maker.made == [media.pk for media in files]


async def test_a_worker_that_lost_its_claim_stops_and_nothing_is_counted_twice(workspace, files, maker):
    """The connection that holds the claim dies, another worker takes over and comes further, the first wakes up."""
    run = await in_thread(asked, workspace)

    async def be_overtaken() -> None:
        maker.acts = {files[5].pk: lambda: asyncio.CancelledError()}
        await in_thread(_end_the_claims)
        with pytest.raises(asyncio.CancelledError):
            await remaking.go_on(run.pk, chosen_by=found_in)

    maker.acts[files[2].pk] = be_overtaken
    await go_on(run)
    assert (run.state, run.done, run.after) == ("running", 5, files[4].pk)
    maker.acts = {}
    await go_on(run)
    assert (run.state, run.done, run.failed, run.bytes_before) == ("finished", 8, 0, 80)
    assert maker.made.count(files[2].pk) == 2
    assert len(maker.made) == 9


def _end_the_claims() -> None:
    with database.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND pid <> pg_backend_pid()"
        )


async def test_a_run_whose_worker_is_cancelled_goes_on_where_it_stood(workspace, files, maker):
    run = await in_thread(asked, workspace)
    maker.acts[files[5].pk] = lambda: asyncio.CancelledError()
    with pytest.raises(asyncio.CancelledError):
        await go_on(run)
    await run.arefresh_from_db()
    assert (run.state, run.done) == ("running", 5)
    maker.acts = {}
    await go_on(run)
    assert (run.state, run.done) == ("finished", 8)
    assert maker.made == [media.pk for media in files]


KILLED = """
    import asyncio, os, signal
    from uuid import UUID
    import django
    django.setup()
    from acervo.organise.address import found_in
    from acervo.prepare import remake, renditions

    class Made:
        bytes_before, bytes_after, failed = 10, 4, False

    seen = 0
    async def die_at_the_fourth(media_id, kinds=(), **_):
        global seen
        seen += 1
        if seen == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        return Made

    renditions.remake = die_at_the_fourth
    asyncio.run(remake.go_on(UUID("{run}"), chosen_by=found_in))
"""


async def test_a_run_survives_the_kill_of_its_process(workspace, files, maker):
    run = await in_thread(asked, workspace)
    script = textwrap.dedent(KILLED).format(run=run.pk)
    environment = {**os.environ, "DATABASE_URL": await in_thread(_address)}
    killed = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", script], env=environment)
    assert killed.returncode == -signal.SIGKILL
    await run.arefresh_from_db()
    assert (run.state, run.done, run.failed, run.bytes_before) == ("running", 3, 0, 30)
    await go_on(run)
    assert maker.made == [media.pk for media in files[3:]]
    assert (run.state, run.done, run.bytes_before, run.bytes_after) == ("finished", 8, 80, 32)


def _address() -> str:
    from urllib.parse import quote, urlencode

    known = database.get_connection_params()
    host = {"host": known["host"], "port": known.get("port") or 5432}
    secret = quote(known.get("password", ""), safe="")
    return f"postgresql://{quote(known['user'])}:{secret}@/{known['dbname']}?{urlencode(host)}"


def _waiting() -> int:
    with database.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'acervo:remake' AND status = 'todo'"
        )
        return int(cursor.fetchone()[0])


async def test_the_clock_starts_what_nobody_works_on(workspace, files):
    run = await in_thread(asked, workspace)
    paused = await in_thread(asked, workspace)
    await in_thread(remaking.pause, paused, "member:x")
    assert await in_thread(_waiting) == 0
    for _ in range(2):
        await in_thread(timetable._start_halted, set())
    assert await in_thread(_waiting) == 1
    await in_thread(_forget_jobs)
    await in_thread(timetable._start_halted, {str(run.pk)})
    assert await in_thread(_waiting) == 0


def _forget_jobs() -> None:
    with database.cursor() as cursor:
        cursor.execute("TRUNCATE procrastinate_jobs CASCADE")


async def test_a_run_and_its_job_begin_together_or_not_at_all(workspace, files):
    def begin_and_think_again() -> None:
        with transaction.atomic():
            journey.remake_files(workspace.pk, query="", kinds=(), reason="", by="member:x")
            transaction.set_rollback(True)

    await in_thread(begin_and_think_again)
    assert (await in_thread(_waiting), await Remake.objects.acount()) == (0, 0)
    run = await in_thread(
        lambda: journey.remake_files(workspace.pk, query="received=7d", kinds=(), reason="", by="member:x")
    )
    assert await in_thread(_waiting) == 1
    assert run.query.startswith("received=period&from=")


async def test_the_pace_is_of_the_time_it_really_ran(workspace, files, maker, monkeypatch):
    from datetime import timedelta

    run = await in_thread(asked, workspace)
    maker.acts[files[3].pk] = lambda: in_thread(lambda: remaking.pause(Remake.objects.get(), "member:x"))
    await go_on(run)
    start = clock.now()
    monkeypatch.setattr(clock, "now", lambda: start + timedelta(hours=9))
    await in_thread(remaking.resume, run, "member:x")
    await Remake.objects.filter(pk=run.pk).aupdate(done=6)
    await run.arefresh_from_db()
    monkeypatch.setattr(clock, "now", lambda: start + timedelta(hours=9, minutes=1))
    turn = (await in_thread(remaking.turns, [run]))[run.pk]
    assert turn.done == 4
    pace = remaking.pace(run, turn)
    assert pace is not None
    assert (round(pace.per_minute, 1), round(pace.left_s)) == (2.0, 60)


async def test_another_workspaces_files_are_never_touched(workspace, other_workspace, files, maker):
    theirs = await sync_to_async(make_connection)(other_workspace, "meta_cloud", account_id="106500000000009")
    stranger = await sync_to_async(make_file)(theirs)
    await in_thread(pretend_kept, stranger)
    run = await in_thread(asked, workspace)
    await go_on(run)
    assert stranger.pk not in maker.made


async def test_real_copies_follow_the_policy_of_today(workspace, connection):
    """The real tools and vault: an MP3 that is no longer wanted goes, with its object; then it comes back."""
    body = samples.read("voz-mesa.ogg")[0]
    media = await sync_to_async(lambda: keep(make_file(connection), body))()
    await MediaFile.objects.aupdate(prepared_at=None, mime=None, duration_s=None)
    await renditions.prepare(media.pk, lambda pk: None)
    made = await Rendition.objects.aget(kind="mp3")
    await MediaPolicy.objects.acreate(workspace=workspace, mp3="never", changed_by="member:x")
    run = await in_thread(asked, workspace)
    await go_on(run)
    assert (run.state, run.done, run.failed) == ("finished", 1, 0)
    assert (run.bytes_before, run.bytes_after) == (made.size_bytes, 0)
    assert not await Rendition.objects.aexists()
    await media.arefresh_from_db()
    prefix = "/".join(str(media.object_key).split("/")[:2])
    assert {item.key async for item in storage.configured().list(prefix)} == {media.object_key}
    await MediaPolicy.objects.aupdate(mp3="needed")
    again = await in_thread(asked, workspace, kinds=["mp3"])
    await go_on(again)
    back = await Rendition.objects.aget(kind="mp3")
    assert (again.bytes_before, again.bytes_after) == (0, back.size_bytes)
    assert len(await vault.read_all(back)) == back.size_bytes
