"""Our card on HubSpot's records: it fetches from us through HubSpot, which signs the call in its third way (v3)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs, urlsplit

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
)

SIGNATURE: Final = "x-hubspot-signature-v3"
TIMESTAMP: Final = "x-hubspot-request-timestamp"
_DECODED: Final = re.compile("%(3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)
"""Escapes that HubSpot takes back before it signs an address (documentation, 2026-11)."""
_TYPES: Final = {"0-1": "contact", "0-3": "deal", "0-5": "ticket"}


def origins(trust: Trust) -> tuple[str, ...]:
    domain = trust.options.get("ui_domain")
    if not domain:
        return ()
    scheme = "http" if (trust.api_base or "").startswith("http://") else "https"
    return (origin_of(f"{scheme}://{domain}"),)


def verify(trust: Trust, knock: Knock, now: float) -> Opening:
    """HubSpot adds who asks, and from which account, to the address that it signs."""
    timestamp = knock.headers.get(TIMESTAMP, "")
    signed = knock.method.encode() + signed_address(knock.uri).encode() + knock.body + timestamp.encode()
    expected = base64.b64encode(hmac.new(trust.secret.encode(), signed, hashlib.sha256).digest())
    if not trust.secret or not hmac.compare_digest(expected, knock.headers.get(SIGNATURE, "").encode()):
        raise Unproven("The signature is not that of the installed app.")
    _refuse_stale(timestamp, now)
    asked = _asked(knock.uri)
    if asked["portalId"] != trust.account_id or (trust.app_id and asked["appId"] != trust.app_id):
        raise OfAnotherAccount()
    if not asked["userId"]:
        raise Unproven("Nobody is named.")
    return Opening(
        agent_id=asked["userId"],
        email=asked["userEmail"],
        object_name=asked["objectTypeId"],
        record_id=asked["objectId"],
        proof=signed,
    )


def signed_address(uri: str) -> str:
    return _DECODED.sub(lambda found: chr(int(found[1], 16)), uri)


def _refuse_stale(timestamp: str, now: float) -> None:
    if not re.fullmatch(r"[0-9]{10,16}", timestamp):
        raise Unproven("Nothing says when it was signed.")
    age_s = now - int(timestamp) / 1000
    if not -SKEW_S <= age_s < STALE_AFTER_S:
        raise Stale()


def _asked(uri: str) -> Mapping[str, str]:
    """A name told twice is taken for not told: what of it would be checked, and what used?"""
    told = parse_qs(urlsplit(uri).query)
    names = ("portalId", "appId", "userId", "userEmail", "objectTypeId", "objectId")
    return {name: told[name][0] if len(told.get(name, [])) == 1 else "" for name in names}


EMBEDDING: Final = Embedding(
    origins=origins,
    object_types=_TYPES,
    verify=verify,
    opens="fetch",
    needs=("secret",),
)
