"""Links into an object store that are themselves the permission: presigned, dead within minutes, met with no key."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import urljoin

import yarl

from acervo.base import clock
from acervo.providers.asking import USER_AGENT, Reply, host_of, is_safe_at
from acervo.providers.contract import DownloadRequest, MediaGone, Outcome, Resolved
from acervo.providers.untrusted import as_count

REDIRECTS = frozenset({301, 302, 303, 307, 308})
USUAL_LIFE = timedelta(minutes=15)
LONGEST_LIFE_S = 7 * 86_400
"""What S3 allows a presigned link at most."""

_S3_HOST = re.compile(r"(?:[a-z0-9][a-z0-9.\-]{1,62}\.)?s3[.\-][a-z0-9\-]{2,32}\.amazonaws\.com")
_SIGNED_AT = "%Y%m%dT%H%M%SZ"


def is_presigned(url: str) -> bool:
    """Whether the link carries S3's own signature, which any other authorization would spoil (HTTP 400)."""
    return any(name.lower() in ("x-amz-signature", "x-amz-credential") for name in _query(url))


def is_store(url: str) -> bool:
    """Whether this is a presigned link to S3 itself, over https."""
    host = host_of(url) or ""
    return bool(_S3_HOST.fullmatch(host)) and is_safe_at(url, (host,)) and is_presigned(url)


def hosts(url: str) -> tuple[str, ...]:
    """The one host such a link may be fetched from; none for any other link."""
    return (host_of(url) or "",) if is_store(url) else ()


def expiry(url: str) -> datetime:
    """When a presigned link dies; a quarter of an hour from now when it does not say."""
    query = {name.lower(): value for name, value in _query(url).items()}
    life_s = as_count(query.get("x-amz-expires"))
    try:
        signed_at = datetime.strptime(query.get("x-amz-date", ""), _SIGNED_AT).replace(tzinfo=UTC)
    except ValueError:
        signed_at = clock.now()
    is_told = life_s is not None and life_s <= LONGEST_LIFE_S
    return signed_at + (timedelta(seconds=life_s or 0) if is_told else USUAL_LIFE)


def redirected(vendor: str, url: str, reply: Reply, *, trusted: Collection[str]) -> Resolved:
    """Where a redirect leads: into the store, or to a host the operator named. Anywhere else is refused for
    good, and says so; should the provider have moved its store, a person asks again once this list is renewed."""
    location = {name.lower(): value for name, value in reply.headers.items()}.get("location", "")
    try:
        target = urljoin(url, location)
    except ValueError:
        target = ""
    if not is_store(target) and host_of(target) not in trusted:
        raise MediaGone(
            f"{vendor}'s link leads to a host files may not come from.", code=Outcome.FORBIDDEN_HOST
        )
    return Resolved(target, expires_at=expiry(target), is_open=True)


def download_request(
    resolved: Resolved, *, usual_hosts: tuple[str, ...], authorization: Mapping[str, str]
) -> DownloadRequest:
    """How to ask for the bytes: with `authorization` (empty where the link may not see it), to its host alone; a link
    into the store with nothing, and to nobody else."""
    return DownloadRequest(
        resolved.url,
        {"User-Agent": USER_AGENT, **authorization},
        hosts(resolved.url) or usual_hosts,
        (host_of(resolved.url) or "",) if authorization else (),
    )


def _query(url: str) -> dict[str, str]:
    try:
        return dict(yarl.URL(url).query)
    except ValueError:
        return {}
