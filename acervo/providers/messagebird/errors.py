"""What MessageBird's refusals mean: by its own code first, then by HTTP status."""

from __future__ import annotations

import json
from collections.abc import Mapping

from acervo.base.errors import AcervoError
from acervo.providers import asking
from acervo.providers.asking import BLOCKED, BY_STATUS, GONE, REVOKED, UNWELL, URL_DIED, Meaning, Reply
from acervo.providers.sending import NotSent, OutsideWindow
from acervo.providers.untrusted import as_count, as_mapping, as_sequence

VENDOR = "MessageBird"
BY_CODE: Mapping[str, Meaning] = {
    "2": REVOKED,  # the access key is not accepted
    "25": BLOCKED,  # no balance left
    "99": UNWELL,
}
MEDIA_BY_STATUS: Mapping[int, Meaning] = {**BY_STATUS, 404: GONE, 410: GONE}
DOWNLOAD_BY_STATUS: Mapping[int, Meaning] = {
    **BY_STATUS,
    400: URL_DIED,
    403: URL_DIED,
    404: URL_DIED,
    410: URL_DIED,
}
"""A link that dies between two questions is asked about again; only the answer there is final."""
OUTSIDE_WINDOW = frozenset({"470", "131047"})
"""WhatsApp's own code, then and now. Mostly told later, by a `message.updated`."""
MESSAGE_REFUSED = frozenset({400, 404, 405, 409, 413, 422})


def refusal(reply: Reply, *, by_status: Mapping[int, Meaning] = BY_STATUS) -> AcervoError:
    """The error an answer means."""
    return asking.refusal(
        VENDOR,
        reply.status,
        reply.headers,
        vendor_code=code_of(reply.body),
        by_code=BY_CODE,
        by_status=by_status,
    )


def send_refusal(reply: Reply) -> AcervoError:
    """As `refusal`, of a message that was to be sent."""
    code = code_of(reply.body)
    if code in OUTSIDE_WINDOW:
        return OutsideWindow()
    if reply.status in MESSAGE_REFUSED and code not in BY_CODE:
        return NotSent(f"{VENDOR} answered HTTP {reply.status}" + (f", code {code}." if code else "."))
    return refusal(reply)


def code_of(body: bytes) -> str | None:
    """The first number in an answer's `errors`; its description is left out, it may quote what was sent."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    codes = (
        as_count(as_mapping(error).get("code")) for error in as_sequence(as_mapping(answer).get("errors"))
    )
    return next((str(code) for code in codes if code is not None), None)
