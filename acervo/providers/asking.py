"""One question to a provider's API: asked once, never redirected, answered within bounds; what a refusal means by status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import yarl

from acervo.base.errors import AcervoError
from acervo.providers.contract import AccessLost, MediaGone, Outcome, ProviderBusy
from acervo.providers.untrusted import as_number

USER_AGENT = "acervo"
TIMEOUT = aiohttp.ClientTimeout(total=20)
LONGEST_ANSWER_BYTES = 4 * 1024 * 1024
LONGEST_WAIT_S = 86_400.0
"""A vendor's wish to wait is honoured up to a day; deadlines are days."""

Meaning = tuple[type[MediaGone] | type[AccessLost] | type[ProviderBusy], Outcome]

REVOKED: Meaning = (AccessLost, Outcome.TOKEN_REVOKED)
FORBIDDEN: Meaning = (AccessLost, Outcome.FORBIDDEN)
BLOCKED: Meaning = (AccessLost, Outcome.BLOCKED)
GONE: Meaning = (MediaGone, Outcome.EXPIRED)
TIMED_OUT: Meaning = (ProviderBusy, Outcome.TIMED_OUT)
LIMITED: Meaning = (ProviderBusy, Outcome.RATE_LIMITED)
UNWELL: Meaning = (ProviderBusy, Outcome.UNAVAILABLE)
URL_DIED: Meaning = (ProviderBusy, Outcome.URL_DIED)
UNKNOWN: Meaning = (ProviderBusy, Outcome.UNKNOWN)

BY_STATUS: Mapping[int, Meaning] = {401: REVOKED, 403: FORBIDDEN, 408: TIMED_OUT, 429: LIMITED}


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back; the body up to the bound that was asked for."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def mime(self) -> str | None:
        """The served type without its parameters."""
        found = {name.lower(): value for name, value in self.headers.items()}.get("content-type", "")
        return found.partition(";")[0].strip().lower() or None


async def ask(
    session: aiohttp.ClientSession,
    method: str,
    url: str,
    *,
    vendor: str,
    headers: Mapping[str, str],
    params: Mapping[str, str] | None = None,
    json: Any = None,
    form: Mapping[str, str] | None = None,
    limit_bytes: int = LONGEST_ANSWER_BYTES,
) -> Reply:
    """Raises ProviderBusy when nobody answers. `timed_out` says that the request may have been acted upon."""
    try:
        async with session.request(
            method,
            url,
            params=params,
            json=json,
            data=form,
            headers={"User-Agent": USER_AGENT, **headers},
            timeout=TIMEOUT,
            allow_redirects=False,
        ) as response:
            return Reply(response.status, response.headers, await _read_up_to(response, limit_bytes))
    except TimeoutError:
        failure = ProviderBusy(f"{vendor} did not answer in time.", code=Outcome.TIMED_OUT)
    except (aiohttp.ClientConnectorError, aiohttp.InvalidURL) as error:
        failure = ProviderBusy(f"{vendor} cannot be reached.", error=type(error).__name__)
    except aiohttp.ClientError as error:
        failure = ProviderBusy(f"{vendor} broke off.", code=Outcome.TIMED_OUT, error=type(error).__name__)
    # Raised out here so that it carries no cause: aiohttp's errors hold the request and its headers.
    raise failure


def refusal(
    vendor: str,
    status: int,
    headers: Mapping[str, str],
    *,
    vendor_code: str | None = None,
    by_code: Mapping[str, Meaning] | None = None,
    by_status: Mapping[int, Meaning] = BY_STATUS,
) -> AcervoError:
    """The error an answer means: by the vendor's own code first, then by status. `vendor_code` is a safe word."""
    meaning = (by_code or {}).get(vendor_code) if vendor_code else None
    kind, outcome = meaning or (UNWELL if status >= 500 else by_status.get(status, UNKNOWN))
    detail = f"{vendor} answered HTTP {status}" + (f", code {vendor_code}." if vendor_code else ".")
    facts: dict[str, Any] = {"http_status": status, "vendor_code": vendor_code}
    if kind is ProviderBusy:
        wait_s = wanted_wait_s(headers) if outcome is Outcome.RATE_LIMITED or status == 503 else None
        return ProviderBusy(detail, after_s=wait_s, code=outcome, **facts)
    return kind(detail, code=outcome, **facts)


def wanted_wait_s(headers: Mapping[str, str]) -> float | None:
    """`Retry-After` in seconds; None when it is not said, or said as a date."""
    told = {name.lower(): value for name, value in headers.items()}.get("retry-after")
    wait_s = as_number(told) or 0.0
    return min(wait_s, LONGEST_WAIT_S) if wait_s > 0 else None


def host_of(url: str | None) -> str | None:
    """The host a client would call for this address."""
    try:
        return yarl.URL(url or "").host
    except ValueError:
        return None


def is_safe_at(url: str, hosts: tuple[str, ...]) -> bool:
    """Whether the address is one of these hosts, over https, at its usual port, with no user name in it."""
    try:
        parts = yarl.URL(url)
        is_plain = parts.scheme == "https" and parts.port == 443 and parts.user is None
    except ValueError:
        return False
    return is_plain and parts.host in hosts


async def _read_up_to(response: aiohttp.ClientResponse, limit_bytes: int) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) >= limit_bytes:
            break
    return bytes(body[:limit_bytes])
