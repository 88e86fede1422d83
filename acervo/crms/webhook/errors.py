"""What a receiver's refusal means. Of its words only a code is taken: letters and underscores, so that no number of a
customer can be in it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx

from acervo.base import clock
from acervo.crms.contract import CrmError, CrmErrorKind

KINDS: Final[Mapping[int, CrmErrorKind]] = {
    401: CrmErrorKind.AUTH_REVOKED,
    402: CrmErrorKind.QUOTA_EXHAUSTED,
    403: CrmErrorKind.FORBIDDEN,
    404: CrmErrorKind.UNAVAILABLE,
    405: CrmErrorKind.UNAVAILABLE,
    408: CrmErrorKind.UNAVAILABLE,
    409: CrmErrorKind.CONFLICT,
    410: CrmErrorKind.FORBIDDEN,
    423: CrmErrorKind.LOCKED,
    425: CrmErrorKind.UNAVAILABLE,
    429: CrmErrorKind.RATE_LIMITED,
}
"""Of the address as a whole. A workflow that is switched off answers 404 as one that was never there: it is asked again
by the clock. 410 says that nobody wants this any more."""
OF_ONE: Final[Mapping[int, CrmErrorKind]] = {
    409: CrmErrorKind.CONFLICT,
    423: CrmErrorKind.LOCKED,
    429: CrmErrorKind.RATE_LIMITED,
}
"""Of one file among others; every other 4xx says that this file is not wanted so."""
CODES: Final[Mapping[int, str]] = {404: "not_there", 405: "not_there", 410: "gone"}
REDIRECTED: Final = "redirected"
LONGEST_WAIT_S: Final = 86_400.0

_CODE = re.compile(r"[a-z]+(?:_[a-z]+){0,7}")


def read_error(response: httpx.Response) -> CrmError:
    status = response.status_code
    code = code_of(_said(response)) or CODES.get(status)
    if 300 <= status < 400:
        return CrmError(
            CrmErrorKind.FORBIDDEN, "the address leads elsewhere", status=status, vendor_code=REDIRECTED
        )
    kind = KINDS.get(status) or (CrmErrorKind.UNAVAILABLE if status >= 500 else CrmErrorKind.VALIDATION)
    return CrmError(kind, status=status, vendor_code=code, retry_after_s=asked_pause(response))


def of_one(status: int, code: str | None) -> CrmError:
    """Why one file of several was not taken."""
    kind = OF_ONE.get(status) or (CrmErrorKind.UNAVAILABLE if status >= 500 else CrmErrorKind.VALIDATION)
    return CrmError(kind, status=status, vendor_code=code)


def code_of(said: Any) -> str | None:
    """Its own word for it, where it is one."""
    code = said.get("code") if isinstance(said, dict) else None
    is_word = isinstance(code, str) and len(code) <= 48 and _CODE.fullmatch(code)
    return code if is_word else None


def asked_pause(response: httpx.Response) -> float | None:
    """Retry-After in seconds, whichever way it is written; never longer than a day."""
    wish = response.headers.get("retry-after", "").strip()
    if wish.isascii() and wish.isdigit() and len(wish) < 9:
        return min(float(wish), LONGEST_WAIT_S)
    try:
        until = parsedate_to_datetime(wish)
    except ValueError:
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    wait_s: float = (until - clock.now()).total_seconds()
    return min(max(wait_s, 0.0), LONGEST_WAIT_S)


def _said(response: httpx.Response) -> Any:
    try:
        return json.loads(response.content)
    except ValueError:
        return None
