"""A Graph API, Meta's own or a partner's copy of it: where one number asks, and what it shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from acervo.providers.asking import Reply, ask

LONGEST_ANSWER_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Graph:
    """One number's way to ask. Raises ProviderBusy when no answer comes; every answer is the caller's to judge."""

    base: str
    vendor: str
    """How errors call the other side."""
    authorization: Mapping[str, str] = field(repr=False)

    async def get(
        self, session: aiohttp.ClientSession, path: str, params: Mapping[str, str] | None = None
    ) -> Reply:
        return await self._ask(session, "GET", path, params=params)

    async def post(self, session: aiohttp.ClientSession, path: str, said: Mapping[str, Any]) -> Reply:
        return await self._ask(session, "POST", path, json=said)

    async def _ask(self, session: aiohttp.ClientSession, method: str, path: str, **what: Any) -> Reply:
        return await ask(
            session,
            method,
            f"{self.base}/{path}",
            vendor=self.vendor,
            headers=self.authorization,
            limit_bytes=LONGEST_ANSWER_BYTES,
            **what,
        )
