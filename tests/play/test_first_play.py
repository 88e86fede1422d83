"""A copy that is made at its first play: asked for once, waited for by everybody, and never waited for without end."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import UUID

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from procrastinate.contrib.django.models import ProcrastinateJob

from acervo.base import clock
from acervo.base.database import in_thread as database_threads
from acervo.models import MadeAt, MediaPolicy, RenditionKind, UnmadeRendition, When
from acervo.play import first_play
from acervo.prepare import renditions
from tests.play.conftest import ASKING, answered, cookies_of
from tests.play.test_door import make_rendition, play

pytestmark = pytest.mark.usefixtures("one_connection")

VOICE = Path(__file__).parents[1] / "corpus" / "voice_5s_16k.ogg"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(first_play, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(first_play, "WAIT_S", 0.2)


@pytest.fixture
def policy(workspace):
    def change(**wishes):
        facts = {"mp3_at": MadeAt.FIRST_PLAY, "mp4_at": MadeAt.FIRST_PLAY, "pages_at": MadeAt.FIRST_PLAY}
        return MediaPolicy.objects.create(workspace=workspace, changed_by="test", **(facts | wishes))

    return change


@pytest.fixture
def asked(monkeypatch):
    """What the journey was asked to make."""
    found = []
    monkeypatch.setattr(first_play.journey, "start_copies", lambda media, kinds: found.append((media, kinds)))
    return found


@pytest.fixture
def made_when_asked(monkeypatch, asked):
    """A worker that makes whatever is asked for."""

    def make(media_id, kinds):
        asked.append((media_id, kinds))
        media = first_play.MediaFile.objects.filter(pk=media_id).first()
        make_rendition(media, RenditionKind.MP3, b"ID3 made when asked", "audio/mpeg")

    monkeypatch.setattr(first_play.journey, "start_copies", lambda *what: waiting.append(what))
    waiting = []

    real = first_play._is_made

    def look(media_id, kind):
        while waiting:
            make(*waiting.pop())
        return real(media_id, kind)

    monkeypatch.setattr(first_play, "_is_made", look)
    return asked


def test_the_first_player_waits_and_gets_the_copy(ask, alice, kept_file, policy, made_when_asked):
    policy()
    media = kept_file()
    answer = ask(alice, play(media, "mp3"), range="bytes=4-7")
    assert (answer.status_code, answer.content) == (206, b"made")
    assert made_when_asked == [(media.pk, ["mp3"])]
    assert ask(alice, play(media, "mp3")).status_code == 200
    assert len(made_when_asked) == 1


def test_fifty_players_ask_once(alice, kept_file, policy, made_when_asked):
    policy()
    media = kept_file()
    cookies = cookies_of(alice)

    async def fifty():
        return await asyncio.gather(*(answered(cookies, play(media, "mp3")) for _ in range(50)))

    answers = async_to_sync(fifty)()
    assert {answer.content for answer in answers} == {b"ID3 made when asked"}
    assert len(made_when_asked) == 1


def test_other_players_are_served_while_some_wait(alice, kept_file, policy, asked):
    policy()
    media = kept_file(body=b"OggS")
    cookies = cookies_of(alice)

    async def both():
        waiting = asyncio.create_task(answered(cookies, play(media, "mp3")))
        await asyncio.sleep(0)
        served = await answered(cookies, play(media))
        return served, waiting.done(), await waiting

    served, was_over, gave_up = async_to_sync(both)()
    assert (served.content, was_over, gave_up.status_code) == (b"OggS", False, 503)


def test_waiting_ends_with_a_sentence_and_a_time_to_come_again(ask, alice, kept_file, policy, asked):
    policy()
    answer = ask(alice, play(kept_file(), "mp3"))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "3")
    assert "being made" in answer.text
    assert answer.headers["cache-control"] == "private, no-store"


def test_a_copy_that_cannot_be_made_is_not_waited_for(ask, alice, kept_file, policy, monkeypatch):
    policy()
    media = kept_file()

    def fail(media_id, kinds):
        UnmadeRendition.objects.create(media=media, kind="mp3", reason="tool_failed", tried_at=clock.now())

    monkeypatch.setattr(first_play.journey, "start_copies", fail)
    monkeypatch.setattr(first_play, "WAIT_S", 60)
    assert ask(alice, play(media, "mp3")).status_code == 404


@pytest.mark.parametrize(
    ("what", "wishes", "facts"),
    [
        ("mp3", {"mp3": When.NEVER}, {}),
        ("mp3", {}, {"mime": "audio/mpeg"}),  # plays everywhere as it is
        ("mp4", {}, {}),  # of a sound
        ("mp3", {}, {"mime": "video/mp4"}),
        ("poster", {}, {"mime": "video/mp4"}),
        ("page-1", {}, {"mime": "application/pdf"}),  # nobody knows of any page
        ("mp3", {}, {"mime": "application/octet-stream"}),
    ],
)
def test_nothing_is_made_that_the_workspace_does_not_want(
    ask, alice, kept_file, policy, asked, what, wishes, facts
):
    policy(**wishes)
    assert ask(alice, play(kept_file(**facts), what)).status_code == 404
    assert not asked


def test_what_was_tried_in_vain_is_not_tried_at_each_play(ask, alice, kept_file, policy, asked):
    policy()
    media = kept_file()
    UnmadeRendition.objects.create(media=media, kind="mp3", reason="tool_failed", tried_at=clock.now())
    assert ask(alice, play(media, "mp3")).status_code == 404
    assert not asked


def test_strangers_let_nothing_be_made(ask, charlie, kept_file, policy, asked):
    policy()
    assert ask(charlie, play(kept_file(), "mp3")).status_code == 404
    assert ask(None, play(kept_file(), "mp3")).status_code == 404
    assert not asked


def test_pages_are_made_together_and_none_beyond_the_last(ask, alice, kept_file, policy, asked):
    policy()
    media = kept_file(kind="document", mime="application/pdf")
    first_play.MediaFile.objects.filter(pk=media.pk).update(page_count=3)
    assert ask(alice, play(media, "page-2")).status_code == 503
    assert asked == [(media.pk, ["page"])]
    assert ask(alice, play(media, "page-4")).status_code == 404
    assert len(asked) == 1


@pytest.mark.django_db(transaction=True)
def test_the_journey_is_really_asked_and_once(alice, kept_file, policy):
    """With the real queue: however many ask, one job waits."""
    policy()
    media = kept_file()
    for _ in range(3):
        async_to_sync(_come)(media)
    jobs = ProcrastinateJob.objects.filter(task_name="acervo:copies")
    assert [job.args for job in jobs] == [{"media": str(media.pk), "kinds": ["mp3"]}]


async def _come(media):
    assert not await first_play.come(media, "mp3")
    await sync_to_async(lambda: None)()


@pytest.mark.django_db(transaction=True)
def test_a_real_note_is_made_playable_while_its_player_waits(alice, kept_file, policy, monkeypatch):
    """The door, the queue and ffmpeg: what the first player gets is an MP3 that was not there when it asked."""
    for module in ASKING:
        monkeypatch.setattr(module, "in_thread", database_threads)
    monkeypatch.setattr(first_play, "WAIT_S", 60)
    policy()
    media = kept_file(body=VOICE.read_bytes(), audio_codec="opus")
    cookies = cookies_of(alice)

    async def play_and_work():
        waiting = asyncio.create_task(answered(cookies, play(media, "mp3"), headers={"range": "bytes=0-1"}))
        while not await database_threads(ProcrastinateJob.objects.filter(task_name="acervo:copies").exists):
            await asyncio.sleep(0.05)
        job = await database_threads(ProcrastinateJob.objects.get, task_name="acervo:copies")
        await renditions.make_missing(UUID(job.args["media"]), job.args["kinds"])
        return await waiting

    answer = async_to_sync(play_and_work)()
    assert answer.status_code == 206
    assert answer.headers["content-type"] == "audio/mpeg"
    assert answer.content[0] == 0xFF, "a frame of MPEG audio begins so"
