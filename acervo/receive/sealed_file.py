"""A sealed object as a file one can seek in: an uploaded archive is read without ever lying open on a disk."""

from __future__ import annotations

import asyncio
import io
from typing import Any

from acervo.keep import vault
from acervo.models import SealedObject

AHEAD_BYTES = 256 * 1024


class SealedFile(io.RawIOBase):
    """Read in threads, while the event loop that made it runs."""

    def __init__(self, row: SealedObject) -> None:
        self._row, self._loop, self._at = row, asyncio.get_running_loop(), 0
        self._size = row.size_bytes or 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise OSError("Before the beginning of the file.")
        self._at = start + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        room = memoryview(buffer).cast("B")
        stop = min(self._at + len(room), self._size)
        if stop <= self._at:
            return 0
        read = asyncio.run_coroutine_threadsafe(self._read(self._at, stop), self._loop).result()
        room[: len(read)] = read
        self._at += len(read)
        return len(read)

    async def _read(self, start: int, stop: int) -> bytes:
        return b"".join([piece async for piece in vault.read(self._row, start, stop)])


def buffered(row: SealedObject) -> io.BufferedReader:
    """With some of what follows read ahead: a zip asks for thirty bytes, and then for the rest."""
    return io.BufferedReader(SealedFile(row), AHEAD_BYTES)
