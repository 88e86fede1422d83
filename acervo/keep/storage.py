"""Where sealed objects lie: one small contract over a local folder, S3, Google Cloud Storage and Azure."""

from __future__ import annotations

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TypeAlias
from urllib.parse import unquote, urlsplit

from django.conf import settings

from acervo.base.errors import Gone, NeedsPerson, TryLater

SMALL_BYTES = 1024 * 1024
"""Up to here a body is joined and put at once; reads ask for no more than this either."""

Buffer: TypeAlias = bytes | bytearray
Body: TypeAlias = bytes | bytearray | AsyncIterator[Buffer]

_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")


class StorageAway(TryLater):
    """The object store does not take or give bytes now. Everything waits until it does."""

    code = "storage_away"


class ObjectMissing(Gone):
    """The object store no longer has these bytes. Restore them from a backup of the store."""

    code = "object_missing"


class StorageUnusable(NeedsPerson):
    """The address of the object store cannot be used. Correct ACERVO_STORAGE_URL."""

    code = "storage_unusable"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object as the store lists it."""

    key: str
    size_bytes: int
    modified_at: datetime


class Storage(ABC):
    """Objects under keys that are never reused. Safe from several threads and event loops.

    Every method raises StorageAway when the store cannot be reached; nothing half-written is ever visible.
    """

    @staticmethod
    def from_url(url: str) -> Storage:
        """`file:///path`, `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`."""
        parts = urlsplit(url)
        if parts.scheme == "file" and parts.netloc in ("", "localhost") and len(parts.path) > 1:
            from acervo.keep.folder import FolderStorage

            return FolderStorage(unquote(parts.path))
        if parts.scheme in ("s3", "gs", "az") and parts.netloc:
            from acervo.keep.buckets import BucketStorage

            return BucketStorage(url)
        raise StorageUnusable("ACERVO_STORAGE_URL must begin with file:///, s3://, gs:// or az://.")

    async def put(self, key: str, body: Body) -> int:
        """Write once; after the return the bytes survive a power cut. Gives the number of bytes.

        When an iterator raises, its own error comes out and nothing is visible under the key.
        """
        _check(key)
        if isinstance(body, bytes | bytearray):
            await self._put_small(key, body)
            return len(body)
        head = await _first(body, SMALL_BYTES)
        if head.is_all:
            whole = head.chunks[0] if len(head.chunks) == 1 else b"".join(head.chunks)
            await self._put_small(key, whole)
            return len(whole)
        return await self._put_stream(key, head.then(body))

    async def get_range(self, key: str, start: int, stop: int) -> bytes:
        """The bytes `start` to `stop`, fewer when the object ends before. Raises ObjectMissing."""
        _check(key)
        return await self._get_range(key, start, stop) if start < stop else b""

    @abstractmethod
    async def size(self, key: str) -> int:
        """In bytes. Raises ObjectMissing."""

    @abstractmethod
    async def delete(self, keys: Sequence[str]) -> None:
        """Delete for good; keys that are not there are no error."""

    @abstractmethod
    def list(self, prefix: str = "") -> AsyncIterator[StoredObject]:
        """Every object below the folder `prefix`, in no promised order."""

    @abstractmethod
    async def delete_leftovers(self, older_than: datetime, *, dry_run: bool = False) -> int:
        """Remove what killed writers left and `list` does not show. Gives how many there were."""

    async def settle(self) -> None:
        """Await at the end of a process or test; see `buckets` for what happens otherwise."""
        await asyncio.sleep(0)

    @abstractmethod
    async def _put_small(self, key: str, body: Buffer) -> None: ...

    @abstractmethod
    async def _put_stream(self, key: str, chunks: AsyncIterator[Buffer]) -> int: ...

    @abstractmethod
    async def _get_range(self, key: str, start: int, stop: int) -> bytes: ...


def configured() -> Storage:
    """The store of this installation, the same object for the whole process."""
    return _shared(settings.ACERVO_STORAGE_URL)


@lru_cache(maxsize=8)
def _shared(url: str) -> Storage:
    return Storage.from_url(url)


def _check(key: str) -> None:
    """Keys are ours alone; anything else is a mistake that must not reach a file system."""
    if not _KEY.fullmatch(key):
        raise ValueError("Not a key of this vault.")


@dataclass(slots=True)
class _Head:
    chunks: list[Buffer]
    is_all: bool

    async def then(self, rest: AsyncIterator[Buffer]) -> AsyncIterator[Buffer]:
        while self.chunks:
            yield self.chunks.pop(0)
        async for chunk in rest:
            yield chunk


async def _first(body: AsyncIterator[Buffer], limit_bytes: int) -> _Head:
    head, size = _Head([], is_all=False), 0
    async for chunk in body:
        head.chunks.append(chunk)
        size += len(chunk)
        if size > limit_bytes:
            return head
    head.is_all = True
    return head
