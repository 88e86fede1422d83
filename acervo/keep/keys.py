"""The chain of keys: a master key wraps each workspace's key, which wraps one data key per person.

Destroying a person's data keys makes everything sealed with them unreadable at once, in every copy and backup of the
store. It is final only when no backup of the `datakey` table outlives the promised time (docs/adr/0003).
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, Protocol, TypeVar
from uuid import UUID

from django.conf import settings
from django.db import transaction

from acervo.base import clock, ids, sealed
from acervo.base.errors import Gone
from acervo.models import AuditEntry, DataKey, Deed, Workspace

CACHE_S = 120
"""How long another process may still read with a key after it was destroyed, in seconds."""
_CACHED_KEYS = 10_000

T = TypeVar("T")


class KeyDestroyed(Gone):
    """The key of this file was destroyed when the person's data was erased. Nobody can read it any more."""

    code = "erased"


@dataclass(frozen=True, slots=True)
class OpenKey:
    """A data key, ready to seal and unseal. Lives in memory only."""

    id: UUID
    workspace_id: UUID
    key: bytes = field(repr=False)


class Wrapper(Protocol):
    """What wraps workspace keys: the local master key, or a key management service that never shows its own."""

    @property
    def id(self) -> str: ...

    def wrap(self, key: bytes, aad: bytes) -> bytes: ...

    def unwrap(self, wrapped: bytes, aad: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True)
class LocalWrapper:
    """Wraps with a key at hand: AES-256-GCM, bound to `aad`."""

    named: sealed.NamedKey

    @property
    def id(self) -> str:
        return self.named.id

    def wrap(self, key: bytes, aad: bytes) -> bytes:
        return sealed.seal(self.named, key, aad)

    def unwrap(self, wrapped: bytes, aad: bytes) -> bytes:
        """Raises SealedElsewhere."""
        return sealed.unseal(self.named, wrapped, aad)


def for_people(workspace_id: UUID, person_ids: Iterable[UUID]) -> dict[UUID, OpenKey]:
    """The current data key of each person, by person; made where there is none yet.

    Asks the database every time, once for all: what is sealed now must not be sealed with a key destroyed a moment
    ago. Call it before the work and outside its transaction, so that no key is used whose row was rolled back.
    """
    wanted = sorted(set(person_ids))
    rows = _current(workspace_id, wanted)
    missing = [person_id for person_id in wanted if person_id not in rows]
    if missing:
        wrapper = _workspace_wrapper(workspace_id)
        # Two workers at once: the constraint lets one row in, and both read it back.
        DataKey.objects.bulk_create(
            (_new_row(wrapper, workspace_id, person_id) for person_id in missing), ignore_conflicts=True
        )
        rows = _current(workspace_id, wanted)
    return {person_id: _opened(row) for person_id, row in rows.items()}


def open_key(data_key_id: UUID) -> OpenKey:
    """The key that sealed a file, from memory for CACHE_S seconds. Raises KeyDestroyed."""
    return at_hand(data_key_id) or _opened(DataKey.objects.get(pk=data_key_id))


def at_hand(data_key_id: UUID) -> OpenKey | None:
    """The key, if memory still has it: no database is asked."""
    return _data_keys.get(data_key_id)


def destroy(person_id: UUID, *, by: str, reason: str) -> list[UUID]:
    """Destroy every data key of a person, and say so in the audit chain. Gives the keys; none left is no error.

    This is erasure: whoever calls it has made sure that no legal hold forbids it.
    """
    with transaction.atomic():
        whole = DataKey.objects.select_for_update().filter(person_id=person_id, destroyed_at=None)
        owners = dict(whole.order_by("pk").values_list("pk", "workspace_id"))
        DataKey.objects.filter(pk__in=owners).update(
            wrapped_key=None, is_current=False, destroyed_at=clock.now(), destroyed_by=by
        )
        for workspace_id in set(owners.values()):
            deeds = [
                Deed("data_key.destroyed", "data_key", key, reason)
                for key, at in owners.items()
                if at == workspace_id
            ]
            AuditEntry.objects.record(workspace_id, by, deeds)
        transaction.on_commit(partial(_data_keys.drop, list(owners)))
    return list(owners)


