"""How a number and its token are, in facts: what Graph's nodes say, in our names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from acervo.providers.untrusted import as_count, as_mapping, as_moment, as_sequence, as_word

Json = Mapping[str, Any]

MESSAGING_LIMIT = "whatsapp_business_manager_messaging_limit"
PERMISSIONS = ("whatsapp_business_messaging", "whatsapp_business_management")
"""Reading files and messages needs the first, everything about the account the second."""
UNWELL: Mapping[str, frozenset[str]] = {
    "quality_rating": frozenset({"RED"}),
    "status": frozenset(
        {"BANNED", "DELETED", "DISCONNECTED", "FLAGGED", "MIGRATED", "RATE_LIMITED", "RESTRICTED"}
    ),
    "account_mode": frozenset({"SANDBOX"}),
    "name_status": frozenset({"DECLINED", "EXPIRED"}),
}


def of_number(number: Json) -> dict[str, Any]:
    """Quality, limit, throughput and status of a phone number node; only what it says."""
    words = {
        "quality_rating": as_word(number.get("quality_rating")),
        "throughput": as_word(as_mapping(number.get("throughput")).get("level")),
        "platform_type": as_word(number.get("platform_type")),
        "messaging_limit": as_word(number.get(MESSAGING_LIMIT)),
        "status": as_word(number.get("status")),
        "account_mode": as_word(number.get("account_mode")),
        "code_verification_status": as_word(number.get("code_verification_status")),
        "name_status": as_word(number.get("name_status")),
    }
    facts: dict[str, Any] = {name: word for name, word in words.items() if word != "?"}
    if isinstance(number.get("is_on_biz_app"), bool):
        facts["is_on_biz_app"] = number["is_on_biz_app"]
    return facts


def unwell(facts: Json) -> dict[str, Any]:
    """Which of these facts a person should look at. An expired verification code is usual, and harmless."""
    named = [name for name, bad in UNWELL.items() if facts.get(name) in bad]
    return {"unwell": named} if named else {}


def of_token(told: Json) -> dict[str, Any]:
    """When the token and its access to data end (0 stands for never), and which permissions it lacks."""
    token = as_mapping(told.get("data"))
    ends = [
        at
        for name in ("expires_at", "data_access_expires_at")
        if as_count(token.get(name)) and (at := as_moment(token.get(name)))
    ]
    facts: dict[str, Any] = {"token_expires_at": min(ends).isoformat()} if ends else {}
    if not ends and as_count(token.get("expires_at")) == 0:
        facts["token_never_expires"] = True
    scopes = {as_word(scope) for scope in as_sequence(token.get("scopes"))}
    if scopes and (missing := [name for name in PERMISSIONS if name not in scopes]):
        facts["permissions_missing"] = missing
    return facts
