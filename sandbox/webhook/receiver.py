"""What a receiver keeps: files by our id, each with its customer as last told, and how many messages came."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.webhook.faults import Faults

TOLERANCE_S = 300.0
KINDS = ("voice", "audio", "video", "image", "sticker", "document")


@dataclass
class Kept:
    """One file."""

    id: str
    data: dict[str, Any]


class Window:
    """At most `limit` messages in any `per_s` seconds. `peak` counts the refused ones too."""

    def __init__(self, limit: int, per_s: float, clock: Callable[[], float]) -> None:
        self.limit, self.per_s, self.peak = limit, per_s, 0
        self._clock = clock
        self._seen: deque[float] = deque()

    def admit(self) -> bool:
        while self._seen and self._seen[0] <= self._clock() - self.per_s:
            self._seen.popleft()
        self.peak = max(self.peak, len(self._seen) + 1)
        if len(self._seen) >= self.limit:
            return False
        self._seen.append(self._clock())
        return True


@dataclass
class Receiver:
    """`tells`: it says what it holds when it is asked. `talks`: it answers where it keeps a file."""

    secret: str
    window: Window
    tells: bool = True
    talks: bool = True
    files: dict[str, Kept] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    letters: list[tuple[str, str]] = field(default_factory=list)
    """Id and type of all that came with a good signature."""
    refused: int = 0
    """Messages whose signature was none of ours."""
    _last: int = 0

    def is_ours(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Standard Webhooks, written once more: what checks us shall not be what signs."""
        message_id, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not stamp.isdigit() or abs(time.time() - int(stamp)) > TOLERANCE_S:
            return False
        key = base64.b64decode(self.secret.removeprefix("whsec_"))
        signed = f"{message_id}.{stamp}.".encode() + body
        expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        given = headers.get("webhook-signature", "").split()
        return any(hmac.compare_digest(one, f"v1,{expected}") for one in given)

    def keep(self, data: Mapping[str, Any]) -> Kept:
        """Raises ValueError for what it does not want."""
        if data.get("kind") not in (None, *KINDS):
            raise ValueError("kind_unknown")
        media_id = str(data["media_id"])
        found = self.files.get(media_id)
        if found is None:
            self._last += 1
            found = self.files[media_id] = Kept(f"F-{self._last:05}", {})
        found.data |= data
        return found

    def erase(self, media_id: str) -> None:
        self.files.pop(media_id, None)

    def by_record(self, record_id: str) -> Kept:
        return next(one for one in self.files.values() if one.id == record_id)


def create_receiver(
    secret: str,
    *,
    per_10_s: int = 150,
    tells: bool = True,
    talks: bool = True,
    clock: Callable[[], float] = time.monotonic,
) -> Receiver:
    return Receiver(secret, Window(per_10_s, 10.0, clock), tells=tells, talks=talks)
