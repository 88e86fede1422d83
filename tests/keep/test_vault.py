"""THE FLOOR: what goes in comes out, proven; what is not proven never goes in."""

from __future__ import annotations

import hashlib
import os
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from acervo.base import clock, ids
from acervo.keep import vault
from acervo.keep.keys import OpenKey
from acervo.keep.sealing import ObjectDamaged, sealed_size
from acervo.keep.storage import ObjectMissing
from acervo.keep.vault import Place, TooLarge
from acervo.models import MediaFile, Rendition
from tests.keep import tink_oracle
from tests.keep.conftest import names

MIB = 1024 * 1024
SIZES = [0, 1, 30_000, 65_480, MIB, 3 * MIB + 17]


class MismatchError(Exception):
    """Stands for a hash that is not the one the provider announced."""


def place_for(open_key, sealing="acervo", media_id=None, kind=vault.ORIGINAL):
    key = open_key if sealing == "acervo" else None
    return Place(open_key.workspace_id, media_id or ids.new(), kind, sealing, key)


async def chunked(plain, step=70_000):
    for start in range(0, len(plain), step):
        yield plain[start : start + step]


async def keep(open_key, plain, sealing="acervo"):
    """Stored bytes and the row that owns them; no database is needed to read a row."""
    place = place_for(open_key, sealing)
    stored = await vault.store(place, chunked(plain))
    return MediaFile(id=place.object_id, **stored.columns())


async def read(row, start=0, stop=None):
    return b"".join([piece async for piece in vault.read(row, start, stop)])


