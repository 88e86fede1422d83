"""Locks on files that end with the process that holds them, however it ends."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from acervo.base.errors import TryLater

POLL_S = 0.05


class DatabaseBusy(TryLater):
    """Another process is starting or stopping the embedded database and has not finished."""

    code = "database_busy"


@contextmanager
def locked(path: Path, *, timeout_s: float) -> Iterator[None]:
    """Hold the lock, alone among all processes and threads. Raises DatabaseBusy after `timeout_s`."""
    lock = open_lock(path)
    try:
        deadline = time.monotonic() + timeout_s
        while not try_lock(lock):
            if time.monotonic() > deadline:
                raise DatabaseBusy(f"Waited {timeout_s:.0f} s for {path}.")
            time.sleep(POLL_S)
        yield
    finally:
        os.close(lock)


def open_lock(path: Path) -> int:
    """A descriptor of the lock file, made if missing. The caller closes it, which also releases the lock.

    Root gives a file it makes to the owner of the folder, who must be able to lock it later.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    lock = os.open(path, flags, 0o600)
    folder = path.parent.stat()
    if os.geteuid() == 0 and os.fstat(lock).st_uid != folder.st_uid:
        os.fchown(lock, folder.st_uid, folder.st_gid)
    return lock


def try_lock(lock: int) -> bool:
    """Lock without waiting; false when someone else holds it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