def forget() -> None:
    """Empty the memory of open keys."""
    _data_keys.clear()
    _workspace_keys.clear()


def _current(workspace_id: UUID, person_ids: list[UUID]) -> dict[UUID, DataKey]:
    rows = DataKey.objects.filter(workspace_id=workspace_id, person_id__in=person_ids, is_current=True)
    return {row.person_id: row for row in rows}


def _new_row(wrapper: Wrapper, workspace_id: UUID, person_id: UUID) -> DataKey:
    row = DataKey(id=ids.new(), workspace_id=workspace_id, person_id=person_id)
    row.wrapped_key = wrapper.wrap(os.urandom(sealed.KEY_BYTES), _data_key_aad(row))
    return row


def _opened(row: DataKey) -> OpenKey:
    known = _data_keys.get(row.pk)
    if row.wrapped_key is None:
        raise KeyDestroyed(data_key=str(row.pk))
    if known is None:
        wrapper = _workspace_wrapper(row.workspace_id)
        known = OpenKey(row.pk, row.workspace_id, wrapper.unwrap(bytes(row.wrapped_key), _data_key_aad(row)))
        _remember(_data_keys, row.pk, known)
    return known


def _workspace_wrapper(workspace_id: UUID) -> Wrapper:
    known = _workspace_keys.get(workspace_id)
    if known is None:
        known = LocalWrapper(sealed.NamedKey(ids.text(workspace_id), _workspace_key(workspace_id)))
        _remember(_workspace_keys, workspace_id, known)
    return known


def _workspace_key(workspace_id: UUID) -> bytes:
    master, aad = _master(), f"workspace/{workspace_id}".encode()
    row = Workspace.objects.only("wrapped_key").get(pk=workspace_id)
    if row.wrapped_key is None:
        fresh = master.wrap(os.urandom(sealed.KEY_BYTES), aad)
        # Two workers at once: the second finds the column filled and changes nothing.
        Workspace.objects.filter(pk=workspace_id, wrapped_key=None).update(
            wrapped_key=fresh, master_key_id=master.id
        )
        row.refresh_from_db(fields=["wrapped_key"])
    return master.unwrap(bytes(row.wrapped_key or b""), aad)


def _master() -> Wrapper:
    return LocalWrapper(sealed.NamedKey(settings.ACERVO_MASTER_KEY_ID, settings.ACERVO_MASTER_KEY))


def _data_key_aad(row: DataKey) -> bytes:
    # Not the person: people are merged, and bring their keys along.
    return f"data_key/{row.workspace_id}/{row.pk}".encode()


class _Memory(Generic[T]):
    """The most recently used, for a while."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._items: OrderedDict[UUID, tuple[float, T]] = OrderedDict()

    def get(self, key: UUID) -> T | None:
        with self._lock:
            until, value = self._items.get(key, (0.0, None))
            if until < time.monotonic():
                self._items.pop(key, None)
                return None
            self._items.move_to_end(key)
            return value

    def put(self, key: UUID, value: T) -> None:
        with self._lock:
            self._items[key] = (time.monotonic() + CACHE_S, value)
            self._items.move_to_end(key)
            while len(self._items) > self._most:
                self._items.popitem(last=False)

    def drop(self, keys: Iterable[UUID]) -> None:
        with self._lock:
            for key in keys:
                self._items.pop(key, None)

    def clear(self) -> None:
        with self._lock:
            self._items.clear()


def _remember(memory: _Memory[T], key: UUID, value: T) -> None:
    """Only what is committed: a rolled back row must not leave its key in memory."""
    transaction.on_commit(partial(memory.put, key, value))


_data_keys: _Memory[OpenKey] = _Memory(_CACHED_KEYS)
_workspace_keys: _Memory[Wrapper] = _Memory(_CACHED_KEYS)
