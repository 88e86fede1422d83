"""THE FLOOR: store bytes once, proven and sealed; read any part of them back; erase them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.db import close_old_connections, connection

from acervo.base import clock, ids
from acervo.base.errors import Refused
from acervo.keep import keys, storage
from acervo.keep.keys import OpenKey
from acervo.keep.sealing import ObjectDamaged, Sealer, open_range
from acervo.keep.storage import SMALL_BYTES, Buffer
from acervo.models import ChatImport, MediaFile, Rendition, SealedObject, Sealing

ORIGINAL = "original"
ARCHIVE = "archive"
"""An uploaded chat export, while its import goes on."""
_FORMAT_VERSION = 1

Verify = Callable[[int, str], None]


class TooLarge(Refused):
    """The file is larger than what may be stored."""

    code = "too_large"


@dataclass(frozen=True, slots=True)
class Place:
    """What the bytes are: sealed with it, so that an object copied to another row does not open."""

    workspace_id: UUID
    object_id: UUID
    """The MediaFile's id, for its renditions too; or the ChatImport's."""
    kind: str
    """ORIGINAL, `Rendition.what`, or ARCHIVE."""
    sealing: str
    """`acervo` needs `key`; `storage` leaves encryption to the store."""
    key: OpenKey | None


@dataclass(frozen=True, slots=True)
class Stored:
    """The facts of a stored object, one for each column of SealedObject."""

    object_key: str
    size_bytes: int
    sealed_bytes: int
    sha256: str
    sealing: str
    seal_header: bytes | None
    data_key_id: UUID | None

    def columns(self) -> dict[str, Any]:
        """For `update(**…)` or a new row."""
        return asdict(self)


async def store(
    place: Place,
    chunks: bytes | AsyncIterator[bytes],
    *,
    verify: Verify | None = None,
    limit_bytes: int | None = None,
) -> Stored:
    """Write once, under a key never used before. After the return the bytes survive a power cut.

    `verify(size_bytes, sha256)` is called with what really came, before anything becomes visible: when it raises, or
    the source does, that error comes out and nothing remains. Raises TooLarge and StorageAway.
    """
    passage = _Passage(place, verify, limit_bytes)
    body = passage.whole(chunks) if isinstance(chunks, bytes) else passage.stream(chunks)
    object_key = _new_key(place.workspace_id)
    sealed_bytes = await storage.configured().put(object_key, body)
    return Stored(
        object_key=object_key,
        size_bytes=passage.size_bytes,
        sealed_bytes=sealed_bytes,
        sha256=passage.sha256,
        sealing=place.sealing,
        seal_header=passage.header,
        data_key_id=place.key.id if place.key and passage.header else None,
    )


async def store_file(place: Place, path: Path) -> Stored:
    """Like `store`, for a local file, which is never held whole unless it is small."""
    if path.stat().st_size <= SMALL_BYTES:
        return await store(place, path.read_bytes())
    return await store(place, _pieces(path))


async def read(row: SealedObject, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
    """Yield the plain bytes `start` to `stop`, in pieces of at most 1 MiB, each proven authentic before.

    Errors come with the first piece: KeyDestroyed, ObjectMissing, ObjectDamaged, StorageAway.
    """
    stop = _size(row) if stop is None else min(stop, _size(row))
    pieces = _unsealed(row, start, stop) if row.sealing == Sealing.ACERVO else _plain(row, start, stop)
    async for piece in pieces:
        yield piece


async def read_all(row: SealedObject) -> bytes:
    """The whole file, for files known to be small."""
    return b"".join([piece async for piece in _proven(row)])


async def copy_to(row: SealedObject, path: Path) -> None:
    """Write the plain bytes to a local file, readable by us alone, for a tool that needs one."""
    path.touch(mode=0o600)
    with path.open("wb") as file:
        async for piece in _proven(row):
            await asyncio.to_thread(file.write, piece)


async def erase(rows: Iterable[SealedObject]) -> None:
    """Delete the objects of these rows for good. The rows are the caller's to change, afterwards."""
    await discard([row.object_key for row in rows if row.object_key])


async def discard(object_keys: Sequence[str]) -> None:
    """Delete objects no row came to own."""
    if object_keys:
        await storage.configured().delete(object_keys)


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, SMALL_BYTES):
            yield piece


