"""One kept file shown to the malware scanner, before anybody may have it."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

OnClean = Callable[[UUID], None]
"""Called inside the transaction that lets the file through: what comes next in its journey."""


async def scan(media_id: UUID, on_clean: OnClean) -> None:
    """Safe to run twice. Raises TryLater while the scanner is away: the file stays held."""
    raise NotImplementedError
