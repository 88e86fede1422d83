"""Is the way in open? A webhook of our own, signed like the provider's, goes out to our public address and must come back
into the journal: name, certificate, proxy, signature and disk are all on its way."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from django.conf import settings
from django.db import transaction

from acervo import providers
from acervo.base import clock, ids
from acervo.base.certificates import certificate_ends_at
from acervo.base.database import alone, in_thread
from acervo.base.errors import AcervoError
from acervo.base.http import media_session
from acervo.govern import connections
from acervo.keep import credentials
from acervo.models import AuditEntry, Connection, Deed, Probe, Purpose
from acervo.providers.contract import Webhook
from acervo.providers.probing import Probes
from acervo.receive import probed

log = logging.getLogger(__name__)

TIMEOUT: Final = aiohttp.ClientTimeout(total=20, sock_connect=10)
LOOKS: Final = 25
LOOK_AGAIN_S: Final = 0.2
"""A receipt is on disk before the answer leaves; looked for a few seconds all the same, at a database that is behind."""
KEPT: Final = timedelta(days=7)
LARGEST_ANSWER: Final = 4096
OK: Final = "ok"

BY_STATUS: Final = {
    401: "signature_refused",
    404: "no_such_door",
    405: "wrong_answer",
    413: "wrong_answer",
    429: "turned_away",
    502: "proxy_alone",
    503: "not_taken",
    504: "proxy_alone",
}
"""What an answer of our own door, or of the proxy in front of it, means."""
BY_VERIFICATION: Final = {10: "tls_expired", 62: "tls_other_name", 64: "tls_other_name"}
"""OpenSSL's X509_V_ERR_CERT_HAS_EXPIRED, HOSTNAME_MISMATCH and IP_ADDRESS_MISMATCH; others are certificates nobody trusts."""


@dataclass(frozen=True, slots=True)
class Outcome:
    code: str
    facts: dict[str, Any] = field(default_factory=dict)


def can_probe(connection: Connection) -> bool:
    """Whether its provider's webhooks can be made by us."""
    return connection.purpose == Purpose.PROVIDER and issubclass(providers.get(connection.kind), Probes)


async def probe(connection: Connection, by: str) -> Probe | None:
    """Try the way in now; None when somebody is trying it just then. `by` goes into the audit trail unless it is the
    clock's. Never raises for what the network does."""
    async with alone(f"probe {ids.text(connection.pk)}") as is_alone:
        if not is_alone:
            return None
        row = await in_thread(_begin, connection, by)
        began_at = asyncio.get_running_loop().time()
        outcome = await _tried(connection, row)
        took_ms = round((asyncio.get_running_loop().time() - began_at) * 1000)
        await in_thread(_finish, row, outcome, took_ms)
        return row


async def _tried(connection: Connection, row: Probe) -> Outcome:
    try:
        webhook = await in_thread(_made, connection, row)
        outcome = await _knock(webhook)
    except AcervoError as error:  # secrets that do not open, a private address nobody named
        return Outcome(error.code)
    if outcome.code != OK:
        return outcome
    return outcome if await _arrives(row) else Outcome("not_journalled", outcome.facts)


def _made(connection: Connection, row: Probe) -> Webhook:
    provider = credentials.provider(connection)
    if not isinstance(provider, Probes):
        raise TypeError(f"{connection.kind} cannot be probed")
    return provider.probe(ids.text(row.pk), connections.webhook_url(connection))


async def _knock(webhook: Webhook) -> Outcome:
    """Where the knock goes is our own configured address; what a redirect says is not followed."""
    context = ssl.create_default_context()
    try:
        async with (
            media_session(settings.ACERVO_ALLOW_PRIVATE_HOSTS, limit=1) as session,
            session.post(
                webhook.url,
                data=webhook.body,
                headers=dict(webhook.headers),
                timeout=TIMEOUT,
                allow_redirects=False,
                ssl=context,
            ) as response,
        ):
            await response.content.read(LARGEST_ANSWER)
            outcome = _meaning(response.status)
    except (aiohttp.ClientError, OSError) as error:
        return _unreached(error)
    return Outcome(outcome.code, {**outcome.facts, **await _certificate(webhook.url, context)})


def _meaning(status: int) -> Outcome:
    if status == 200:
        return Outcome(OK, {"status": status})
    if 300 <= status < 400:
        return Outcome("redirected", {"status": status})
    return Outcome(BY_STATUS.get(status, "wrong_answer"), {"status": status})


def _unreached(error: Exception) -> Outcome:
    """In this order: aiohttp's errors are several things at once."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        code = getattr(error.certificate_error, "verify_code", None)
        return Outcome(BY_VERIFICATION.get(code or 0, "tls_untrusted"))
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return Outcome("tls_failed")
    if isinstance(error, aiohttp.ClientConnectorDNSError | socket.gaierror):
        return Outcome("dns")
    if isinstance(error, TimeoutError):
        return Outcome("timed_out")
    if isinstance(error, aiohttp.ClientConnectorError):
        return Outcome("refused")
    return Outcome("broken_off")


async def _certificate(url: str, context: ssl.SSLContext) -> dict[str, Any]:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        return {}
    try:
        async with asyncio.timeout(TIMEOUT.sock_connect):
            ends_at = await certificate_ends_at(
                parts.hostname, parts.port or 443, settings.ACERVO_ALLOW_PRIVATE_HOSTS, context
            )
    except (OSError, AcervoError):  # the knock itself went well: this is only a look at the clock
        return {}
    return {"certificate_ends_at": ends_at.isoformat()}


async def _arrives(row: Probe) -> bool:
    for _ in range(LOOKS):
        if await in_thread(probed.has_arrived, row):
            return True
        await asyncio.sleep(LOOK_AGAIN_S)
    return False


def _begin(connection: Connection, by: str) -> Probe:
    return Probe.objects.create(
        workspace_id=connection.workspace_id, connection=connection, asked_at=clock.now(), asked_by=by
    )


def _finish(row: Probe, outcome: Outcome, took_ms: int) -> None:
    row.finished_at, row.code = clock.now(), outcome.code[:32]
    row.facts = {**outcome.facts, "took_ms": took_ms}
    if outcome.code != OK:
        log.warning("connection.not_reached", extra={"connection": str(row.connection_id), "code": row.code})
    old = Probe.objects.filter(connection=row.connection_id, asked_at__lt=clock.now() - KEPT)
    with transaction.atomic():
        old.delete()
        row.save(update_fields=["finished_at", "code", "facts"])
        if not row.asked_by.startswith("system:"):
            deed = Deed("connection.probed", "connection", row.connection_id, row.code, {})
            AuditEntry.objects.record(row.workspace_id, row.asked_by, [deed])