class _Passage:
    """Counts, hashes and seals what passes, and lets nothing end that was not verified."""

    def __init__(self, place: Place, verify: Verify | None, limit_bytes: int | None) -> None:
        self._verify, self._limit_bytes = verify, limit_bytes
        self._hash = hashlib.sha256()
        self._sealer = _sealer(place)
        self.size_bytes = 0

    @property
    def header(self) -> bytes | None:
        return self._sealer.header if self._sealer else None

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def whole(self, data: bytes) -> Buffer:
        begun, ended = self._pass(data), self._end()
        return begun + ended if begun else ended

    async def stream(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[Buffer]:
        async for chunk in chunks:
            if sealed := self._pass(chunk):
                yield sealed
        if sealed := self._end():
            yield sealed

    def _pass(self, chunk: bytes) -> Buffer:
        self.size_bytes += len(chunk)
        if self._limit_bytes is not None and self.size_bytes > self._limit_bytes:
            raise TooLarge(limit_bytes=self._limit_bytes)
        self._hash.update(chunk)
        return self._sealer.update(chunk) if self._sealer else chunk

    def _end(self) -> Buffer:
        if self._verify is not None:
            self._verify(self.size_bytes, self.sha256)
        return self._sealer.finish() if self._sealer else b""


def _sealer(place: Place) -> Sealer | None:
    if place.sealing == Sealing.STORAGE:
        return None
    if place.key is None or place.key.workspace_id != place.workspace_id:
        raise ValueError("Sealing needs a data key of the same workspace.")
    return Sealer(place.key.key, _aad(place.key, place.object_id, place.kind))


def _aad(key: OpenKey, object_id: UUID, kind: str) -> bytes:
    return f"{key.workspace_id}/{key.id}/{object_id}/{kind}/{_FORMAT_VERSION}".encode()


def _new_key(workspace_id: UUID) -> str:
    """Tells who owns the object and when it was written, and nothing about a person."""
    return f"ws/{ids.text(workspace_id)}/{clock.now():%Y/%m}/{ids.text(ids.new())}"


async def _unsealed(row: SealedObject, start: int, stop: int) -> AsyncIterator[bytes]:
    key = await _key(row)
    object_id, kind = _identity(row)
    opened = open_range(
        _reader(row),
        key=key.key,
        aad=_aad(key, object_id, kind),
        header=bytes(row.seal_header or b""),
        sealed_bytes=row.sealed_bytes or 0,
        start=start,
        stop=stop,
    )
    async for piece in opened:
        yield piece


async def _plain(row: SealedObject, start: int, stop: int) -> AsyncIterator[bytes]:
    get = _reader(row)
    for at in range(start, stop, SMALL_BYTES):
        end = min(at + SMALL_BYTES, stop)
        piece = await get(at, end)
        if len(piece) != end - at:
            raise ObjectDamaged(f"The store gave {len(piece)} bytes where {end - at} were written.")
        yield piece


async def _proven(row: SealedObject) -> AsyncIterator[bytes]:
    """The whole file, compared with its hash at the end: what the store encrypts proves nothing by itself."""
    sha256 = hashlib.sha256()
    async for piece in read(row):
        sha256.update(piece)
        yield piece
    if sha256.hexdigest() != row.sha256:
        raise ObjectDamaged("The bytes differ from those whose hash was recorded.")


def _reader(row: SealedObject) -> Callable[[int, int], Any]:
    store, object_key = storage.configured(), row.object_key or ""
    return lambda start, stop: store.get_range(object_key, start, stop)


def _size(row: SealedObject) -> int:
    if row.object_key is None or row.size_bytes is None:
        raise ValueError("This row has no bytes yet.")
    return row.size_bytes


def _identity(row: SealedObject) -> tuple[UUID, str]:
    if isinstance(row, MediaFile):
        return row.pk, ORIGINAL
    if isinstance(row, Rendition):
        return row.media_id, row.what
    if isinstance(row, ChatImport):
        return row.pk, ARCHIVE
    raise TypeError(f"{type(row).__name__} has no place in the vault.")


async def _key(row: SealedObject) -> OpenKey:
    if row.data_key_id is None:
        raise ObjectDamaged("The row does not say which key sealed it.")
    return keys.at_hand(row.data_key_id) or await _open_key(row.data_key_id)


@sync_to_async
def _open_key(data_key_id: UUID) -> OpenKey:
    # The hot paths run outside Django's request cycle, which would do this; it must not hit a caller's transaction.
    if not connection.in_atomic_block:
        close_old_connections()
    return keys.open_key(data_key_id)
