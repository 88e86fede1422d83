"""Objects in S3, Google Cloud Storage or Azure, through obstore.

Credentials and endpoint come from each vendor's standard variables, which obstore reads itself: `AWS_*` with
`AWS_ENDPOINT_URL`, `GOOGLE_*`, `AZURE_*`. A bucket needs one rule of its own: abort incomplete multipart uploads after
a day, because a killed process or a cancelled task leaves the parts it had sent.
"""

from __future__ import annotations

import asyncio
import atexit
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import obstore
from obstore import exceptions, store

from acervo.keep.storage import Buffer, ObjectMissing, Storage, StorageAway, StorageUnusable, StoredObject

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

# A process that ends while obstore's threads still hand a result to Python aborts (SIGABRT, exit code 134) in a
# quarter to half of runs; 5 ms of quiet were enough, measured 2026-11-23 with obstore 0.12.1.
_SETTLE_S = 0.05
_PART_BYTES = 5 * 1024 * 1024  # the least S3 accepts
_PARTS_AT_ONCE = 2  # 39 MB of memory for any size; the default of 12 takes 90 MB
_KEYS_PER_DELETE = 500

_CLIENT: ClientConfig = {
    "allow_http": True,  # the vendors' own addresses are https; http is used only where AWS_ENDPOINT_URL says so
    "connect_timeout": timedelta(seconds=5),
    "read_timeout": timedelta(seconds=30),  # of silence
    "timeout": timedelta(minutes=10),  # of one whole body, not of silence
}
# The job is tried again anyway; the default of ten tries would hold a worker for three minutes.
_RETRY: RetryConfig = {"max_retries": 2, "retry_timeout": timedelta(seconds=30)}


class BucketStorage(Storage):
    def __init__(self, url: str) -> None:
        self._store = _open(url)
        _settle_at_exit()

    async def size(self, key: str) -> int:
        with _translated():
            return (await obstore.head_async(self._store, key))["size"]

    async def delete(self, keys: Sequence[str]) -> None:
        for start in range(0, len(keys), _KEYS_PER_DELETE):
            await self._delete_page(keys[start : start + _KEYS_PER_DELETE])

    async def list(self, prefix: str = "") -> AsyncIterator[StoredObject]:
        with _translated():
            async for page in obstore.list(self._store, prefix or None):
                for meta in page:
                    yield StoredObject(meta["path"], meta["size"], meta["last_modified"])

    async def delete_leftovers(self, older_than: datetime, *, dry_run: bool = False) -> int:
        """Nothing to do: unfinished uploads are removed by the bucket's own rule."""
        return 0

    async def settle(self) -> None:
        await asyncio.sleep(_SETTLE_S)

    async def _put_small(self, key: str, body: Buffer) -> None:
        with _translated():
            await obstore.put_async(self._store, key, body, use_multipart=False)

    async def _put_stream(self, key: str, chunks: AsyncIterator[Buffer]) -> int:
        source = _Source(chunks)
        # No mode="create": it would collect the whole body in memory. Keys are never reused.
        try:
            with _translated():
                await obstore.put_async(
                    self._store, key, source.read(), chunk_size=_PART_BYTES, max_concurrency=_PARTS_AT_ONCE
                )
        except Exception:
            if source.failure is not None:
                raise source.failure from None
            raise
        return source.size_bytes

    async def _get_range(self, key: str, start: int, stop: int) -> bytes:
        with _translated():
            try:
                return (await obstore.get_range_async(self._store, key, start=start, end=stop)).to_bytes()
            except exceptions.GenericError as error:
                # Asked for more than there is: the contract is to give less, and the sealing layer will object.
                if "416" in str(error).split("\n", 1)[0]:
                    return b""
                raise

    async def _delete_page(self, keys: Sequence[str]) -> None:
        with _translated():
            try:
                await obstore.delete_async(self._store, list(keys))
            except FileNotFoundError:  # Azure stops at the first missing key
                for key in keys:
                    with suppress(FileNotFoundError):
                        await obstore.delete_async(self._store, key)


class _Source:
    """Remembers why the source ended, because it must come out as itself and not as the store's error."""

    def __init__(self, chunks: AsyncIterator[Buffer]) -> None:
        self._chunks = chunks
        self.failure: BaseException | None = None
        self.size_bytes = 0

    async def read(self) -> AsyncIterator[Buffer]:
        try:
            async for chunk in self._chunks:
                self.size_bytes += len(chunk)
                yield chunk
        except Exception as error:
            self.failure = error
            raise


def _open(url: str) -> ObjectStore:
    # Any: obstore types each scheme's options apart, and we use none of them.
    options: dict[str, Any] = {"client_options": _CLIENT, "retry_config": _RETRY}
    try:
        return store.from_url(url, **options)
    except (exceptions.BaseError, ValueError) as error:
        # The first line alone: what follows may repeat the configuration.
        raise StorageUnusable(str(error).split("\n", 1)[0]) from None


_is_settling = False


def _settle_at_exit() -> None:
    global _is_settling
    if not _is_settling:
        _is_settling = True
        atexit.register(time.sleep, _SETTLE_S)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise ObjectMissing() from error
    except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
        # An archived S3 object answers the same. Waiting is right: files stay at the provider until we can store them.
        raise StorageAway("The store refuses our credentials.", code="storage_refused") from error
    except (exceptions.BaseError, OSError) as error:
        raise StorageAway() from error
