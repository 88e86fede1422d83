"""What some adapters offer besides the contract: finding what no webhook told, forgetting at the provider, and
registering our address, so that nobody has to paste it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from typing import Protocol, runtime_checkable

import aiohttp

from acervo.providers.contract import AnnouncedFile, Reading


def ours_first(kind: str, urls: Iterable[str | None]) -> str | None:
    """Of several registered addresses the one that looks like ours, else any."""
    known = [url for url in urls if url]
    return next((url for url in known if f"/hooks/{kind}/" in url), next(iter(known), None))


@runtime_checkable
class Recovers(Protocol):
    """A provider whose webhooks can be lost has a list to read them from."""

    def missed(self, session: aiohttp.ClientSession, since: datetime) -> AsyncIterator[Reading]:
        """Everything received since then, page by page, oldest or newest first, whether or not a webhook told it:
        announcements carry the same ids as the webhook's, so that writing them twice changes nothing.
        Raises AccessLost, ProviderBusy."""
        ...


@runtime_checkable
class Forgets(Protocol):
    """A provider that keeps files until somebody deletes them."""

    async def forget(self, session: aiohttp.ClientSession, file: AnnouncedFile) -> None:
        """Delete the provider's copy. One that is not there is well. Raises AccessLost, ProviderBusy."""
        ...


@runtime_checkable
class Registers(Protocol):
    """A provider that takes our webhook address through its API."""

    async def register(self, session: aiohttp.ClientSession, url: str) -> None:
        """From now on the provider knocks at `url`, with the secrets of these credentials. Safe to repeat.
        Raises AccessLost, ProviderBusy."""
        ...

    async def registered(self, session: aiohttp.ClientSession) -> str | None:
        """The address the provider knocks at now; None: at none."""
        ...


@runtime_checkable
class Unregisters(Protocol):
    """A provider that can be told through its API to knock no more."""

    async def unregister(self, session: aiohttp.ClientSession, url: str) -> None:
        """The provider no longer knocks at `url`; another address that stands there stays. Safe to repeat.
        Raises AccessLost, ProviderBusy."""
        ...
