"""Tell subscribers what happened: many addresses side by side, none of which can hold up another."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import httpx

from acervo.base import clock, ids, signing
from acervo.base.database import in_thread
from acervo.base.errors import AcervoError
from acervo.base.http import USER_AGENT, ForbiddenAddress
from acervo.keep import credentials
from acervo.models import EventDelivery, EventTry
from acervo.notify import payloads, promises
from acervo.notify.promises import GONE, LONGEST_REST_S, RATE_LIMITED, Answer, Settled

log = logging.getLogger(__name__)

CALL_S: Final = 10.0
"""From the first look-up of the name to the status line: a subscriber takes it and works afterwards."""
ADDRESSES_AT_ONCE: Final = 24
"""Times `promises.AT_ONCE` this stays below the hundred connections of one client: nobody waits for a free one."""
ROUNDS: Final = 10
"""After so many batches an address makes room for others; it is soon its turn again."""
LOOK_AGAIN_S: Final = 0.5

_bell: asyncio.Event | None = None


async def notify(http: httpx.AsyncClient) -> None:
    """Tell everything that is due, by one loop in this process: who calls while it runs makes it look again."""
    global _bell
    if _bell is not None:
        _bell.set()
        return
    bell = _bell = asyncio.Event()
    bell.set()
    try:
        while bell.is_set():  # it may ring once more while the last round ends
            await notify_due(http, bell=bell)
    finally:
        _bell = None


async def notify_due(http: httpx.AsyncClient, *, bell: asyncio.Event | None = None) -> None:
    """Tell everything that is due, until nothing is. May run in any number of processes at once."""
    bell = bell or asyncio.Event()
    calling: dict[asyncio.Task[None], UUID] = {}
    troubled: set[UUID] = set()
    try:
        while True:
            bell.clear()
            busy = [*calling.values(), *troubled]
            due = await in_thread(promises.due_subscriptions, ADDRESSES_AT_ONCE - len(calling), but_not=busy)
            calling |= {asyncio.create_task(_tell(pk, http)): pk for pk in due}
            if not calling:
                return
            done, _ = await asyncio.wait(calling, return_when=asyncio.FIRST_COMPLETED, timeout=LOOK_AGAIN_S)
            for task in done:
                subscription_id = calling.pop(task)
                if fault := task.exception():  # ours: it is left to the clock, and stops nobody else
                    troubled.add(subscription_id)
                    log.error(
                        "notify.fault", extra={"subscription": ids.text(subscription_id)}, exc_info=fault
                    )
    finally:
        for task in calling:  # what they claimed comes free by its lease
            task.cancel()
        await asyncio.gather(*calling, return_exceptions=True)


async def _tell(subscription_id: UUID, http: httpx.AsyncClient) -> None:
    for done in range(ROUNDS):
        if not await tell_batch(subscription_id, http):
            if (
                not done
            ):  # another worker has all it may be asked at once: it stays due, and is not worth a busy look
                await asyncio.sleep(LOOK_AGAIN_S)
            return


async def tell_batch(subscription_id: UUID, http: httpx.AsyncClient) -> int:
    """Tell one subscription a few things, side by side; returns how many there were to tell."""
    batch = await in_thread(promises.claim, subscription_id)
    if not batch:
        return 0
    try:
        letters = await in_thread(_write, batch)
    except AcervoError as error:  # its secret does not open: nothing can be signed
        said = Answer(clock.now(), 0, str(error.code)[:32])
        answers = [said] * len(batch)
    else:
        answers = await asyncio.gather(*(call(http, letter) for letter in letters))
    settled = await in_thread(promises.settle, subscription_id, list(zip(batch, answers, strict=True)))
    _note(subscription_id, settled)
    return len(batch)


def _write(batch: Sequence[EventDelivery]) -> list[httpx.Request]:
    """Everything is looked up now: what was erased since it happened is not told. Raises SealedElsewhere."""
    subscription = batch[0].subscription
    keys = credentials.open_hook_secrets(subscription)
    bodies = payloads.bodies([row.event for row in batch], subscription.detail)
    at = clock.now()
    return [
        httpx.Request(
            "POST",
            subscription.url,
            content=body,
            headers={
                "Content-Type": "application/json",
                "User-Agent": USER_AGENT,
                **signing.headers(keys, str(row.event), at, body),
            },
        )
        for row, body in zip(batch, bodies, strict=True)
    ]


async def call(http: httpx.AsyncClient, letter: httpx.Request) -> Answer:
    """One call. Whatever comes of it is an answer; what the address says besides its status is not read."""
    at, began = clock.now(), time.monotonic()
    status, code, after_s = None, EventTry.OK, None
    try:
        async with asyncio.timeout(CALL_S):
            response = await http.send(letter, stream=True, follow_redirects=False)
            await response.aclose()
        status, code = response.status_code, _judged(response.status_code)
        after_s = _asked_pause(response) if code in (RATE_LIMITED, "server_error") else None
    except (TimeoutError, httpx.TimeoutException):
        code = "timed_out"
    except httpx.HTTPError as error:
        code = _trouble(error)
    except (httpx.InvalidURL, UnicodeError):  # a name that no resolver takes
        code = "unreachable"
    return Answer(at, round(1000 * (time.monotonic() - began)), code, status, after_s)


STATUSES: Final = {410: GONE, 429: RATE_LIMITED}


def _judged(status: int) -> str:
    if 200 <= status < 300:
        return EventTry.OK
    if status in STATUSES:
        return STATUSES[status]
    if 300 <= status < 400:
        return "redirected"
    return "server_error" if status >= 500 else "not_taken"


def _asked_pause(response: httpx.Response) -> float | None:
    """Retry-After in seconds; a date is not worth the trouble, our own patience does as well."""
    wish = response.headers.get("retry-after", "")
    return min(float(wish), LONGEST_REST_S) if wish.isascii() and wish.isdigit() and len(wish) < 9 else None


def _trouble(error: Exception) -> str:
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    if any(isinstance(one, ForbiddenAddress) for one in causes):
        return "private_address"
    if any(isinstance(one, ssl.SSLError) for one in causes):
        return "not_trusted"
    return "unreachable" if isinstance(error, httpx.ConnectError) else "broken_off"


def _note(subscription_id: UUID, settled: Settled) -> None:
    counts = {name: getattr(settled, name) for name in ("told", "refused", "stopped", "released")}
    log.info("notify.batch", extra={"subscription": ids.text(subscription_id), **counts})