@pytest.mark.parametrize("sealing", ["acervo", "storage"])
@pytest.mark.parametrize("size", SIZES)
async def test_what_was_stored_comes_back_whole_and_in_part(storage, open_key, size, sealing):
    plain = os.urandom(size)
    row = await keep(open_key, plain, sealing)
    assert await vault.read_all(row) == plain
    assert await read(row, size // 3, size // 2) == plain[size // 3 : size // 2]
    assert await read(row, max(0, size - 500)) == plain[max(0, size - 500) :]
    assert await read(row, size) == b""


@pytest.mark.parametrize("is_whole", [True, False])
async def test_the_facts_of_what_was_stored_are_true(storage, open_key, is_whole):
    plain = os.urandom(200_000)
    stored = await vault.store(place_for(open_key), plain if is_whole else chunked(plain))
    assert stored.size_bytes == 200_000
    assert stored.sealed_bytes == sealed_size(200_000) == await storage.size(stored.object_key)
    assert stored.sha256 == hashlib.sha256(plain).hexdigest()
    assert stored.data_key_id == open_key.id


async def test_what_lies_in_the_store_is_a_tink_object_sealed_for_this_very_file(storage, open_key):
    plain, place = os.urandom(100_000), place_for(open_key)
    stored = await vault.store(place, plain)
    lying = await storage.get_range(stored.object_key, 0, stored.sealed_bytes)
    aad = f"{open_key.workspace_id}/{open_key.id}/{place.object_id}/original/1".encode()
    assert tink_oracle.unseal(open_key.key, aad, lying) == plain
    assert stored.seal_header == lying[:40]


async def test_with_storage_sealing_the_store_gets_the_plain_bytes_and_no_key(storage, open_key):
    plain = os.urandom(100_000)
    stored = await vault.store(place_for(open_key, "storage"), plain)
    assert await storage.get_range(stored.object_key, 0, 100_000) == plain
    assert (stored.seal_header, stored.data_key_id) == (None, None)


async def test_no_object_key_is_used_twice_or_tells_of_a_person(folder, open_key):
    place = place_for(open_key)
    keys = {(await vault.store(place, b"same")).object_key for _ in range(20)}
    assert len(keys) == 20
    folder_of_all = f"ws/{ids.text(open_key.workspace_id)}/{clock.now():%Y/%m}"
    assert {key.rsplit("/", 1)[0] for key in keys} == {folder_of_all}


@pytest.mark.parametrize("sealing", ["acervo", "storage"])
@pytest.mark.parametrize("size", [1_000, 3 * MIB, 12 * MIB])
async def test_what_fails_its_proof_leaves_nothing(storage, open_key, size, sealing):
    plain = os.urandom(size)

    def refuse(size_bytes, sha256):
        assert (size_bytes, sha256) == (size, hashlib.sha256(plain).hexdigest())
        raise MismatchError

    for body in (plain, chunked(plain)):
        with pytest.raises(MismatchError):
            await vault.store(place_for(open_key, sealing), body, verify=refuse)
    assert await names(storage) == set()
    assert await storage.delete_leftovers(clock.now() + timedelta(hours=1)) == 0


@pytest.mark.parametrize("size", [1_001, 3 * MIB])
async def test_a_file_over_the_limit_leaves_nothing(storage, open_key, size):
    with pytest.raises(TooLarge):
        await vault.store(place_for(open_key), chunked(os.urandom(size)), limit_bytes=size - 1)
    assert await names(storage) == set()
    assert (await vault.store(place_for(open_key), bytes(size), limit_bytes=size)).size_bytes == size


async def test_a_rendition_is_bound_to_its_file_and_kind(folder, open_key):
    place = place_for(open_key, kind="mp3")
    stored = await vault.store(place, b"sound")
    assert (
        await vault.read_all(Rendition(media_id=place.object_id, kind="mp3", **stored.columns())) == b"sound"
    )
    for other in (
        Rendition(media_id=place.object_id, kind="poster", **stored.columns()),
        Rendition(media_id=ids.new(), kind="mp3", **stored.columns()),
        MediaFile(id=place.object_id, **stored.columns()),
    ):
        with pytest.raises(ObjectDamaged):
            await vault.read_all(other)


async def test_objects_exchanged_in_the_store_are_refused(folder, open_key, tmp_path):
    first, second = await keep(open_key, b"of Alice"), await keep(open_key, b"of Bobby")
    root = tmp_path / "files"
    bytes_of_first = (root / first.object_key).read_bytes()
    (root / first.object_key).write_bytes((root / second.object_key).read_bytes())
    (root / second.object_key).write_bytes(bytes_of_first)
    for row in (first, second):
        with pytest.raises(ObjectDamaged):
            await vault.read_all(row)


@pytest.mark.parametrize("sealing", ["acervo", "storage"])
async def test_a_shortened_or_altered_object_is_refused(folder, open_key, tmp_path, sealing):
    row = await keep(open_key, os.urandom(200_000), sealing)
    path = tmp_path / "files" / row.object_key
    whole = path.read_bytes()
    for damaged in (whole[:-1], whole[:131_072], b"", whole[:-1] + bytes([whole[-1] ^ 1])):
        path.write_bytes(damaged)
        with pytest.raises(ObjectDamaged):
            await vault.read_all(row)


async def test_a_key_of_another_workspace_cannot_seal(folder, open_key):
    foreign = OpenKey(ids.new(), ids.new(), os.urandom(32))
    with pytest.raises(ValueError):
        await vault.store(Place(open_key.workspace_id, ids.new(), "original", "acervo", foreign), b"x")


async def test_without_a_key_nothing_is_stored_unsealed_by_mistake(folder, open_key):
    with pytest.raises(ValueError):
        await vault.store(Place(open_key.workspace_id, ids.new(), "original", "acervo", None), b"x")


async def test_a_row_without_bytes_has_nothing_to_read(folder):
    with pytest.raises(ValueError):
        await vault.read_all(MediaFile(id=ids.new()))


async def test_a_copy_for_a_tool_is_whole_and_ours_alone(folder, open_key, tmp_path):
    plain = os.urandom(3 * MIB)
    await vault.copy_to(await keep(open_key, plain), tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == plain
    assert stat.S_IMODE(Path(tmp_path / "copy").stat().st_mode) == 0o600


async def test_erased_bytes_are_missing_and_erasing_twice_is_no_error(storage, open_key):
    gone, kept = await keep(open_key, b"x"), await keep(open_key, b"y")
    await vault.erase([gone, MediaFile(id=ids.new())])
    await vault.erase([gone])
    with pytest.raises(ObjectMissing):
        await vault.read_all(gone)
    assert await vault.read_all(kept) == b"y"


def test_an_open_key_shows_no_key(open_key):
    assert open_key.key.hex() not in repr(open_key)
    assert repr(open_key.key) not in repr(open_key)
