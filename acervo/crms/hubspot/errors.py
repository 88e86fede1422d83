"""What HubSpot's refusals mean, in our kinds and in words. Nothing of the answer is quoted but code words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import httpx

from acervo.crms.contract import CrmError, CrmErrorKind

_CODE_WORD = re.compile(r"^[A-Z][A-Z0-9_]{2,60}$")
_EXISTING_ID = re.compile(r"Existing ID:\s*(\d+)", re.IGNORECASE)
_VALUE_CODES = re.compile(r'"error"\s*:\s*"([A-Z][A-Z0-9_]+)"')
_OUR_FIELDS = re.compile(r"\bwa_[a-z0-9_]+\b")
_UNIQUE_CODES = frozenset({"CONFLICTING_UNIQUE_VALUE", "STORAGE_UNIQUE_CONFLICT"})

# HubSpot documents no Retry-After for 429; the policy tells how long its window is (usage guidelines, 2026-11).
_POLICY_WAIT_S = {"SECONDLY": 1.0, "TEN_SECONDLY_ROLLING": 10.0}
_DAILY_WAIT_S = 3600.0
"""The day ends at midnight in the portal's time zone; asking once an hour is late by an hour at most."""

_BY_STATUS: Mapping[int, tuple[CrmErrorKind, str]] = {
    400: (CrmErrorKind.VALIDATION, "HubSpot did not accept a value"),
    # We send static tokens only, so an expired one is as dead as a revoked one: nothing here can refresh it.
    401: (CrmErrorKind.AUTH_REVOKED, "HubSpot no longer accepts our access; reconnect it"),
    403: (CrmErrorKind.FORBIDDEN, "the token lacks a scope, or the HubSpot plan lacks this feature"),
    404: (CrmErrorKind.NOT_FOUND, "the record does not exist in HubSpot (any more)"),
    409: (CrmErrorKind.CONFLICT, "HubSpot already has a record with this value"),
    414: (CrmErrorKind.VALIDATION, "the request was too long for HubSpot"),
    423: (CrmErrorKind.LOCKED, "HubSpot is changing this record itself just now"),
    429: (CrmErrorKind.RATE_LIMITED, "HubSpot's limit is reached"),
    500: (CrmErrorKind.UNAVAILABLE, "HubSpot failed inside"),
    477: (CrmErrorKind.UNAVAILABLE, "HubSpot is moving this account"),
}
_FIXED_WAIT_S = {423: 2.0}

_BY_CATEGORY: Mapping[str, CrmErrorKind] = {
    "VALIDATION_ERROR": CrmErrorKind.VALIDATION,
    "OBJECT_NOT_FOUND": CrmErrorKind.NOT_FOUND,
    "CONFLICT": CrmErrorKind.CONFLICT,
    "MISSING_SCOPES": CrmErrorKind.FORBIDDEN,
    "RATE_LIMITS": CrmErrorKind.RATE_LIMITED,
    "INTERNAL_ERROR": CrmErrorKind.UNAVAILABLE,
}


def read_error(response: httpx.Response) -> CrmError:
    """The CrmError behind an answer that is not 2xx, whatever its body is."""
    body = _body(response)
    status = response.status_code
    kind, words = _BY_STATUS.get(status, (_kind_of_unlisted(status), f"HubSpot answered {status}"))
    wait_s = _FIXED_WAIT_S.get(status)
    if status == 429:
        kind, words, wait_s = _limit(body)
    if status == 477:
        wait_s = _seconds(response.headers.get("Retry-After"))
    return _error(kind, words, body, status=status, retry_after_s=wait_s)


def read_item_error(body: Mapping[str, Any]) -> CrmError:
    """The CrmError of one entry in `errors` of a 207 answer."""
    category = str(body.get("category", ""))
    kind = _BY_CATEGORY.get(category, CrmErrorKind.VALIDATION)
    words = next((words for known, words in _BY_STATUS.values() if known is kind), "HubSpot refused it")
    return _error(kind, words, body, status=207, retry_after_s=None)


def _error(
    kind: CrmErrorKind, words: str, body: Mapping[str, Any], *, status: int, retry_after_s: float | None
) -> CrmError:
    codes = tuple(dict.fromkeys(_codes(body)))
    if kind is CrmErrorKind.VALIDATION and _UNIQUE_CODES.intersection(codes):
        kind, words = _BY_STATUS[409]
    existing = _EXISTING_ID.search(_message(body)) if kind is CrmErrorKind.CONFLICT else None
    fields = ", ".join(dict.fromkeys(_OUR_FIELDS.findall(_message(body))))
    return CrmError(
        kind,
        f"{words} ({fields})" if fields else words,
        status=status,
        vendor_code=" ".join(codes) or None,
        correlation_id=_identifier(body.get("correlationId")),
        retry_after_s=retry_after_s,
        existing_id=existing[1] if existing else None,
    )


def _limit(body: Mapping[str, Any]) -> tuple[CrmErrorKind, str, float]:
    policy = str(body.get("policyName", "")).upper()
    if policy == "DAILY":
        return CrmErrorKind.QUOTA_EXHAUSTED, "HubSpot's limit for today is used up", _DAILY_WAIT_S
    kind, words = _BY_STATUS[429]
    return kind, words, _POLICY_WAIT_S.get(policy, 10.0)


def _kind_of_unlisted(status: int) -> CrmErrorKind:
    return CrmErrorKind.UNAVAILABLE if status >= 500 or status < 400 else CrmErrorKind.VALIDATION


def _codes(body: Mapping[str, Any]) -> Iterator[str]:
    """Category, sub-category, policy and value codes, as far as they are nothing but code words."""
    nested = body.get("errors")
    parts = (
        [body, *(part for part in nested if isinstance(part, dict))] if isinstance(nested, list) else [body]
    )
    for part in parts:
        for name in ("category", "subCategory", "policyName", "code"):
            if _CODE_WORD.match(str(part.get(name, ""))):
                yield str(part[name])
        yield from _VALUE_CODES.findall(_message(part))


def _message(body: Mapping[str, Any]) -> str:
    return str(body.get("message", ""))[:20_000]


def _identifier(value: object) -> str | None:
    text = str(value or "")
    return text if re.fullmatch(r"[0-9a-fA-F-]{8,64}", text) else None


def _seconds(value: str | None) -> float | None:
    return float(value) if value and value.isdigit() else None


def _body(response: httpx.Response) -> Mapping[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
