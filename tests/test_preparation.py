"""From a kept file to a ready one: its facts and copies appear together, once, and the CRMs are promised. Later copies
are made one by one, or all anew."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from acervo import journey
from acervo.base.database import in_thread
from acervo.keep import storage, vault
from acervo.models import (
    Connection,
    Delivery,
    MediaFile,
    MediaPolicy,
    Rendition,
    UnmadeRendition,
    Workspace,
)
from acervo.prepare import limits, previews, renditions
from acervo.prepare.isolation import Limits, ToolTimedOut
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
    async def slow(*arguments: Any, **options: Any) -> Any:
        raise ToolTimedOut()

    monkeypatch.setattr(renditions, "examine", slow)
    media = await sync_to_async(unprepared)("voz-mesa.ogg", "voice")
    with pytest.raises(ToolTimedOut):
        await renditions.prepare(media.pk, lambda pk: None, is_last_try=False)
    await renditions.prepare(media.pk, lambda pk: None, is_last_try=True)
    await media.arefresh_from_db()
    assert (media.state, media.mime, media.is_damaged) == ("ready", "audio/ogg", True)
    assert await reasons(media) == {"mp3": "too_much"}


async def test_the_facts_of_a_film_are_written_down(unprepared: Callable[..., MediaFile]) -> None:
    film = await sync_to_async(unprepared)("video-lavadora.mp4", "video")
    await renditions.prepare(film.pk, lambda pk: None)
    await film.arefresh_from_db()
    assert (film.video_codec, film.audio_codec, film.rotation) == ("h264", "aac", 0)
    assert (film.width, film.height, film.is_animated) == (640, 400, False)
    assert film.bit_rate == pytest.approx(8 * film.size_bytes / film.duration_s, rel=0.001)
    assert -60 < film.loudness_lufs < -5


# ── copies made later ──


async def test_what_waits_for_its_first_play_is_made_then_once(
    unprepared: Callable[..., MediaFile], workspace: Workspace
) -> None:
    await policy_of(workspace, mp3_at="first_play")
    media = await prepared(unprepared, "voz-mesa.ogg", "voice")
    assert await kinds(media) == set()
    await asyncio.gather(*(renditions.make_missing(media.pk, ["mp3"]) for _ in range(2)))
    assert await kinds(media) == {"mp3"}
    made = await Rendition.objects.aget(media=media)
    await renditions.make_missing(media.pk, ["mp3"])
    assert (await Rendition.objects.aget(media=media)).pk == made.pk
    assert len(await vault.read_all(made)) == made.size_bytes
    assert await stored(media) == {media.object_key, made.object_key}


async def test_what_the_policy_does_not_want_is_not_made_on_demand_either(
    unprepared: Callable[..., MediaFile], workspace: Workspace
) -> None:
    await policy_of(workspace, mp3="never")
    media = await prepared(unprepared, "voz-mesa.ogg", "voice")
    await renditions.make_missing(media.pk, ["mp3", "mp4", "page"])
    assert await kinds(media) == set()
    # Whoever asks once more need not wait to hear it.
    assert await reasons(media) == dict.fromkeys(["mp3", "mp4", "page"], "not_needed")


async def test_a_copy_made_at_last_takes_back_that_it_was_not(
    unprepared: Callable[..., MediaFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    media = await prepared(unprepared, "voz-mesa.ogg", "voice")
    await sync_to_async(Rendition.objects.filter(media=media).delete)()
    await UnmadeRendition.objects.acreate(
        media=media, kind="mp3", reason="too_much", tried_at=media.prepared_at
    )
    await renditions.make_missing(media.pk, ["mp3"])
    assert (await kinds(media), await reasons(media)) == ({"mp3"}, {})


async def test_the_pages_of_a_document_are_made_when_somebody_opens_it(
    unprepared: Callable[..., MediaFile], workspace: Workspace
) -> None:
    await policy_of(workspace, pages_at="first_play")
    media = await prepared(unprepared, "contrato-fibra.pdf", "document")
    assert (media.page_count, await kinds(media)) == (1, {"thumb_96", "thumb_320", "thumb_640"})
    await renditions.make_missing(media.pk, ["page"])
    page = await Rendition.objects.aget(media=media, kind="page")
    assert (page.page, page.what) == (1, "page-1")
    assert (await vault.read_all(page))[8:12] == b"WEBP"


async def test_a_file_in_quarantine_is_not_touched(unprepared: Callable[..., MediaFile]) -> None:
    media = await sync_to_async(unprepared)("voz-mesa.ogg", "voice")
    at = media.stored_at
    await MediaFile.objects.filter(pk=media.pk).aupdate(held_at=at, scanned_at=at, infection="Eicar")
    await renditions.prepare(media.pk, lambda pk: None)
    await media.arefresh_from_db()
    assert media.prepared_at is None


# ── copies made anew ──


async def test_remaking_replaces_the_copies_and_leaves_no_object_behind(
    unprepared: Callable[..., MediaFile],
) -> None:
    media = await prepared(unprepared, "voz-mesa.ogg", "voice")
    old = await Rendition.objects.aget(media=media)
    remade = await renditions.remake(media.pk)
    new = await Rendition.objects.aget(media=media)
    assert remade == renditions.Remade(old.size_bytes, new.size_bytes, failed=False)
    assert new.object_key != old.object_key
    assert await stored(media) == {media.object_key, new.object_key}
    assert len(await vault.read_all(new)) == new.size_bytes


async def test_remaking_drops_what_is_no_longer_wanted_and_keeps_pictures_for_lists(
    unprepared: Callable[..., MediaFile], workspace: Workspace
) -> None:
    note = await prepared(unprepared, "voz-mesa.ogg", "voice")
    photo = await prepared(unprepared, "foto-caneca.jpg", "image")
    before = (await Rendition.objects.aget(media=note)).size_bytes
    await policy_of(workspace, mp3="never")
    assert await renditions.remake(note.pk) == renditions.Remade(before, 0, failed=False)
    await renditions.remake(photo.pk)
    assert await kinds(note) == set()
    assert await stored(note) == {
        note.object_key,
        photo.object_key,
        *(await kinds_and_keys(photo)).values(),
    }
    assert await kinds(photo) == {"thumb_96", "thumb_320", "thumb_640"}


async def test_remaking_some_kinds_leaves_the_others_as_they_are(
    unprepared: Callable[..., MediaFile],
) -> None:
    photo = await prepared(unprepared, "foto-caneca.jpg", "image")
    before = await kinds_and_keys(photo)
    await renditions.remake(photo.pk, ["thumb_96"])
    after = await kinds_and_keys(photo)
    assert before.keys() == after.keys()
    assert {kind for kind in before if before[kind] != after[kind]} == {"thumb_96"}


async def test_remaking_does_not_make_what_nobody_played_yet(
    unprepared: Callable[..., MediaFile], workspace: Workspace
) -> None:
    await policy_of(workspace, mp3_at="first_play")
    media = await prepared(unprepared, "voz-mesa.ogg", "voice")
    await renditions.remake(media.pk)
    assert await kinds(media) == set()
    await renditions.remake(media.pk, ["mp3"])
    first = await kinds_and_keys(media)
    await renditions.remake(media.pk)
    second = await kinds_and_keys(media)
    assert first.keys() == second.keys() == {"mp3"}
    assert first != second


async def test_a_copy_that_fails_leaves_the_old_one(
    unprepared: Callable[..., MediaFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    media = await prepared(unprepared, "foto-caneca.jpg", "image")
    before = await kinds_and_keys(media)

    async def nothing_works(*arguments: Any, **options: Any) -> Any:
        outcome = await previews.examine(*arguments, **options)
        outcome.unmade = [previews.Unmade(made.kind, "tool_failed") for made in outcome.made]
        outcome.made = []
        return outcome

    monkeypatch.setattr(renditions, "examine", nothing_works)
    assert await renditions.remake(media.pk) == renditions.Remade(0, 0, failed=True)
    assert await kinds_and_keys(media) == before


async def test_a_file_that_takes_too_long_today_keeps_its_facts_and_copies(
    unprepared: Callable[..., MediaFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    media = await prepared(unprepared, "voz-mesa.ogg", "voice")
    before = await kinds_and_keys(media)
    monkeypatch.setattr(limits, "DECODING", Limits(wall_s=0.01))
    assert await renditions.remake(media.pk) == renditions.Remade(0, 0, failed=True)
    again = await MediaFile.objects.aget(pk=media.pk)
    assert (again.is_damaged, again.duration_s) == (False, media.duration_s)
    assert await kinds_and_keys(media) == before
    with pytest.raises(ToolTimedOut):
        await renditions.remake(media.pk, is_last_try=False)


async def test_remaking_writes_down_the_facts_a_file_of_old_lacks(
    unprepared: Callable[..., MediaFile],
) -> None:
    media = await prepared(unprepared, "voz-mesa.ogg", "voice")
    facts = (media.audio_codec, media.loudness_lufs, media.bit_rate)
    await MediaFile.objects.filter(pk=media.pk).aupdate(audio_codec=None, loudness_lufs=None, bit_rate=None)
    await renditions.remake(media.pk)
    again = await MediaFile.objects.aget(pk=media.pk)
    assert (again.audio_codec, again.loudness_lufs, again.bit_rate) == facts
    assert again.changed_at > media.changed_at
    await renditions.remake(media.pk)
    assert (await MediaFile.objects.aget(pk=media.pk)).changed_at == again.changed_at


async def prepared(unprepared: Callable[..., MediaFile], name: str, kind: str) -> MediaFile:
    media = await sync_to_async(unprepared)(name, kind)
    await renditions.prepare(media.pk, lambda pk: None)
    await media.arefresh_from_db()
    return media


async def policy_of(workspace: Workspace, **wishes: str) -> None:
    await MediaPolicy.objects.acreate(workspace=workspace, changed_by="test", **wishes)


async def kinds(media: MediaFile) -> set[str]:
    return {kind async for kind in Rendition.objects.filter(media=media).values_list("kind", flat=True)}


async def kinds_and_keys(media: MediaFile) -> dict[str, str]:
    return {row.kind: row.object_key async for row in Rendition.objects.filter(media=media)}


async def reasons(media: MediaFile) -> dict[str, str]:
    return {row.kind: row.reason async for row in UnmadeRendition.objects.filter(media=media)}


async def stored(media: MediaFile) -> set[str]:
    """Every object of the workspace."""
    prefix = "/".join(media.object_key.split("/")[:2])
    return {item.key async for item in storage.configured().list(prefix)}


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
