"""What Twilio's refusals mean, as a table: by its own code first, then by HTTP status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from acervo.base.errors import AcervoError
from acervo.providers import asking
from acervo.providers.asking import (
    BLOCKED,
    BY_STATUS,
    FORBIDDEN,
    GONE,
    LIMITED,
    REVOKED,
    UNWELL,
    URL_DIED,
    Meaning,
    Reply,
)
from acervo.providers.sending import NotSent, OutsideWindow
from acervo.providers.untrusted import as_count, parse_object

VENDOR: Final = "Twilio"
NOT_FOUND: Final = "20404"

# twilio.com/docs/api/errors, as of 2026. A 404 without Twilio's own code is a proxy or a wrong base URL: never final.
BY_CODE: Final[Mapping[str, Meaning]] = {
    "20003": REVOKED,
    "20004": FORBIDDEN,
    "20005": BLOCKED,
    "20006": FORBIDDEN,
    "20008": FORBIDDEN,
    "10001": BLOCKED,
    "90010": BLOCKED,
    NOT_FOUND: GONE,
    "20429": LIMITED,
    "14107": LIMITED,
    "63017": LIMITED,
    "63018": LIMITED,
    "63038": LIMITED,
    "20500": UNWELL,
    "20503": UNWELL,
}
DOWNLOAD_BY_STATUS: Final[Mapping[int, Meaning]] = {
    **BY_STATUS,
    # The signed link of the second hop has ended, or was given a header too many: the first hop gives another.
    **dict.fromkeys((400, 403, 404, 410), URL_DIED),
}
OUTSIDE_WINDOW: Final = frozenset({"63016"})


def code_of(body: bytes) -> str | None:
    """Twilio's own code in an answer; its message is left out, it quotes numbers and ids."""
    try:
        code = as_count(parse_object(body).get("code"))
    except AcervoError:
        return None
    return None if code is None or code > 999_999 else str(code)


def refusal(reply: Reply) -> AcervoError:
    """The error an answer of the API means."""
    return asking.refusal(
        VENDOR, reply.status, reply.headers, vendor_code=code_of(reply.body), by_code=BY_CODE
    )


def download_refusal(status: int, headers: Mapping[str, str], body: bytes) -> AcervoError:
    """The error a failed download means: also that of a link which is asked for anew."""
    code = code_of(body)
    by_code = {**BY_CODE, NOT_FOUND: URL_DIED}  # whether the file itself is gone, the next look-up tells
    return asking.refusal(
        VENDOR, status, headers, vendor_code=code, by_code=by_code, by_status=DOWNLOAD_BY_STATUS
    )


def send_refusal(reply: Reply) -> AcervoError:
    """The error a refused message means."""
    code = code_of(reply.body)
    if code in OUTSIDE_WINDOW:
        return OutsideWindow(vendor_code=code)
    if code in BY_CODE and code != NOT_FOUND:
        return refusal(reply)
    if reply.status in (400, 404, 409, 422) and code is not None:
        return NotSent(f"{VENDOR} refused the message with code {code}.", vendor_code=code)
    return refusal(reply)
