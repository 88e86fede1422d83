"""Objects in a local folder, durable against power cuts, written in groups.

Own code instead of obstore's local store, which never calls fsync and leaves files readable by everybody
(docs/adr/0003). A file is written under `name#1`, synced, renamed, and then its folder is synced. Small files that
arrive while the disk is busy are written together: one thread hop and one folder sync for all of them, about half
the CPU of writing them one by one.
"""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import ParamSpec, TypeVar

from acervo.base import clock
from acervo.keep.storage import SMALL_BYTES, Buffer, ObjectMissing, Storage, StorageAway, StoredObject

P = ParamSpec("P")
T = TypeVar("T")

_STAGING = "#1"
_THREADS = 8
_WRITERS = 4  # while one group waits for the disk, the next ones are written
_GROUP = 16
_PAGE = 1000


class FolderStorage(Storage):
    def __init__(self, root: str) -> None:
        self._root = Path(root)
        self._folders = _Folders()
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="folder")
        self._lock = threading.Lock()
        self._waiting: deque[_SmallWrite] = deque()
        self._writers = 0

    async def size(self, key: str) -> int:
        with _translated(missing=ObjectMissing):
            return (await self._run(os.stat, self._path(key))).st_size

    async def delete(self, keys: Sequence[str]) -> None:
        with _translated():
            await self._run(_remove, [self._path(key) for key in keys])

    async def list(self, prefix: str = "") -> AsyncIterator[StoredObject]:
        files = _walk(os.path.join(self._root, prefix))
        with _translated():
            while page := await self._run(_next_page, files):
                for path, stat in page:
                    if not path.endswith(_STAGING):
                        key = os.path.relpath(path, self._root)
                        yield StoredObject(key, stat.st_size, clock.from_unix(stat.st_mtime))

    async def delete_leftovers(self, older_than: datetime, *, dry_run: bool = False) -> int:
        with _translated():
            return await self._run(_sweep, str(self._root), older_than.timestamp(), dry_run)

    async def _put_small(self, key: str, body: Buffer) -> None:
        write = _SmallWrite(_Staged(self._path(key), self._folders), body)
        self._submit(write)
        with _translated():
            await write.done

    async def _put_stream(self, key: str, chunks: AsyncIterator[Buffer]) -> int:
        staged = _Staged(self._path(key), self._folders)
        size = 0
        try:
            async for group in _grouped(chunks):
                with _translated():
                    size += await self._run(staged.write, group)
            with _translated():
                await self._run(staged.publish_alone)
        except BaseException:
            await self._run(staged.discard)
            raise
        return size

    async def _get_range(self, key: str, start: int, stop: int) -> bytes:
        with _translated(missing=ObjectMissing):
            return await self._run(_read, self._path(key), start, stop)

    def _path(self, key: str) -> str:
        return os.path.join(self._root, key)

    async def _run(self, do: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.wrap_future(self._pool.submit(do, *args, **kwargs))

    def _submit(self, write: _SmallWrite) -> None:
        with self._lock:
            self._waiting.append(write)
            is_hand_needed = self._writers < _WRITERS
            self._writers += is_hand_needed
        if is_hand_needed:
            self._pool.submit(self._write_groups)

    def _write_groups(self) -> None:
        while True:
            with self._lock:
                group = [self._waiting.popleft() for _ in range(min(_GROUP, len(self._waiting)))]
                if not group:
                    self._writers -= 1
                    return
            _write_together([write for write in group if not write.done.cancelled()])


class _Staged:
    """A file on its way: invisible until it is renamed. Its lock lets a cancelled task discard it safely."""

    def __init__(self, path: str, folders: _Folders) -> None:
        self.path, self.folder = path, os.path.dirname(path)
        self._staging = path + _STAGING
        self._folders = folders
        self._fd: int | None = None
        self._is_over = False
        self._lock = threading.Lock()

    def write(self, buffers: Sequence[Buffer]) -> int:
        with self._lock:
            if self._is_over:
                return 0
            if self._fd is None:
                self._fd = self._folders.create(self._staging)
            return _write_all(self._fd, buffers)

    def sync(self) -> None:
        with self._lock:
            if self._fd is not None:
                os.fsync(self._fd)
                os.close(self._fd)
                self._fd = None

    def rename(self) -> None:
        with self._lock:
            if not self._is_over:
                os.rename(self._staging, self.path)
                self._is_over = True

    def publish_alone(self) -> None:
        self.sync()
        self.rename()
        _sync_folder(self.folder)

    def discard(self) -> None:
        with self._lock:
            self._is_over = True
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None
            with suppress(OSError):
                os.unlink(self._staging)


class _SmallWrite:
    """One small file, and the task that waits for it."""

    def __init__(self, staged: _Staged, body: Buffer) -> None:
        self.staged, self.body = staged, body
        self.loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = self.loop.create_future()
        self.error: Exception | None = None

    def stage(self) -> None:
        self.staged.write([self.body])

    def attempt(self, step: Callable[[], None]) -> None:
        """Do one step, unless an earlier one failed; a failure leaves nothing."""
        if self.error is not None:
            return
        try:
            step()
        except Exception as error:  # noqa: BLE001 - handed to the task, which would wait forever otherwise
            self.error = error
            self.staged.discard()


def _write_together(group: list[_SmallWrite]) -> None:
    """Every step for all before the next: the disk joins what comes together."""
    for write in group:
        write.attempt(write.stage)
    for write in group:
        write.attempt(write.staged.sync)
    for write in group:
        write.attempt(write.staged.rename)
    for folder in {write.staged.folder for write in group if write.error is None}:
        try:
            _sync_folder(folder)
        except OSError as error:
            for write in group:
                write.error = write.error or error
    for loop in {write.loop for write in group}:
        with suppress(RuntimeError):  # the loop was closed: nobody waits any more
            loop.call_soon_threadsafe(_tell, [write for write in group if write.loop is loop])


def _tell(writes: list[_SmallWrite]) -> None:
    """One wake-up for all, in the thread of their loop."""
    for write in writes:
        if write.done.done():
            continue
        if write.error is None:
            write.done.set_result(None)
        else:
            write.done.set_exception(write.error)


class _Folders:
    """Creates folders readable by us alone, and makes each durable once per process."""

    def __init__(self) -> None:
        self._durable: set[str] = set()

    def create(self, path: str) -> int:
        """Open a new file for writing, making its folder first."""
        try:
            return self._create(path)
        except (
            FileNotFoundError,
            NotADirectoryError,
        ):  # what was there once is not any more: look at it all again
            self._durable.clear()
            return self._create(path)

    def _create(self, path: str) -> int:
        self._ensure(os.path.dirname(path))
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)

    def _ensure(self, folder: str) -> None:
        if folder in self._durable:
            return
        parent = os.path.dirname(folder)
        if not os.path.isdir(folder):
            self._ensure(parent)
            with suppress(FileExistsError):
                os.mkdir(folder, 0o700)
            if not os.path.isdir(folder):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), folder)
        # Even when it was there: another thread may have made it and not have synced its name yet.
        _sync_folder(parent)
        self._durable.add(folder)


