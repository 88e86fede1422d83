"""What Meta's refusals mean for a file, as a table: by its own code first, then by HTTP status."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from acervo.base.errors import AcervoError
from acervo.providers.asking import (
    BLOCKED,
    FORBIDDEN,
    GONE,
    LIMITED,
    LONGEST_WAIT_S,
    REVOKED,
    TIMED_OUT,
    UNKNOWN,
    UNWELL,
    URL_DIED,
    Meaning,
)
from acervo.providers.contract import Outcome, ProviderBusy, Usage
from acervo.providers.untrusted import as_count, as_mapping, as_number, as_sequence

UNAVAILABLE_OBJECT = 100
"""With subcode 33: expired, deleted, another number's, or not permitted. Meta does not say which."""

# Graph API error codes, "Cloud API error codes" page as of April 2026.
BY_CODE: Mapping[int, Meaning] = {
    UNAVAILABLE_OBJECT: GONE,
    0: REVOKED,
    190: REVOKED,
    3: FORBIDDEN,
    10: FORBIDDEN,
    131005: FORBIDDEN,
    **dict.fromkeys(range(200, 300), FORBIDDEN),
    368: BLOCKED,
    130497: BLOCKED,
    131031: BLOCKED,
    4: LIMITED,
    80007: LIMITED,
    130429: LIMITED,
    1: UNWELL,
    2: UNWELL,
    131000: UNWELL,
    131016: UNWELL,
    131057: UNWELL,
    133004: UNWELL,
}

# A plain 404 or 410 from the Graph host, without Meta's own code, is a proxy or a wrong base URL: never final.
RESOLVE_BY_STATUS: Mapping[int, Meaning] = {401: REVOKED, 403: FORBIDDEN, 408: TIMED_OUT, 429: LIMITED}
DOWNLOAD_BY_STATUS: Mapping[int, Meaning] = {
    **RESOLVE_BY_STATUS,
    400: URL_DIED,
    404: URL_DIED,  # documented order: re-resolve, then refresh the token, then back off
    410: URL_DIED,
}

_TRACE = re.compile(r"[A-Za-z0-9_\-]{1,64}")


@dataclass(frozen=True, slots=True)
class GraphError:
    """Meta's own account of a refusal; its message is left out, it quotes ids and dates."""

    code: int | None = None
    subcode: int | None = None
    trace_id: str | None = None

    @classmethod
    def of(cls, body: bytes) -> GraphError:
        """The error in an answer's body; all None when there is none."""
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            return cls()
        error = as_mapping(as_mapping(answer).get("error"))
        trace = error.get("fbtrace_id")
        return cls(
            code=as_count(error.get("code")),
            subcode=as_count(error.get("error_subcode")),
            trace_id=trace if isinstance(trace, str) and _TRACE.fullmatch(trace) else None,
        )


def refusal(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    by_status: Mapping[int, Meaning] = RESOLVE_BY_STATUS,
    vendor: str = "Meta",
) -> AcervoError:
    """The error an answer means. `vendor` answered: Meta, or a partner that passes Meta's codes on."""
    error = GraphError.of(body)
    kind, outcome = _meaning(error, status, by_status)
    facts = {"http_status": status, "vendor_code": error.code, "vendor_subcode": error.subcode}
    detail = f"{vendor} answered HTTP {status}" + (f", code {error.code}." if error.code is not None else ".")
    if kind is ProviderBusy:
        wait_s = wanted_wait_s(headers) if outcome is Outcome.RATE_LIMITED or status == 503 else None
        return ProviderBusy(detail, after_s=wait_s, code=outcome, trace_id=error.trace_id, **facts)
    return kind(detail, code=outcome, trace_id=error.trace_id, **facts)


def usage(headers: Mapping[str, str]) -> Usage | None:
    """`X-App-Usage` and `X-Business-Use-Case-Usage`: percentages spent, and minutes until access returns."""
    found = {name.lower(): value for name, value in headers.items()}
    business = [
        limit
        for limits in as_mapping(_json(found.get("x-business-use-case-usage"))).values()
        for limit in as_sequence(limits)
        if isinstance(limit, dict)
    ]
    app = as_mapping(_json(found.get("x-app-usage")))
    is_old_version = "x-ad-api-version-warning" in found
    if not business and not app and not is_old_version:
        return None
    minutes = [_number(limit, "estimated_time_to_regain_access") for limit in business]
    return Usage(
        percent=max((_spent(limit) for limit in [*business, app]), default=0.0),
        regain_after_s=max(minutes, default=0.0) * 60,
        facts={"api_version_is_ending": True} if is_old_version else {},
    )


def wanted_wait_s(headers: Mapping[str, str]) -> float | None:
    """How long Meta asks us to wait, in seconds; None when it does not say."""
    found = {name.lower(): value for name, value in headers.items()}
    told = usage(headers)
    wishes = [as_number(found.get("retry-after")) or 0.0, told.regain_after_s if told else 0.0]
    wait_s = max(wishes)
    return min(wait_s, LONGEST_WAIT_S) if wait_s > 0 else None


def _meaning(error: GraphError, status: int, by_status: Mapping[int, Meaning]) -> Meaning:
    meaning = BY_CODE.get(error.code) if error.code is not None else None
    if meaning is not None and not (meaning is GONE and status >= 500):
        return meaning
    if status >= 500:
        return UNWELL
    return by_status.get(status, UNKNOWN)


def _spent(limit: Mapping[str, Any]) -> float:
    return max(_number(limit, name) for name in ("call_count", "total_cputime", "total_time"))


def _number(limit: Mapping[str, Any], name: str) -> float:
    return max(as_number(limit.get(name)) or 0.0, 0.0)


def _json(text: str | None) -> Any:
    try:
        return json.loads(text or "null")
    except (ValueError, RecursionError):
        return None
