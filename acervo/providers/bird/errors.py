"""What Bird's refusals mean: by HTTP status, and by WhatsApp's own code where Bird passes it on."""

from __future__ import annotations

import json
from collections.abc import Mapping

from acervo.base.errors import AcervoError
from acervo.providers import asking
from acervo.providers.asking import BY_STATUS, GONE, URL_DIED, Meaning, Reply
from acervo.providers.sending import NotSent, OutsideWindow
from acervo.providers.untrusted import as_id, as_mapping, as_word

VENDOR = "Bird"
MEDIA_BY_STATUS: Mapping[int, Meaning] = {**BY_STATUS, 404: GONE, 410: GONE}
DOWNLOAD_BY_STATUS: Mapping[int, Meaning] = {
    **BY_STATUS,
    400: URL_DIED,
    403: URL_DIED,
    404: URL_DIED,
    410: URL_DIED,
}
"""A refused download is the store's word, and its link has died: Bird is asked for a new one, and its word is final."""
OUTSIDE_WINDOW = frozenset({"131047", "470"})
"""Mostly told later, as the reason of a `whatsapp.outbound`."""
MESSAGE_REFUSED = frozenset({400, 404, 405, 409, 413, 422})


def refusal(reply: Reply, *, by_status: Mapping[int, Meaning] = BY_STATUS) -> AcervoError:
    """The error an answer means."""
    return asking.refusal(
        VENDOR, reply.status, reply.headers, vendor_code=code_of(reply.body), by_status=by_status
    )


def send_refusal(reply: Reply) -> AcervoError:
    """As `refusal`, of a message that was to be sent."""
    code = code_of(reply.body)
    if code in OUTSIDE_WINDOW:
        return OutsideWindow()
    if reply.status in MESSAGE_REFUSED:
        return NotSent(f"{VENDOR} answered HTTP {reply.status}" + (f", code {code}." if code else "."))
    return refusal(reply)


def code_of(body: bytes) -> str | None:
    """The word in an answer's `code`; its message is left out, it may quote what was sent."""
    try:
        code = as_word(as_id(as_mapping(json.loads(body)).get("code")))
    except (ValueError, RecursionError):
        return None
    return None if code == "?" else code
