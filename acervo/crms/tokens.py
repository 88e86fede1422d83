"""Access tokens that end: got once, used by everyone of a connection, replaced when they are old or refused."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

_MARGIN_S = 60.0
"""Replaced so long before its end: a call under way must not outlive its token."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What a CRM gave for our secrets."""

    value: str = field(repr=False)
    lifetime_s: float | None = None
    """None: the CRM does not say. It is good until it is refused."""

    def good_until(self, now: float) -> float | None:
        """In Unix seconds, where `now` is when it was given. A short life is used nearly to its end."""
        if self.lifetime_s is None:
            return None
        return now + self.lifetime_s - min(_MARGIN_S, self.lifetime_s / 10)


@dataclass(frozen=True, slots=True)
class KeptToken:
    """A token as it is remembered."""

    value: str = field(repr=False)
    until: float | None

    def is_good(self, now: float, refused: str | None) -> bool:
        return self.value != refused and (self.until is None or now < self.until)


AskForToken = Callable[[], Awaitable[AccessToken]]


class TokenKeeper(Protocol):
    """The one token of one connection."""

    async def get(self, ask: AskForToken, *, refused: str | None = None) -> str:
        """The token at hand, or where there is none, or it is old or `refused`, the one somebody else got
        meanwhile, or a new one. `ask` runs once however many need it; what it raises is raised."""
        ...


class OwnToken:
    """Kept in the object and shared with nobody: for a connection that is only being tried, and for tests."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._kept: KeptToken | None = None
        self._asking = asyncio.Lock()

    async def get(self, ask: AskForToken, *, refused: str | None = None) -> str:
        async with self._asking:
            if self._kept is None or not self._kept.is_good(self._now(), refused):
                token = await ask()
                self._kept = KeptToken(token.value, token.good_until(self._now()))
            return self._kept.value
