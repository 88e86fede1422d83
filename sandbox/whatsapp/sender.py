"""Meta's other half: knocks at the archive's webhook, and knocks again until it is answered 200."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterable, Iterable, Sequence
from types import TracebackType
from typing import Self

import aiohttp

from sandbox.whatsapp.messages import SignedWebhook

NO_ANSWER = 0
"""The status of a knock that nobody answered."""


class UndeliveredError(Exception):
    """The archive did not acknowledge a webhook in the time given."""


class Sender:
    """Delivers webhooks as Meta does: several at a time, at least once, in no promised order."""

    def __init__(
        self,
        webhook_url: str,
        *,
        concurrency: int = 8,
        first_wait_s: float = 0.25,
        longest_wait_s: float = 10.0,
        give_up_after_s: float = 600.0,
        timeout_s: float = 20.0,
    ) -> None:
        self._url = webhook_url
        self._slots = asyncio.Semaphore(concurrency)
        self._first_wait_s = first_wait_s
        self._longest_wait_s = longest_wait_s
        self._give_up_after_s = give_up_after_s
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._connections = concurrency
        self._session: aiohttp.ClientSession | None = None
        self.acknowledged = 0
        """Deliveries answered 200."""
        self.answers: Counter[int] = Counter()
        """Every knock, by status; `NO_ANSWER` when the connection failed."""
        self.answered_in_s: list[float] = []
        """How long each 200 took."""

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=self._connections)
        self._session = aiohttp.ClientSession(timeout=self._timeout, connector=connector)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def knock(self, webhook: SignedWebhook) -> int:
        """One attempt; the status answered."""
        if self._session is None:
            raise RuntimeError("Use the sender inside `async with`.")
        started = time.perf_counter()
        try:
            async with self._session.post(self._url, data=webhook.body, headers=webhook.headers) as answer:
                await answer.read()
                status = answer.status
        except (aiohttp.ClientError, TimeoutError):
            status = NO_ANSWER
        self.answers[status] += 1
        if status == 200:
            self.answered_in_s.append(time.perf_counter() - started)
        return status

    async def deliver(self, webhook: SignedWebhook) -> int:
        """Knock until answered 200; how many knocks it took. Raises UndeliveredError."""
        give_up_at = time.monotonic() + self._give_up_after_s
        wait_s = self._first_wait_s
        async with self._slots:
            for attempt in range(1, 1_000_000):
                status = await self.knock(webhook)
                if status == 200:
                    self.acknowledged += 1
                    return attempt
                if time.monotonic() + wait_s > give_up_at:
                    raise UndeliveredError(f"Answered {status} after {attempt} knocks.")
                await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))
                wait_s = min(wait_s * 2, self._longest_wait_s)
        raise AssertionError("unreachable")

    async def deliver_all(
        self, webhooks: Sequence[SignedWebhook], *, copies: int = 1, seed: int | None = None
    ) -> int:
        """Every webhook `copies` times, shuffled when `seed` is given; how many deliveries were acknowledged."""
        queue = [one for one in webhooks for _ in range(copies)]
        if seed is not None:
            random.Random(seed).shuffle(queue)
        async with asyncio.TaskGroup() as group:
            for one in queue:
                group.create_task(self.deliver(one))
        return len(queue)

    async def deliver_at(
        self, webhooks: Iterable[SignedWebhook] | AsyncIterable[SignedWebhook], *, per_second: float
    ) -> int:
        """Open-loop: a new delivery every 1/`per_second` s, whatever became of the earlier ones."""
        started, sent = time.monotonic(), 0
        async with asyncio.TaskGroup() as group:
            async for one in _each(webhooks):
                await asyncio.sleep(max(0.0, started + sent / per_second - time.monotonic()))
                group.create_task(self.deliver(one))
                sent += 1
        return sent


async def _each(
    webhooks: Iterable[SignedWebhook] | AsyncIterable[SignedWebhook],
) -> AsyncIterable[SignedWebhook]:
    if isinstance(webhooks, AsyncIterable):
        async for one in webhooks:
            yield one
    else:
        for one in webhooks:
            yield one


async def shake_hands(webhook_url: str, verify_token: str) -> bool:
    """The GET Meta sends when a webhook is set: whether the archive answered with the challenge."""
    challenge = str(secrets.randbelow(10**10))
    query = {"hub.mode": "subscribe", "hub.challenge": challenge, "hub.verify_token": verify_token}
    async with aiohttp.ClientSession() as session, session.get(webhook_url, params=query) as answer:
        return answer.status == 200 and await answer.text() == challenge
