"""MessageBird's signature: a JWT that binds address and body for a minute, and the older HMAC that binds the query."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from acervo.providers import signing
from acervo.providers.contract import Webhook
from acervo.providers.untrusted import as_mapping, as_text

JWT_HEADER = "messagebird-signature-jwt"
LEGACY_HEADER = "messagebird-signature"
TIMESTAMP_HEADER = "messagebird-request-timestamp"

ALGORITHMS = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}
"""All that MessageBird's own libraries accept. `none` and the asymmetric ones have no place here."""
ISSUER = "MessageBird"
LIFETIME_S = 60
LEEWAY_S = 1.0
"""As in MessageBird's own libraries: the clock of this machine must be right."""
LEGACY_WINDOW_S = 100.0
"""MessageBird's Node library allows 100 seconds, its Python library 10."""
ACCEPTS_LEGACY = True
"""Deprecated, yet still sent to accounts that never moved on; asked for only where no JWT came."""

_TOKEN = re.compile(r"([A-Za-z0-9_-]{2,512})\.([A-Za-z0-9_-]{2,4096})\.([A-Za-z0-9_-]{43,86})")
_SECONDS = re.compile(r"[0-9]{1,12}")


def is_genuine(webhook: Webhook, keys: Sequence[str], at: datetime) -> bool:
    """Whether one of `keys` signed this webhook, for this address, now."""
    token = webhook.headers.get(JWT_HEADER)
    if token is not None:
        claims = _signed_claims(token, keys)
        return claims is not None and _are_about(claims, webhook, at.timestamp())
    return ACCEPTS_LEGACY and _is_genuine_by_legacy(webhook, keys, at.timestamp())


def token_for(body: bytes, url: str, key: str, at: datetime) -> str:
    """The JWT MessageBird would send along with `body`."""
    begins = int(at.timestamp())
    claims = {
        "iss": ISSUER,
        "nbf": begins,
        "exp": begins + LIFETIME_S,
        "jti": uuid4().hex,
        "url_hash": hashlib.sha256(url.encode()).hexdigest(),
        "payload_hash": hashlib.sha256(body).hexdigest(),
    }
    parts = ({"alg": "HS256", "typ": "JWT"}, claims)
    signed = ".".join(_unpadded(json.dumps(part, separators=(",", ":")).encode()) for part in parts)
    return f"{signed}.{_unpadded(_hmac(key, signed.encode(), ALGORITHMS['HS256']))}"


def _signed_claims(token: str, keys: Sequence[str]) -> Mapping[str, Any] | None:
    match = _TOKEN.fullmatch(token)
    if match is None:
        return None
    header, payload, given = match.groups()
    head = _json(header)
    name = head.get("alg")
    algorithm = ALGORITHMS.get(name) if isinstance(name, str) else None
    if algorithm is None or "crit" in head:
        return None
    signed = f"{header}.{payload}".encode()
    # Compared as text: base64 has several spellings of the same bytes, and only one of them was sent.
    if not signing.is_one_of(given, [_unpadded(_hmac(key, signed, algorithm)) for key in keys]):
        return None
    return _json(payload)


def _are_about(claims: Mapping[str, Any], webhook: Webhook, now: float) -> bool:
    begins, ends, issued = (_seconds(claims.get(name)) for name in ("nbf", "exp", "iat"))
    if begins is None or ends is None or not begins - LEEWAY_S <= now < ends + LEEWAY_S:
        return False
    if "iat" in claims and (issued is None or issued - LEEWAY_S > now):
        return False
    if claims.get("iss") != ISSUER or not as_text(claims.get("jti")) or not webhook.url:
        return False
    url_hash = hashlib.sha256(webhook.url.encode("utf-8", "surrogatepass")).hexdigest()
    body_hash = hashlib.sha256(webhook.body).hexdigest() if webhook.body else None
    return _is_same(claims.get("url_hash"), url_hash) and _is_same(claims.get("payload_hash"), body_hash)


def _is_genuine_by_legacy(webhook: Webhook, keys: Sequence[str], now: float) -> bool:
    given, timestamp = webhook.headers.get(LEGACY_HEADER, ""), webhook.headers.get(TIMESTAMP_HEADER, "")
    if not given or not _SECONDS.fullmatch(timestamp) or abs(now - int(timestamp)) > LEGACY_WINDOW_S:
        return False
    query = urlencode(sorted(webhook.query.items()), errors="surrogatepass")
    signed = b"\n".join([timestamp.encode(), query.encode(), hashlib.sha256(webhook.body).digest()])
    return signing.is_one_of(given, [base64.b64encode(_hmac(key, signed, "sha256")).decode() for key in keys])


def _hmac(key: str, message: bytes, algorithm: str) -> bytes:
    return hmac.digest(key.encode(), message, algorithm)


def _unpadded(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _json(segment: str) -> Mapping[str, Any]:
    try:
        return as_mapping(json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))))
    except (ValueError, RecursionError, binascii.Error):
        return {}


def _seconds(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _is_same(given: object, expected: str | None) -> bool:
    if expected is None or not isinstance(given, str):
        return given is expected
    return signing.is_one_of(given, [expected])
