"""What Salesforce's refusals mean, in our kinds and in words. Nothing of the answer is quoted but code words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import httpx

from acervo.crms.contract import CrmError, CrmErrorKind

QUOTA_WAIT_S = 3600.0
"""The allowance is one of any 24 hours, so it comes back little by little; Salesforce says no time."""

_CODE_WORD = re.compile(r"^[A-Z][A-Z0-9_]{2,60}$")
_OUR_FIELDS = re.compile(r"\b(?:WA_)?[A-Z][A-Za-z0-9_]*__c\b")
_MATCHED_ID = re.compile(r'"Id": "([A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?)"')
_TOO_LARGE = "Maximum size of request"
"""In a message, whatever its code."""
_EXISTING_ID = re.compile(r"record with id:\s*([A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?)\b")

_BY_CODE: Mapping[str, tuple[CrmErrorKind, str]] = {
    "INVALID_SESSION_ID": (CrmErrorKind.AUTH_EXPIRED, "Salesforce no longer accepts our session"),
    "INVALID_AUTH_HEADER": (CrmErrorKind.AUTH_EXPIRED, "Salesforce no longer accepts our session"),
    "REQUEST_LIMIT_EXCEEDED": (CrmErrorKind.QUOTA_EXHAUSTED, "Salesforce's limit for 24 hours is used up"),
    "API_DISABLED_FOR_ORG": (CrmErrorKind.FORBIDDEN, "this Salesforce edition has no API"),
    "API_CURRENTLY_DISABLED": (CrmErrorKind.FORBIDDEN, "the API is switched off for our user"),
    "INSUFFICIENT_ACCESS": (CrmErrorKind.FORBIDDEN, "our Salesforce user lacks a permission"),
    "INSUFFICIENT_ACCESS_OR_READONLY": (CrmErrorKind.FORBIDDEN, "our Salesforce user lacks a permission"),
    "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY": (
        CrmErrorKind.VALIDATION,
        "a flow or trigger in Salesforce stopped the write",
    ),
    "INVALID_FIELD": (CrmErrorKind.FORBIDDEN, "our Salesforce user does not see a field it needs"),
    "INVALID_FIELD_FOR_INSERT_UPDATE": (CrmErrorKind.FORBIDDEN, "our Salesforce user may not write a field"),
    "INVALID_TYPE": (CrmErrorKind.FORBIDDEN, "our Salesforce user does not see an object it needs"),
    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": (
        CrmErrorKind.NOT_FOUND,
        "the record does not exist in Salesforce (any more), or our user may not see it",
    ),
    "NOT_FOUND": (CrmErrorKind.NOT_FOUND, "the record does not exist in Salesforce (any more)"),
    "ENTITY_IS_DELETED": (CrmErrorKind.NOT_FOUND, "the record was deleted in Salesforce"),
    "INVALID_CROSS_REFERENCE_KEY": (CrmErrorKind.NOT_FOUND, "the record does not exist in Salesforce"),
    "MALFORMED_ID": (CrmErrorKind.NOT_FOUND, "there is no such record in Salesforce"),
    "DUPLICATE_VALUE": (CrmErrorKind.CONFLICT, "Salesforce already has a record with this value"),
    "DUPLICATES_DETECTED": (CrmErrorKind.CONFLICT, "a duplicate rule in Salesforce stopped the write"),
    "UNABLE_TO_LOCK_ROW": (CrmErrorKind.LOCKED, "Salesforce is changing this record just now"),
    "SERVER_UNAVAILABLE": (CrmErrorKind.UNAVAILABLE, "Salesforce is not available"),
    "QUERY_TIMEOUT": (CrmErrorKind.UNAVAILABLE, "Salesforce took too long to search"),
    "UNKNOWN_EXCEPTION": (CrmErrorKind.UNAVAILABLE, "Salesforce failed inside"),
    "STORAGE_LIMIT_EXCEEDED": (CrmErrorKind.FORBIDDEN, "the storage of this Salesforce account is full"),
}
_BY_STATUS: Mapping[int, tuple[CrmErrorKind, str]] = {
    300: (CrmErrorKind.CONFLICT, "Salesforce has several records with this value"),
    400: (CrmErrorKind.VALIDATION, "Salesforce did not accept a value"),
    401: (CrmErrorKind.AUTH_EXPIRED, "Salesforce no longer accepts our session"),
    403: (CrmErrorKind.FORBIDDEN, "our Salesforce user lacks a permission"),
    404: (CrmErrorKind.NOT_FOUND, "the record does not exist in Salesforce (any more)"),
    413: (CrmErrorKind.VALIDATION, "this is too large for Salesforce"),
    429: (CrmErrorKind.RATE_LIMITED, "Salesforce asks us to slow down"),
}
_WAIT_S = {
    CrmErrorKind.QUOTA_EXHAUSTED: QUOTA_WAIT_S,
    CrmErrorKind.LOCKED: 2.0,
    CrmErrorKind.RATE_LIMITED: 5.0,
}

_TOKEN_TROUBLE = frozenset({"server_error", "temporarily_unavailable", "rate_limit_exceeded"})


def read_error(response: httpx.Response) -> CrmError:
    """The CrmError behind an answer that is not 2xx, whatever its body is."""
    return _error(_entries(_body(response)), response.status_code)


def read_part(status: int, body: Any) -> CrmError:
    """The CrmError of one part of a composite call."""
    return _error(_entries(body), status)


def read_item_errors(errors: Any) -> CrmError:
    """The CrmError of one record that was refused among others."""
    entries = [
        {**entry, "errorCode": entry.get("statusCode") or entry.get("errorCode")}
        for entry in _entries(errors)
    ]
    return _error(entries, 400)


def read_token_error(response: httpx.Response) -> CrmError:
    """The token endpoint speaks OAuth: an object with `error`. What it says of passwords and users is not quoted."""
    body = _body(response)
    code = str(body.get("error", "")) if isinstance(body, dict) else ""
    if response.status_code >= 500 or code in _TOKEN_TROUBLE or response.status_code == 429:
        return CrmError(
            CrmErrorKind.UNAVAILABLE, "Salesforce gives no access just now", status=response.status_code
        )
    return CrmError(
        CrmErrorKind.AUTH_REVOKED,
        "Salesforce no longer gives us access; check the app, its user and its secret, and reconnect",
        status=response.status_code,
        vendor_code=code if re.fullmatch(r"[a-z_]{3,60}", code) else None,
    )


def _error(entries: Sequence[Mapping[str, Any]], status: int) -> CrmError:
    codes = tuple(dict.fromkeys(_codes(entries)))
    kind, words = next((_BY_CODE[code] for code in codes if code in _BY_CODE), _of_status(status))
    if kind is CrmErrorKind.QUOTA_EXHAUSTED and "Concurrent" in _messages(entries):
        kind, words = CrmErrorKind.RATE_LIMITED, "Salesforce is doing too much for this account just now"
    if _TOO_LARGE in _messages(entries):
        kind, words = _BY_STATUS[413]
    fields = ", ".join(dict.fromkeys(_fields(entries)))
    existing = _existing(entries) if kind is CrmErrorKind.CONFLICT else None
    return CrmError(
        kind,
        f"{words} ({fields})" if fields else words,
        status=status,
        vendor_code=" ".join(codes) or None,
        retry_after_s=_WAIT_S.get(kind),
        existing_id=existing,
    )


def _of_status(status: int) -> tuple[CrmErrorKind, str]:
    if known := _BY_STATUS.get(status):
        return known
    is_theirs = status >= 500 or status < 400
    return (
        CrmErrorKind.UNAVAILABLE if is_theirs else CrmErrorKind.VALIDATION
    ), f"Salesforce answered {status}"


def _codes(entries: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    return (code for entry in entries if _CODE_WORD.match(code := str(entry.get("errorCode", ""))))


def _fields(entries: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    """Our own fields, named beside the error or inside its text."""
    for entry in entries:
        named = entry.get("fields")
        words = [str(name) for name in named] if isinstance(named, list) else []
        yield from _OUR_FIELDS.findall(" ".join([*words, str(entry.get("message", ""))])[:20_000])


def _existing(entries: Sequence[Mapping[str, Any]]) -> str | None:
    """The one record a unique value, or a duplicate rule, says is there already."""
    if named := _EXISTING_ID.search(_messages(entries)):
        return named[1]
    found = {record_id for entry in entries for record_id in _MATCHED_ID.findall(json.dumps(_matches(entry)))}
    return found.pop() if len(found) == 1 else None


def _matches(entry: Mapping[str, Any]) -> Any:
    """Of a duplicate rule; the name in batches is misspelt by Salesforce itself."""
    return entry.get("duplicateResult") or entry.get("duplicateResut")


def _messages(entries: Iterable[Mapping[str, Any]]) -> str:
    return " ".join(str(entry.get("message", "")) for entry in entries)[:20_000]


def _entries(body: Any) -> list[Mapping[str, Any]]:
    """Errors are an array of objects everywhere but at the token endpoint."""
    rows = body if isinstance(body, list) else [body]
    return [row for row in rows if isinstance(row, dict)]


def _body(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None
