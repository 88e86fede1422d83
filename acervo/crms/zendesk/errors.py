"""What Zendesk's refusals mean, in our kinds and in words. Nothing of the answer is quoted but code words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import httpx

from acervo.crms.contract import CrmError, CrmErrorKind

_CODE_WORD = re.compile(r"^[A-Za-z][A-Za-z_]{2,60}$")
_REQUEST_ID = re.compile(r"^[0-9a-fA-F-]{8,64}$")
_OUR_FIELDS = re.compile(r"\bwa_[a-z0-9_]+\b|\bmedia_url\b|\bexternal_id\b")
_DUPLICATES = frozenset({"DuplicateValue", "Duplicate", "TakenValue"})
_UNFIT_FILE = frozenset({"AttachmentUnprocessable", "AttachmentTooLarge"})
NO_SUCH_FEATURE = "InvalidEndpoint"
"""404 with this word: the plan lacks the feature. With `RecordNotFound`: the id is wrong."""

_BY_STATUS: Mapping[int, tuple[CrmErrorKind, str]] = {
    400: (CrmErrorKind.VALIDATION, "Zendesk did not understand a value"),
    401: (CrmErrorKind.AUTH_EXPIRED, "Zendesk wants a new token"),
    403: (CrmErrorKind.FORBIDDEN, "the owner of our access may not do this in Zendesk, or the plan lacks it"),
    404: (CrmErrorKind.NOT_FOUND, "the record does not exist in Zendesk (any more)"),
    409: (CrmErrorKind.LOCKED, "Zendesk is changing this record itself just now"),
    413: (CrmErrorKind.VALIDATION, "the request was too long for Zendesk"),
    414: (CrmErrorKind.VALIDATION, "the request was too long for Zendesk"),
    422: (CrmErrorKind.VALIDATION, "Zendesk did not accept a value"),
    429: (CrmErrorKind.RATE_LIMITED, "Zendesk's limit is reached"),
    500: (CrmErrorKind.UNAVAILABLE, "Zendesk failed inside"),
    503: (CrmErrorKind.UNAVAILABLE, "Zendesk is not available"),
}
_CLIENT_REFUSED = frozenset({"invalid_client", "invalid_grant", "unauthorized_client"})
_LIMIT_WAIT_S = 30.0
"""Every 429 carries Retry-After (2026-11); this is for one that does not."""


def read_error(response: httpx.Response) -> CrmError:
    """The CrmError behind an answer that is not 2xx, in any of Zendesk's four shapes."""
    body = _body(response)
    status = response.status_code
    codes = tuple(dict.fromkeys(code for code in _codes(body) if _CODE_WORD.match(code)))
    kind, words = _BY_STATUS.get(status, (_kind_of_unlisted(status), f"Zendesk answered {status}"))
    kind, words = _sharpened(kind, words, status, codes)
    fields = ", ".join(dict.fromkeys(_OUR_FIELDS.findall(" ".join(_fields(body)))))
    return CrmError(
        kind,
        f"{words} ({fields})" if fields else words,
        status=status,
        vendor_code=" ".join(codes) or None,
        correlation_id=_identifier(response.headers.get("X-Request-Id")),
        retry_after_s=_wait_s(response),
    )


def read_error_of_fixed_token(response: httpx.Response) -> CrmError:
    """As above, for an API token: nothing can renew one that is refused."""
    error = read_error(response)
    if error.kind is CrmErrorKind.AUTH_EXPIRED:
        return CrmError(
            CrmErrorKind.AUTH_REVOKED,
            "Zendesk no longer accepts our API token; connect with an OAuth client",
            status=error.status,
            vendor_code=error.vendor_code,
            correlation_id=error.correlation_id,
        )
    return error


def _sharpened(
    kind: CrmErrorKind, words: str, status: int, codes: tuple[str, ...]
) -> tuple[CrmErrorKind, str]:
    """What the code words say beyond the status."""
    if status == 401 and _CLIENT_REFUSED.intersection(codes):
        return CrmErrorKind.AUTH_REVOKED, "Zendesk no longer accepts our OAuth client; reconnect it"
    if status == 404 and NO_SUCH_FEATURE in codes:
        return CrmErrorKind.FORBIDDEN, "the Zendesk plan lacks this feature"
    if status == 409 and "UpdateConflict" in codes:
        return CrmErrorKind.CONFLICT, "somebody changed the ticket at the same moment"
    if status == 413 or _UNFIT_FILE.intersection(codes):
        return (
            CrmErrorKind.VALIDATION,
            "the file is too large for Zendesk, or this account takes none of its type",
        )
    if status == 422 and _DUPLICATES.intersection(codes):
        return CrmErrorKind.CONFLICT, "Zendesk already has a record with this value"
    return kind, words


def _wait_s(response: httpx.Response) -> float | None:
    asked = response.headers.get("Retry-After", "")
    if asked.isdigit():
        return float(asked)
    return _LIMIT_WAIT_S if response.status_code == 429 else None


def _kind_of_unlisted(status: int) -> CrmErrorKind:
    return CrmErrorKind.UNAVAILABLE if status >= 500 or status < 400 else CrmErrorKind.VALIDATION


def _codes(body: Mapping[str, Any]) -> Iterator[str]:
    error = body.get("error")
    if isinstance(error, str):
        yield error
    elif isinstance(error, dict):
        yield str(error.get("title", ""))
    for part in _listed(body.get("errors")):
        yield str(part.get("code", ""))
    for parts in _details(body).values():
        for part in _listed(parts):
            yield str(part.get("error", ""))


def _fields(body: Mapping[str, Any]) -> Iterator[str]:
    """Where our own field names may stand; what else stands there stays there."""
    yield from map(str, _details(body))
    yield str(body.get("description", ""))[:20_000]
    for part in _listed(body.get("errors")):
        yield str(part.get("detail", ""))[:20_000]
    for parts in _details(body).values():
        for part in _listed(parts):
            yield str(part.get("description", ""))[:20_000]


def _details(body: Mapping[str, Any]) -> Mapping[str, Any]:
    details = body.get("details")
    return details if isinstance(details, dict) else {}


def _listed(parts: Any) -> list[Mapping[str, Any]]:
    return [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []


def _identifier(value: str | None) -> str | None:
    return value if value and _REQUEST_ID.match(value) else None


def _body(response: httpx.Response) -> Mapping[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
