"""One suite for two stores, and the traps of each."""

from __future__ import annotations

import asyncio
import itertools
import os
import stat
import subprocess
import sys
import threading
import urllib.request
from datetime import timedelta
from pathlib import Path

import pytest

from acervo.base import clock, ids
from acervo.keep import folder as folders
from acervo.keep.storage import ObjectMissing, Storage, StorageAway, StorageUnusable
from tests.keep.conftest import BUCKET, names, s3_environment

MIB = 1024 * 1024


async def source(*chunks, error=None):
    for chunk in chunks:
        yield chunk
    if error is not None:
        raise error


class SourceError(Exception):
    """Stands for whatever goes wrong at the provider."""


# ── the contract ──


@pytest.mark.parametrize("size", [0, 1, 30_000, MIB, MIB + 1])
async def test_a_body_comes_back_as_it_went(storage, size):
    body = os.urandom(size)
    assert await storage.put("ws/a/object", body) == size
    assert await storage.size("ws/a/object") == size
    assert await storage.get_range("ws/a/object", 0, size) == body


@pytest.mark.parametrize("chunks", [[], [0], [30_000], [MIB // 2] * 2, [400_000] * 3, [70_000] * 160])
async def test_a_stream_of_unknown_length_comes_back_as_it_went(storage, chunks):
    parts = [os.urandom(size) for size in chunks]
    size = sum(chunks)
    assert await storage.put("ws/a/object", source(*parts)) == size
    assert await storage.get_range("ws/a/object", 0, size) == b"".join(parts)


async def test_ranges_are_exact_and_end_where_the_object_ends(storage):
    body = os.urandom(10_000)
    await storage.put("ws/a/object", body)
    assert await storage.get_range("ws/a/object", 17, 4_000) == body[17:4_000]
    assert await storage.get_range("ws/a/object", 9_000, 20_000) == body[9_000:]
    assert await storage.get_range("ws/a/object", 10_000, 20_000) == b""
    assert await storage.get_range("ws/a/object", 5, 5) == b""


async def test_a_missing_object_is_said_to_be_missing(storage):
    with pytest.raises(ObjectMissing):
        await storage.get_range("ws/a/nothing", 0, 10)
    with pytest.raises(ObjectMissing):
        await storage.size("ws/a/nothing")


async def test_deleting_tolerates_what_is_not_there(storage):
    for name in ("one", "two", "three"):
        await storage.put(f"ws/a/{name}", b"x")
    await storage.delete(["ws/a/nothing", "ws/a/one", "ws/b/nothing", "ws/a/two"])
    await storage.delete([])
    assert await names(storage) == {"ws/a/three"}


async def test_listing_shows_key_size_and_time_below_a_folder(storage):
    await storage.put("ws/a/2026/11/one", b"123")
    await storage.put("ws/b/2026/11/two", b"1")
    found = [found async for found in storage.list("ws/a")]
    assert [(item.key, item.size_bytes) for item in found] == [("ws/a/2026/11/one", 3)]
    assert abs(found[0].modified_at - clock.now()) < timedelta(minutes=5)
    assert [item async for item in storage.list("ws/none")] == []


@pytest.mark.parametrize("sent", [[], [b"x" * 1_000], [b"x" * 6 * MIB] * 2])
async def test_when_the_source_raises_its_error_comes_out_and_nothing_remains(storage, sent):
    with pytest.raises(SourceError):
        await storage.put("ws/a/object", source(*sent, error=SourceError()))
    assert await names(storage) == set()
    assert await storage.delete_leftovers(clock.now() + timedelta(hours=1)) == 0


async def test_a_cancelled_stream_leaves_nothing(storage):
    arrived = asyncio.Event()

    async def stalling():
        yield b"x" * 6 * MIB
        arrived.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(storage.put("ws/a/object", stalling()))
    await arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await names(storage) == set()
    assert await storage.delete_leftovers(clock.now() + timedelta(hours=1)) == 0


@pytest.mark.parametrize("key", ["../x", "/abs", "a//b", "a/../b", "", "a\0b", "a#1", ".hidden", "a/"])
async def test_a_key_that_is_not_ours_never_reaches_the_store(storage, key):
    with pytest.raises(ValueError):
        await storage.put(key, b"x")
    with pytest.raises(ValueError):
        await storage.get_range(key, 0, 1)


@pytest.mark.parametrize("url", ["", "file://host/path", "file:///", "ftp://x/y", "s3://", "memory:///"])
def test_an_address_we_cannot_use_is_refused_with_a_sentence(url):
    with pytest.raises(StorageUnusable, match="ACERVO_STORAGE_URL"):
        Storage.from_url(url)


# ── the folder ──


async def test_only_we_can_read_files_and_folders_whatever_the_umask(folder, tmp_path):
    umask = os.umask(0)
    try:
        await folder.put("ws/a/small", b"x")
        await folder.put("ws/a/large", source(b"x" * 2 * MIB))
    finally:
        os.umask(umask)
    made = list((tmp_path / "files").rglob("*"))
    assert {stat.S_IMODE(path.stat().st_mode) for path in made if path.is_file()} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in made if path.is_dir()} == {0o700}


@pytest.mark.parametrize("body", [b"x" * 30_000, [b"x" * MIB] * 2])
async def test_bytes_then_name_are_on_the_disk_before_the_return(folder, monkeypatch, body):
    """A power cut after our commit must not leave a short file under the final name."""
    events = record_disk_events(monkeypatch)
    await folder.put("ws/a/object", body if isinstance(body, bytes) else source(*body))
    events.append("returned")
    end = events.index("sync object#1")
    assert events[end:] == ["sync object#1", "rename object", "sync a", "returned"]


async def test_new_folders_are_made_durable_up_to_the_root(folder, monkeypatch):
    events = record_disk_events(monkeypatch)
    await folder.put("ws/a/2026/object", b"x")
    assert [event for event in events if event.startswith("sync")][-5:] == [
        "sync files", "sync ws", "sync a", "sync object#1", "sync 2026",
    ]  # fmt: skip


async def test_deletion_is_durable(folder, monkeypatch):
    await folder.put("ws/a/object", b"x")
    events = record_disk_events(monkeypatch)
    await folder.delete(["ws/a/object"])
    assert events == ["sync a"]


def record_disk_events(monkeypatch) -> list[str]:
    events, fsync, rename = [], os.fsync, os.rename

    def noted_fsync(fd):
        fsync(fd)
        events.append(f"sync {Path(os.readlink(f'/proc/self/fd/{fd}')).name}")

    def noted_rename(old, new):
        rename(old, new)
        events.append(f"rename {Path(new).name}")

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "rename", noted_rename)
    return events


async def test_files_that_arrive_together_are_written_together_and_not_by_one_thread(folder, monkeypatch):
    """Two threads must be at the disk at the same time, or the barrier breaks; the rest shares groups."""
    folders_synced, both, create = [], threading.Barrier(2), folders._Folders.create
    arrivals = itertools.count()

    def meeting(self, path):
        if next(arrivals) < 2:
            both.wait(timeout=10)
        return create(self, path)

    monkeypatch.setattr(folders._Folders, "create", meeting)
    sync = folders._sync_folder
    monkeypatch.setattr(folders, "_sync_folder", lambda path: (folders_synced.append(path), sync(path)))
    await asyncio.gather(*[folder.put(f"ws/a/{number}", b"x") for number in range(64)])
    assert len(await names(folder)) == 64
    assert len(folders_synced) < 32


async def test_one_file_that_fails_does_not_fail_its_group(folder, monkeypatch):
    write_all = folders._write_all

    def failing(fd, buffers):
        if buffers[0] == b"bad":
            raise OSError(28, "No space left on device")
        return write_all(fd, buffers)

    monkeypatch.setattr(folders, "_write_all", failing)
    bodies = [b"bad" if number == 7 else b"good" for number in range(20)]
    done = await asyncio.gather(
        *[folder.put(f"ws/a/{number}", body) for number, body in enumerate(bodies)], return_exceptions=True
    )
    assert [number for number, result in enumerate(done) if isinstance(result, StorageAway)] == [7]
    assert done[7].code == "storage_full"
    assert len(await names(folder)) == 19
    assert await folder.delete_leftovers(clock.now() + timedelta(hours=1)) == 0


async def test_what_a_killed_writer_left_is_not_listed_and_is_swept_when_old(folder, tmp_path):
    await folder.put("ws/a/object", b"x")
    leftover = tmp_path / "files" / "ws" / "a" / "killed#1"
    leftover.write_bytes(b"half")
    assert await names(folder) == {"ws/a/object"}
    assert await folder.delete_leftovers(clock.now() - timedelta(hours=1)) == 0
    assert await folder.delete_leftovers(clock.now() + timedelta(hours=1), dry_run=True) == 1
    assert leftover.exists()
    assert await folder.delete_leftovers(clock.now() + timedelta(hours=1)) == 1
    assert not leftover.exists()
    assert await names(folder) == {"ws/a/object"}


async def test_a_folder_removed_behind_our_back_is_made_again(folder, tmp_path):
    await folder.put("ws/a/object", b"x")
    await folder.delete(["ws/a/object"])
    (tmp_path / "files" / "ws" / "a").rmdir()
    await folder.put("ws/a/object", b"y")
    assert await folder.get_range("ws/a/object", 0, 1) == b"y"


async def test_a_root_that_cannot_be_written_means_the_store_is_away(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    storage = Storage.from_url((tmp_path / "file" / "below").as_uri())
    with pytest.raises(StorageAway):
        await storage.put("ws/a/object", b"x")
    with pytest.raises(StorageAway):
        await storage.put("ws/a/object", source(b"x" * 2 * MIB))


# ── buckets ──


async def test_a_store_that_does_not_answer_is_away_and_not_missing(s3_url, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    storage = Storage.from_url(s3_url)
    with pytest.raises(StorageAway):
        await storage.put("ws/a/object", b"x")
    with pytest.raises(StorageAway):
        await storage.get_range("ws/a/object", 0, 1)


async def test_a_broken_source_leaves_no_upload_behind(s3_url, s3_server):
    storage = Storage.from_url(s3_url)
    with pytest.raises(SourceError):
        await storage.put("ws/a/object", source(b"x" * 6 * MIB, b"x" * 6 * MIB, error=SourceError()))
    with urllib.request.urlopen(f"{s3_server}/{BUCKET}?uploads") as answer:
        assert s3_url.rpartition("/")[2].encode() not in answer.read()


async def test_secrets_do_not_come_out_with_an_error(s3_url, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StorageAway) as caught:
        await Storage.from_url(s3_url).put("ws/a/object", b"x")
    assert "very-secret" not in f"{caught.value} {caught.value.__cause__}"


USES_AND_ENDS = """
import asyncio, os, sys
from acervo.keep.storage import Storage

async def main():
    storage = Storage.from_url(sys.argv[1])
    async def source():
        yield os.urandom(2_000_000)
    await storage.put("ws/a/small", b"x" * 50_000)
    await storage.put("ws/a/large", source())

asyncio.run(main())
"""


def test_a_process_that_used_the_store_ends_with_zero(s3_server):
    """Without the pause at exit, obstore's threads abort the interpreter in about half of the runs."""
    url = f"s3://{BUCKET}/{ids.text(ids.new())}"
    environment = {**os.environ, **s3_environment(s3_server)}
    command = [sys.executable, "-c", USES_AND_ENDS, url]
    ended = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) for _ in range(10)]
    assert [(process.communicate()[1], process.returncode) for process in ended] == [(b"", 0)] * 10
