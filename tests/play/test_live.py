"""News: sent when something changed that the member may see, and to nobody else."""

import asyncio

import pytest
from asgiref.sync import async_to_sync, sync_to_async

from acervo.base import clock
from acervo.models import MediaFile
from acervo.play import live, session

pytestmark = pytest.mark.usefixtures("one_connection")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(live, "LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(live, "HEARTBEAT_S", 0.3)
    session.forget_everybody()


def heard(member, while_listening, wanted=2):
    """The first parts of a member's stream, while something happens."""

    async def listen():
        watch = live.Watch()
        stream = watch.events(member)
        parts = [await anext(stream)]
        await sync_to_async(while_listening)()
        while len(parts) < wanted:
            parts.append(await asyncio.wait_for(anext(stream), 10))
        await stream.aclose()
        watch.stop()
        await watch.finished()
        return parts

    return async_to_sync(listen)()


def change(media):
    return lambda: MediaFile.objects.filter(pk=media.pk).update(changed_at=clock.now())


def old(kept_file, **facts):
    media = kept_file(**facts)
    MediaFile.objects.filter(pk=media.pk).update(changed_at="2026-01-01T00:00:00Z")
    return media


def test_a_change_is_told(alice, kept_file):
    parts = heard(alice, change(old(kept_file)))
    assert "event: ready" in parts[0]
    assert "event: changed" in parts[1]


def test_nothing_new_is_a_heartbeat(alice, kept_file):
    old(kept_file)
    assert heard(alice, lambda: None)[1] == ": still here\n\n"


def test_another_workspace_is_told_nothing(charlie, kept_file):
    assert heard(charlie, change(old(kept_file)))[1] == ": still here\n\n"


def test_an_agent_is_not_told_of_what_the_team_does_not_show(bob, team, kept_file):
    hidden = old(kept_file, kind="document", mime="application/pdf")
    assert heard(bob, change(hidden))[1] == ": still here\n\n"
    assert "event: changed" in heard(bob, change(old(kept_file, kind="voice")))[1]


def test_stopping_ends_every_stream(alice):
    async def listen():
        watch = live.Watch()
        stream = watch.events(alice)
        await anext(stream)
        asyncio.get_running_loop().call_later(0.05, watch.stop)
        rest = [part async for part in stream]
        await watch.finished()
        return rest

    assert async_to_sync(listen)() == []
