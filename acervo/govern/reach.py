"""Whether our own public address answers: name, certificate and proxy, as a provider would find them."""

from __future__ import annotations

import asyncio
import ssl
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import aiohttp
from asgiref.sync import async_to_sync
from django.conf import settings

from acervo.base import clock
from acervo.base.http import ForbiddenAddress, media_session

PATIENCE_S: Final = 5.0
REMEMBERED_S: Final = 20.0
"""Pages that watch ask every few seconds; the address is the same for all of them."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What came of asking ourselves."""

    code: str
    """`ok`, `private`, `certificate`, `silent` or `wrong_answer`."""
    at: datetime
    certificate_until: datetime | None = None

    @property
    def is_well(self) -> bool:
        return self.code == "ok"


_known: tuple[float, Reach] | None = None


def reach() -> Reach:
    """Asked at most every few seconds. This proves the way through name, certificate and proxy; only the provider's own
    knock proves it from outside."""
    global _known  # one address a process
    if _known is None or _known[0] <= time.monotonic():
        _known = (time.monotonic() + REMEMBERED_S, async_to_sync(_ask)())
    return _known[1]


def forget() -> None:
    global _known
    _known = None


async def _ask() -> Reach:
    until: datetime | None = None
    try:
        async with (
            asyncio.timeout(PATIENCE_S),
            media_session(settings.ACERVO_ALLOW_PRIVATE_HOSTS, limit=1) as session,
            session.get(f"{settings.ACERVO_BASE_URL}/healthz", allow_redirects=False) as answer,
        ):
            until = _certificate_until(answer)
            is_ours = answer.status == 200 and b"alive" in await answer.content.read(256)
    except ForbiddenAddress:
        return Reach("private", clock.now())
    except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError, ssl.SSLError):
        return Reach("certificate", clock.now())
    except (aiohttp.ClientError, OSError, TimeoutError):
        return Reach("silent", clock.now())
    return Reach("ok" if is_ours else "wrong_answer", clock.now(), until)


def _certificate_until(answer: aiohttp.ClientResponse) -> datetime | None:
    transport = answer.connection.transport if answer.connection else None
    found = transport.get_extra_info("peercert") if transport else None
    if not found or "notAfter" not in found:
        return None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(found["notAfter"]), UTC)
