"""Standard Webhooks: the secret a receiver gets, and the three headers by which they know that it was us."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import b64decode, b64encode
from collections.abc import Sequence
from datetime import datetime
from typing import Final

PREFIX: Final = "whsec_"
SECRET_BYTES: Final = 32
"""The scheme asks for 24 to 64."""


def new_secret() -> str:
    return PREFIX + b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def is_secret(value: str) -> bool:
    """Whether a secret that somebody else made is one of the scheme."""
    try:
        return value.startswith(PREFIX) and 24 <= len(_key(value)) <= 64
    except ValueError:
        return False


def headers(keys: Sequence[str], message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """Signed with every key that counts, the newest first: while one is replaced, either verifies."""
    stamp = str(int(at.timestamp()))
    signed = f"{message_id}.{stamp}.".encode() + body
    return {
        "webhook-id": message_id,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(f"v1,{_signature(key, signed)}" for key in keys),
    }


def _signature(secret: str, signed: bytes) -> str:
    return b64encode(hmac.new(_key(secret), signed, hashlib.sha256).digest()).decode()


def _key(secret: str) -> bytes:
    return b64decode(secret.removeprefix(PREFIX), validate=True)
