"""From a kept file to a ready one: its facts and copies appear together, once, and the CRMs are promised."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from asgiref.sync import sync_to_async

from acervo import journey
from acervo.base.database import in_thread
from acervo.keep import storage, vault
from acervo.models import Connection, Delivery, MediaFile, Rendition, Workspace
from acervo.prepare import inspection, renditions
from acervo.prepare.isolation import ToolTimedOut
from sandbox import samples
from tests.conftest import keep, make_connection, make_file

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def unprepared(connection: Connection) -> Callable[..., MediaFile]:
    def make(name: str, kind: str) -> MediaFile:
        media = keep(make_file(connection, kind=kind), samples.read(name)[0])
        MediaFile.objects.filter(pk=media.pk).update(prepared_at=None, mime=None, duration_s=None)
        media.refresh_from_db()
        return media

    return make


async def test_a_voice_note_gets_duration_waveform_and_an_mp3_that_opens(
    unprepared: Callable[..., MediaFile],
) -> None:
    media = await sync_to_async(unprepared)("voz-entrega.ogg", "voice")
    await renditions.prepare(media.pk, lambda pk: None)
    await media.arefresh_from_db()
    assert (media.state, media.mime) == ("ready", "audio/ogg")
    assert media.duration_s is not None
    assert len(media.waveform) == 160
    mp3 = await Rendition.objects.aget(media=media, kind="mp3")
    assert len(await vault.read_all(mp3)) == mp3.size_bytes


async def test_a_video_gets_a_poster_and_a_picture_its_thumbnails(
    unprepared: Callable[..., MediaFile],
) -> None:
    film = await sync_to_async(unprepared)("video-sofa.mp4", "video")
    photo = await sync_to_async(unprepared)("foto-caneca.jpg", "image")
    for media in (film, photo):
        await renditions.prepare(media.pk, lambda pk: None)
    kinds = {(r.media_id, r.kind) async for r in Rendition.objects.all()}
    assert {
        (film.pk, "poster"),
        (film.pk, "thumb_320"),
        (photo.pk, "thumb_320"),
        (photo.pk, "thumb_640"),
    } <= kinds


async def test_two_workers_at_once_leave_one_set_of_copies_and_no_orphans(
    unprepared: Callable[..., MediaFile],
) -> None:
    import asyncio

    media = await sync_to_async(unprepared)("voz-mesa.ogg", "voice")
    told: list[object] = []
    await asyncio.gather(*(renditions.prepare(media.pk, told.append) for _ in range(2)))
    assert told == [media.pk]
    owned = {key async for key in Rendition.objects.values_list("object_key", flat=True)}
    await media.arefresh_from_db()
    prefix = "/".join(media.object_key.split("/")[:2])
    assert {item.key async for item in storage.configured().list(prefix)} == owned | {media.object_key}


async def test_a_tool_that_runs_out_of_time_is_tried_again_and_then_leaves_the_file_as_it_is(
    unprepared: Callable[..., MediaFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow(path: Path, kind: str | None) -> inspection.Facts:
        raise ToolTimedOut()

    monkeypatch.setattr(renditions, "inspect", slow)
    media = await sync_to_async(unprepared)("voz-mesa.ogg", "voice")
    with pytest.raises(ToolTimedOut):
        await renditions.prepare(media.pk, lambda pk: None, is_last_try=False)
    await renditions.prepare(media.pk, lambda pk: None, is_last_try=True)
    await media.arefresh_from_db()
    assert (media.state, media.mime, media.is_damaged) == ("ready", "audio/ogg", True)


async def test_a_ready_file_is_promised_to_the_crm_and_a_job_waits(
    unprepared: Callable[..., MediaFile], workspace: Workspace
) -> None:
    await sync_to_async(make_connection)(workspace, "fake", purpose="crm", account_id="portal")
    media = await sync_to_async(unprepared)("foto-caneca.jpg", "image")
    await renditions.prepare(media.pk, journey._prepared)
    assert await Delivery.objects.filter(media=media).acount() == 1
    assert await in_thread(_waiting, "deliver") == 1


def _waiting(queue: str) -> int:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM procrastinate_jobs WHERE queue_name = %s AND status = 'todo'", [queue]
        )
        return int(cursor.fetchone()[0])
