"""Our panel in Zendesk's sidebars: the first request of an app with signed addresses brings a JWT, signed with RS256."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

from acervo.crms.embedding import (
    SKEW_S,
    STALE_AFTER_S,
    Embedding,
    Knock,
    OfAnotherAccount,
    Opening,
    Stale,
    Trust,
    Unproven,
    origin_of,
    read_public_key,
)

ALGORITHM: Final = "RS256"
LONGEST_TOKEN: Final = 8192
LAST_MOMENT: Final = 2**40
SDK_ORIGIN: Final = "https://static.zdassets.com"
_PART: Final = re.compile(r"[A-Za-z0-9_-]+")
_USER: Final = re.compile(r"(?:.*/)?([0-9]{1,20})(?:\.json)?")


def origins(trust: Trust) -> tuple[str, ...]:
    return (origin_of(_home(trust)),)


def verify(trust: Trust, knock: Knock, now: float) -> Opening:
    """Which record the page stands beside is not in the token: the page says so, and sees what is tied to it."""
    signed, claims = _read(knock.form.get("token", ""), trust.public_key)
    _refuse_others(claims, trust)
    _refuse_stale(claims, now)
    user = _USER.fullmatch(str(claims.get("sub") or ""))
    if user is None:
        raise Unproven("The token names nobody.")
    return Opening(agent_id=user[1], proof=signed)


def _read(token: str, pem: str) -> tuple[bytes, Mapping[str, Any]]:
    """What was signed, and what it says. The header only ever confirms what we expect: it chooses nothing."""
    parts = token.split(".")
    if len(token) > LONGEST_TOKEN or len(parts) != 3 or not all(map(_PART.fullmatch, parts)):
        raise Unproven("This is not a signed token.")
    head, body, signature = parts
    if _json(head).get("alg") != ALGORITHM:
        raise Unproven("The token is signed in another way, or not at all.")
    signed = f"{head}.{body}".encode()
    try:
        read_public_key(pem).verify(_decoded(signature), signed, PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError) as error:
        raise Unproven("The signature is not that of the installed app.") from error
    return signed, _json(body)


def _refuse_others(claims: Mapping[str, Any], trust: Trust) -> None:
    home = _home(trust)
    audience = f"{home}/api/v2/apps/installations/{trust.app_id}.json"
    issuer = home.partition("://")[2]
    told = claims.get("aud")
    if audience not in (told if isinstance(told, list) else [told]) or claims.get("iss") != issuer:
        raise OfAnotherAccount()


def _refuse_stale(claims: Mapping[str, Any], now: float) -> None:
    issued_at, expires_at = (_moment(claims.get(name)) for name in ("iat", "exp"))
    not_before = _moment(claims.get("nbf", issued_at))
    if now >= expires_at + SKEW_S or now >= issued_at + STALE_AFTER_S + SKEW_S:
        raise Stale()
    if now < max(issued_at, not_before) - SKEW_S:
        raise Stale()


def _moment(claim: object) -> float:
    """In seconds since 1970. What is no number compares with nothing, and would never be over."""
    if isinstance(claim, bool) or not isinstance(claim, int | float) or not 0 <= claim <= LAST_MOMENT:
        raise Unproven("The token does not say when it was made, or until when it is good.")
    return float(claim)


def _json(part: str) -> Mapping[str, Any]:
    try:
        found = json.loads(_decoded(part))
    except (ValueError, RecursionError) as error:
        raise Unproven("The token cannot be read.") from error
    if not isinstance(found, dict):
        raise Unproven("The token cannot be read.")
    return found


def _decoded(part: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except binascii.Error as error:
        raise Unproven("The token cannot be read.") from error


def _home(trust: Trust) -> str:
    if trust.api_base:
        return trust.api_base.rstrip("/")
    return f"https://{trust.options.get('subdomain') or trust.account_id}.zendesk.com"


EMBEDDING: Final = Embedding(
    origins=origins,
    object_types={"user": "contact", "ticket": "ticket"},
    verify=verify,
    opens="page",
    needs=("app_id", "public_key"),
    sdk_origin=SDK_ORIGIN,
)