async def _grouped(chunks: AsyncIterator[Buffer]) -> AsyncIterator[list[Buffer]]:
    """Chunks in lists of about 1 MiB, so that a thread hop is paid once for many."""
    group: list[Buffer] = []
    size = 0
    async for chunk in chunks:
        group.append(chunk)
        size += len(chunk)
        if size >= SMALL_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _write_all(fd: int, buffers: Sequence[Buffer]) -> int:
    size = 0
    for buffer in buffers:
        rest = memoryview(buffer)
        size += len(rest)
        while rest:
            rest = rest[os.write(fd, rest) :]
    return size


def _sync_folder(folder: str) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _read(path: str, start: int, stop: int) -> bytes:
    fd = os.open(path, os.O_RDONLY)
    try:
        data = os.pread(fd, stop - start, start)
        while len(data) < stop - start and (
            more := os.pread(fd, stop - start - len(data), start + len(data))
        ):
            data += more
        return data
    finally:
        os.close(fd)


def _remove(paths: list[str]) -> None:
    folders = set()
    for path in paths:
        with suppress(FileNotFoundError):
            os.unlink(path)
            folders.add(os.path.dirname(path))
    for folder in folders:
        _sync_folder(folder)


def _walk(folder: str) -> Iterator[tuple[str, os.stat_result]]:
    """Every file below; those that vanish while we look are skipped."""
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(entry.path)
            elif entry.is_file(follow_symlinks=False):
                with suppress(FileNotFoundError):
                    yield entry.path, entry.stat()


def _next_page(files: Iterator[tuple[str, os.stat_result]]) -> list[tuple[str, os.stat_result]]:
    return list(islice(files, _PAGE))


def _sweep(root: str, before: float, dry_run: bool) -> int:
    stale = [path for path, stat in _walk(root) if path.endswith(_STAGING) and stat.st_mtime < before]
    if not dry_run:
        _remove(stale)
    return len(stale)


@contextmanager
def _translated(missing: type[ObjectMissing] | type[StorageAway] = StorageAway) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise missing() from error
    except OSError as error:
        code = "storage_full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else None
        raise StorageAway(f"The folder of the store answers: {error.strerror}.", code=code) from error
