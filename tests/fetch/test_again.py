"""A damaged file that nothing but its own sound can prove is fetched once more, and the better copy is kept."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async

from acervo import journey
from acervo.base import clock
from acervo.fetch import again
from acervo.fetch import download as downloading
from acervo.fetch.download import Downloaded
from acervo.keep import storage, vault
from acervo.keep.storage import ObjectMissing
from acervo.models import AuditEntry, Connection, MediaFile, MediaPolicy
from acervo.prepare import renditions, second_copy
from acervo.providers.contract import MediaGone, ProviderBusy
from tests.conftest import keep, make_connection, make_file

pytestmark = pytest.mark.django_db(transaction=True)
WHOLE = (Path(__file__).parents[1] / "corpus" / "voice_5s_16k.ogg").read_bytes()
CUT = WHOLE[: len(WHOLE) // 2]


class Provider:
    """What comes when the file is asked for a second time."""

    def __init__(self) -> None:
        self.body = WHOLE
        self.trouble: Exception | None = None
        self.asked = 0


@pytest.fixture
def provider(monkeypatch) -> Provider:
    made = Provider()

    async def download(line: Any, claim: Any, place: vault.Place) -> Downloaded:
        made.asked += 1
        if made.trouble:
            raise made.trouble
        return Downloaded(await vault.store(place, made.body))

    monkeypatch.setattr(again, "download", download)
    return made


@pytest.fixture
def twilio(workspace) -> Connection:
    MediaPolicy.objects.create(workspace=workspace, mp3="never", changed_by="test")
    return make_connection(
        workspace, "twilio", account_id="+15555550123", secrets={"auth_token": "t"},
        options={"account_sid": "AC" + "0" * 32},
    )  # fmt: skip


@pytest.fixture
def damaged(twilio) -> MediaFile:
    media = keep(make_file(twilio), CUT)
    MediaFile.objects.update(prepared_at=None)
    async_to_sync(renditions.prepare)(media.pk, lambda pk: None)
    media.refresh_from_db()
    assert media.is_damaged
    return media


def look_again(media: MediaFile) -> MediaFile:
    async_to_sync(journey.fetch_again.func)(str(media.pk))
    media.refresh_from_db()
    return media


def is_there(object_key: str | None) -> bool:
    try:
        async_to_sync(storage.configured().get_range)(object_key or "", 0, 1)
    except ObjectMissing:
        return False
    return True


def test_a_whole_copy_takes_the_place_of_the_damaged_one(damaged, provider):
    first = damaged.object_key
    media = look_again(damaged)
    assert (media.is_damaged, media.size_bytes) == (False, len(WHOLE))
    assert async_to_sync(vault.read_all)(media) == WHOLE
    assert not is_there(first)
    assert media.fetched_again_at is not None
    entry = AuditEntry.objects.get(action="file.fetched_again")
    assert entry.details == {"size_bytes": len(WHOLE), "damaged_bytes": len(CUT)}
    look_again(media)
    assert provider.asked == 1


def test_the_same_bytes_mean_that_it_was_sent_so(damaged, provider):
    provider.body = CUT
    first = damaged.object_key
    media = look_again(look_again(damaged))
    assert (media.object_key, media.is_damaged, provider.asked) == (first, True, 1)
    assert is_there(first)


def test_a_worse_copy_is_thrown_away(damaged, provider, monkeypatch):
    provider.body = WHOLE[: len(WHOLE) // 4]
    stored: list[str] = []
    choose = second_copy.choose

    async def noting(media_id: Any, second: Any, on_prepared: Any) -> None:
        stored.append(second.object_key)
        await choose(media_id, second, on_prepared)

    monkeypatch.setattr(second_copy, "choose", noting)
    first = damaged.object_key
    media = look_again(look_again(damaged))
    assert (media.object_key, provider.asked) == (first, 1)
    assert [is_there(key) for key in stored] == [False]


def test_a_provider_that_has_it_no_more_ends_it(damaged, provider):
    provider.trouble = MediaGone()
    media = look_again(look_again(damaged))
    assert (media.fetched_again_at is not None, media.stored_at is not None, provider.asked) == (
        True,
        True,
        1,
    )


def test_a_busy_provider_is_asked_again_later(damaged, provider):
    provider.trouble = ProviderBusy(after_s=5)
    with pytest.raises(ProviderBusy):
        look_again(damaged)
    provider.trouble = None
    assert not look_again(damaged).is_damaged


@pytest.mark.parametrize(
    "facts",
    [
        {"is_damaged": False},
        {"fetch_before": clock.now() - timedelta(hours=1)},
        {"provider_id": ""},
        {"erase_asked_at": clock.now()},
    ],
)
def test_these_are_not_fetched_again(damaged, provider, facts):
    MediaFile.objects.update(**facts)
    assert again.worth_another_look([damaged.pk]) == []
    look_again(damaged)
    assert provider.asked == 0


def test_neither_is_a_file_with_the_providers_hash_nor_one_whose_failures_count(damaged, provider, workspace):
    MediaFile.objects.update(announced_sha256=damaged.sha256)
    assert again.worth_another_look([damaged.pk]) == []
    careful = make_connection(workspace, "dialog360", account_id="360", secrets={"api_key": "k"})
    MediaFile.objects.update(announced_sha256=None, connection=careful)
    assert again.worth_another_look([damaged.pk]) == []


def test_what_the_scanner_does_not_find_clean_is_never_looked_into(damaged, provider, monkeypatch):
    async def infected(candidate: MediaFile) -> bool:
        return False

    async def never(*args: Any, **options: Any) -> Any:
        raise AssertionError("somebody looked into it")

    monkeypatch.setattr(second_copy.scan, "is_clean", infected)
    monkeypatch.setattr(second_copy, "work_on", never)
    media = look_again(damaged)
    assert (media.is_damaged, media.fetched_again_at is not None) == (True, True)


def test_preparing_a_damaged_file_asks_for_it_and_deletes_no_copy_before(damaged, provider, twilio):
    Connection.objects.update(options={**twilio.options, "forgets": "all"})
    journey._prepared(damaged.pk)
    damaged.refresh_from_db()
    assert damaged.forget_asked_at is None
    provider.body = CUT
    assert look_again(damaged).forget_asked_at is not None


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ('attachment; filename="contrato.pdf"', "contrato.pdf"),
        ("attachment; filename*=UTF-8''contrato%20%C3%A3.pdf", "contrato ã.pdf"),
        ('attachment; filename="../../etc/passwd"', "passwd"),
        ('attachment; filename="C:\\\\temp\\\\x.pdf"', "x.pdf"),
        ('attachment; filename="a\tb\x00.pdf"', "ab.pdf"),
        ('attachment; filename="..."', None),
        ("attachment", None),
        ("", None),
        (None, None),
        ('inline; filename="' + "a" * 600 + '"', "a" * 512),
    ],
)
def test_the_name_of_last_resort_is_a_name_and_nothing_else(told, name):
    assert downloading._name(downloading.Kind.DOCUMENT, told) == name
    assert downloading._name(downloading.Kind.VOICE, told) is None


async def test_the_senders_name_comes_before_the_servers(workspace, connection, monkeypatch):
    from acervo.fetch import capture

    named = await sync_to_async(make_file)(connection, kind="document", file_name="do cliente.pdf")
    nameless = await sync_to_async(make_file)(connection, kind="document")

    async def download(line: Any, claim: Any, place: vault.Place) -> Downloaded:
        return Downloaded(await vault.store(place, b"%PDF"), served_name="do servidor.pdf")

    monkeypatch.setattr(capture, "download", download)
    await capture.capture_due(lambda files: None, concurrency=2)
    await named.arefresh_from_db()
    await nameless.arefresh_from_db()
    assert (named.file_name, nameless.file_name) == ("do cliente.pdf", "do servidor.pdf")
