"""A private folder for one piece of work, gone afterwards, even when the worker was killed in the middle of it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

PREFIX: Final = "acervo-work-"


@contextlib.contextmanager
def workroom() -> Iterator[Path]:
    """An empty folder only we can enter. Leaving removes it with all that is in it."""
    sweep()
    folder, lock = _new()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def sweep() -> int:
    """Removes the folders of workers that died, and says how many. Whoever lives holds the lock of theirs."""
    removed = 0
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # another user's, in use, or swept by a neighbour just now
            lock = _lock(folder)
            try:
                shutil.rmtree(folder)
                removed += 1
            finally:
                os.close(lock)
    return removed


def _new() -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        # A sweeper may take the folder between its making and its locking: then we make another.
        with contextlib.suppress(OSError):
            lock = _lock(folder)
            if folder.exists():
                return folder, lock
            os.close(lock)


def _lock(folder: Path) -> int:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise
    return fd
