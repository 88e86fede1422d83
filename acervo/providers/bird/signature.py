"""Bird's signature: an HMAC over the time of the first try, the address and the body."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from acervo.providers import signing
from acervo.providers.contract import Webhook

SIGNATURE_HEADER = "messagebird-signature"
TIMESTAMP_HEADER = "messagebird-request-timestamp"

OLDEST = timedelta(hours=25)
"""Bird repeats a webhook for about a day and keeps the timestamp of its first try (seen three to four hours late): a
window of minutes refuses real messages. What comes twice is recognised by its message id."""
EARLIEST = timedelta(minutes=5)
"""How far Bird's clock may be ahead of ours."""

_SECONDS = re.compile(r"[0-9]{1,12}")


def signature(body: bytes, url: str, key: str, timestamp: str) -> str:
    """What Bird would sign `body` with; `timestamp` is the header's text."""
    parts = [timestamp.encode(), url.encode("utf-8", "surrogatepass"), hashlib.sha256(body).digest()]
    return base64.b64encode(hmac.digest(key.encode(), b"\n".join(parts), "sha256")).decode()


def is_genuine(webhook: Webhook, keys: Sequence[str], at: datetime) -> bool:
    """Whether one of `keys` signed this webhook for this address within the last day."""
    timestamp = webhook.headers.get(TIMESTAMP_HEADER, "")
    if not webhook.url or not _SECONDS.fullmatch(timestamp):
        return False
    age_s = at.timestamp() - int(timestamp)
    if not -EARLIEST.total_seconds() <= age_s <= OLDEST.total_seconds():
        return False
    expected = [signature(webhook.body, webhook.url, key, timestamp) for key in keys]
    return signing.is_one_of(webhook.headers.get(SIGNATURE_HEADER, ""), expected)
