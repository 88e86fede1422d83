"""A sandbox that serves from a thread of its own, for commands that run an event loop of theirs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

Sandbox = TypeVar("Sandbox", bound=Any)


@contextmanager
def served(sandbox: Sandbox) -> Iterator[Sandbox]:
    """Anything with `start` and `stop`, started and stopped on its own loop."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(sandbox.start(), loop).result(30)
        yield sandbox
    finally:
        asyncio.run_coroutine_threadsafe(sandbox.stop(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()
