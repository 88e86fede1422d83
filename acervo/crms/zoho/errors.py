"""What Zoho's refusals mean, in our kinds and in words. Nothing of the answer is quoted but code words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import httpx

from acervo.crms.contract import CrmError, CrmErrorKind

CREDITS_LEFT = "X-API-CREDITS-REMAINING"
"""Sent only once half of the day's credits are used (2026-11)."""
QUOTA_WAIT_S = 3600.0
"""Credits come back over a rolling day: asking once an hour is late by an hour at most."""
TOKEN_WAIT_S = 600.0
"""Ten tokens in ten minutes; the eleventh is refused for the rest of them."""
_LOCKED_WAIT_S = 2.0

_CODE_WORD = re.compile(r"^[A-Z][A-Z0-9_]{2,60}$")
_FIELD_NAME = re.compile(r"^\$?[A-Za-z][A-Za-z0-9_]{0,60}$")
_ID = re.compile(r"^\d{1,24}$")

_Meaning = tuple[CrmErrorKind, str]

_BY_CODE: Mapping[str, _Meaning] = {
    "INVALID_TOKEN": (CrmErrorKind.AUTH_EXPIRED, "Zoho's access token ended"),
    "AUTHENTICATION_FAILURE": (CrmErrorKind.AUTH_EXPIRED, "Zoho did not accept the access token"),
    "OAUTH_SCOPE_MISMATCH": (
        CrmErrorKind.FORBIDDEN,
        "the access lacks a scope; make a new grant with all of them",
    ),
    "NO_PERMISSION": (CrmErrorKind.FORBIDDEN, "the Zoho user, or the edition, may not do this"),
    "AUTHORIZATION_FAILED": (CrmErrorKind.FORBIDDEN, "the Zoho user may not do this"),
    "PERMISSION_DENIED": (CrmErrorKind.FORBIDDEN, "the Zoho user may not do this"),
    "NOT_ALLOWED": (CrmErrorKind.FORBIDDEN, "the edition does not allow this"),
    "LICENSE_LIMIT_EXCEEDED": (CrmErrorKind.FORBIDDEN, "the edition has no room for this"),
    "FEATURE_NOT_SUPPORTED": (CrmErrorKind.FORBIDDEN, "the edition does not have this"),
    "INVALID_MODULE": (CrmErrorKind.NOT_FOUND, "the module does not exist in Zoho (any more)"),
    "INVALID_URL_PATTERN": (CrmErrorKind.NOT_FOUND, "Zoho has nothing at this address"),
    "DUPLICATE_DATA": (CrmErrorKind.CONFLICT, "Zoho already has a record with this value"),
    "RECORD_LOCKED": (CrmErrorKind.LOCKED, "the record is locked in Zoho"),
    "RECORD_MODIFIED": (CrmErrorKind.LOCKED, "the record was changed at the same time"),
    "TOO_MANY_REQUESTS": (CrmErrorKind.RATE_LIMITED, "too many calls at once for Zoho"),
    "INTERNAL_ERROR": (CrmErrorKind.UNAVAILABLE, "Zoho failed inside"),
    "INVALID_DATA": (CrmErrorKind.VALIDATION, "Zoho did not accept a value"),
    "MANDATORY_NOT_FOUND": (CrmErrorKind.VALIDATION, "a field that is mandatory in Zoho is missing"),
    "LIMIT_EXCEEDED": (CrmErrorKind.VALIDATION, "Zoho has no room for more of this"),
    "FILE_SIZE_MORE_THAN_ALLOWED_SIZE": (CrmErrorKind.VALIDATION, "the file is larger than Zoho takes"),
    "BODY_SIZE_REACHED": (CrmErrorKind.VALIDATION, "the file is larger than Zoho takes"),
}
_BY_STATUS: Mapping[int, _Meaning] = {
    400: _BY_CODE["INVALID_DATA"],
    401: _BY_CODE["AUTHENTICATION_FAILURE"],
    403: _BY_CODE["NO_PERMISSION"],
    404: (CrmErrorKind.NOT_FOUND, "the record does not exist in Zoho (any more)"),
    412: _BY_CODE["RECORD_MODIFIED"],
    413: _BY_CODE["BODY_SIZE_REACHED"],
    415: (CrmErrorKind.VALIDATION, "Zoho does not take a file like this"),
    429: _BY_CODE["TOO_MANY_REQUESTS"],
}
_TOKEN_REFUSALS = frozenset({"invalid_code", "invalid_client", "invalid_client_secret", "invalid_grant"})


