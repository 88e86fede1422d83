"""Signatures of webhooks, compared without telling an attacker how near they came."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping


def accepted(secrets: Mapping[str, str], name: str) -> tuple[str, ...]:
    """The values `name` may have now: the current one and, during rotation, the previous one. Never a blank."""
    values = (secrets.get(name), secrets.get(f"{name}_previous"))
    return tuple(value for value in values if value and value.strip())


def is_signed(body: bytes, digest: str, secrets: Iterable[str]) -> bool:
    """Whether `digest`, lower-case hex, is the HMAC-SHA256 of `body` under one of `secrets`."""
    given = digest.encode()
    fits = [hmac.compare_digest(hex_signature(body, secret).encode(), given) for secret in secrets]
    return any(fits)


def hex_signature(body: bytes, secret: str) -> str:
    """The HMAC-SHA256 that `is_signed` looks for."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def is_one_of(given: str, accepted_values: Iterable[str]) -> bool:
    """Whether `given` equals one of the accepted values, in constant time."""
    fits = [
        hmac.compare_digest(given.encode("utf-8", "replace"), value.encode()) for value in accepted_values
    ]
    return any(fits)
