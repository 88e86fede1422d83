"""What a system of one's own is connected with: its address, a secret that both sides know, and how many files it takes
at once."""

from __future__ import annotations

import hashlib
from typing import Final
from urllib.parse import urlsplit

import httpx

from acervo.base import signing
from acervo.crms.asked import Access, Asked, Given, Unfit

LONGEST: Final = 200
PER_CALL: Final = ("1", "20", "100")

ASKS: Final = (
    Asked("url", r"https?://[!-~]{1,192}", is_address=True),
    Asked("secret", is_secret=True, offer=signing.new_secret),
    Asked("per_call", choices=PER_CALL),
)


async def access(given: Given, http: httpx.AsyncClient) -> Access:
    """Raises Unfit."""
    url, secret = given.values["url"], given.values["secret"]
    if not _is_address(url):
        raise Unfit("url", "no_address")
    if not signing.is_secret(secret):
        raise Unfit("secret", "no_signing_secret")
    return Access({"secret": secret}, {"per_call": int(given.values.get("per_call", "1"))}, url)


def account_of(url: str) -> str:
    """The host, and a word that tells two addresses of one host apart: a path may be a secret, so it is not in it."""
    host = (urlsplit(url).hostname or "")[:100]
    return f"{host} {hashlib.sha256(url.encode()).hexdigest()[:8]}"


def _is_address(url: str) -> bool:
    """Whole, callable as it stands, and without a name and password, which would end up in a list."""
    if len(url) > LONGEST or not url.isascii():
        return False
    try:
        parts = urlsplit(url)
        httpx.URL(url)
        has_port = parts.port != 0
    except (ValueError, httpx.InvalidURL):
        return False
    return bool(parts.hostname) and has_port and not parts.username and not parts.fragment