def read_error(response: httpx.Response) -> CrmError:
    """The CrmError behind an answer that is not 2xx, whatever its body is."""
    body, status = _body(response), response.status_code
    error = _error(_first(body), status)
    if error.kind is CrmErrorKind.RATE_LIMITED and response.headers.get(CREDITS_LEFT) == "0":
        error.kind, error.detail = CrmErrorKind.QUOTA_EXHAUSTED, "Zoho's credits for a day are used up"
        error.retry_after_s = QUOTA_WAIT_S
    return error


def read_item_error(entry: Mapping[str, Any]) -> CrmError:
    """The CrmError of one entry of a batch: Zoho answers 200 or 207 although it refused it."""
    return _error(entry, 207)


def read_token_error(response: httpx.Response) -> CrmError:
    """Of the accounts server, which refuses with 200 as well."""
    said = str(_body(response).get("error", ""))
    status = response.status_code
    if status >= 500:
        return CrmError(CrmErrorKind.UNAVAILABLE, "Zoho's accounts server failed", status=status)
    if said.casefold() == "access denied" or status == 429:
        words = "too many access tokens were asked for"
        return CrmError(CrmErrorKind.RATE_LIMITED, words, status=status, retry_after_s=TOKEN_WAIT_S)
    if said in _TOKEN_REFUSALS:
        words = "Zoho no longer accepts our access, or the data centre is another one; reconnect it"
        return CrmError(CrmErrorKind.AUTH_REVOKED, words, status=status, vendor_code=said)
    return CrmError(CrmErrorKind.AUTH_REVOKED, "Zoho gave no access token", status=status)


def refuses_field(error: CrmError, api_name: str) -> bool:
    """Whether it is this field that Zoho named as the reason."""
    return error.vendor_code is not None and error.vendor_code.endswith(f" {api_name}")


def _error(entry: Mapping[str, Any], status: int) -> CrmError:
    code = str(entry.get("code", ""))
    details = entry.get("details")
    details = details if isinstance(details, dict) else {}
    kind, words = _BY_CODE.get(code) or _BY_STATUS.get(status) or _unlisted(status)
    field = str(details.get("api_name", ""))
    if kind is CrmErrorKind.VALIDATION and (field == "id" or _is_about_the_address(code, details, status)):
        kind, words = _BY_STATUS[404]
    code_words = [code] if _CODE_WORD.match(code) else []
    if _FIELD_NAME.match(field):
        code_words.append(field)
    return CrmError(
        kind,
        f"{words} ({field})" if len(code_words) == 2 else words,
        status=status,
        vendor_code=" ".join(code_words) or None,
        retry_after_s=_LOCKED_WAIT_S if kind is CrmErrorKind.LOCKED else None,
        existing_id=_existing(details) if kind is CrmErrorKind.CONFLICT else None,
    )


def _is_about_the_address(code: str, details: Mapping[str, Any], status: int) -> bool:
    """Something that is gone is called invalid data too: with the part of the address that is meant, or with 404."""
    return code == "INVALID_DATA" and (status == 404 or "resource_path_index" in details)


def _existing(details: Mapping[str, Any]) -> str | None:
    """Zoho names the record that is there in one of two places, by version."""
    nested = details.get("duplicate_record")
    found = nested.get("id") if isinstance(nested, dict) else details.get("id")
    return str(found) if _ID.match(str(found)) else None


def _unlisted(status: int) -> _Meaning:
    is_theirs = status >= 500 or 300 <= status < 400
    kind = CrmErrorKind.UNAVAILABLE if is_theirs else CrmErrorKind.VALIDATION
    return kind, f"Zoho answered {status}"


def _first(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The refusal itself, or that of the only record, field or module of the call."""
    for name in ("data", "fields", "modules", "recycle_bin"):
        rows = body.get(name)
        if isinstance(rows, list) and rows and isinstance(rows[0], dict):
            return rows[0]
    return body


def _body(response: httpx.Response) -> Mapping[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
