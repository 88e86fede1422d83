"""What goes wrong at the simulated Cloud API, on demand: by chance, by count, for a while, for one file."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Side(StrEnum):
    """Where a fault strikes: at the look-up of an id, or at the download of the bytes."""

    GRAPH = "graph"
    MEDIA = "media"


class FaultKind(StrEnum):
    RATE_LIMITED = "rate_limited"
    """429 with code 4 and a full `X-App-Usage`; `status=400` is what Meta's own traffic showed."""
    TOKEN_REVOKED = "token_revoked"
    SERVER_ERROR = "server_error"
    GONE = "gone"
    """100/33 for an id that is alive."""
    HOST_DOWN = "host_down"
    """The connection is dropped without an answer."""
    URL_DIED = "url_died"
    CUT = "cut"
    """Half of the promised bytes, then the connection is dropped."""
    SHORT = "short"
    """Half of the bytes, as a complete answer."""
    OVERLONG = "overlong"
    """More bytes than promised, without a Content-Length."""
    ALTERED = "altered"
    """One bit is flipped."""
    HTML = "html"
    DRIP = "drip"
    """The body in fifty pieces over `seconds`."""
    HANG = "hang"
    """No answer for `seconds`, then a dropped connection."""
    REDIRECT = "redirect"
    """302 to `location`: by default a private address."""
    WRONG_TYPE = "wrong_type"
    """The right bytes under a wrong Content-Type."""
    GZIP_BOMB = "gzip_bomb"
    """A few hundred KiB that unpack to 256 MiB."""


USUAL_SIDE: dict[FaultKind, Side | None] = {
    FaultKind.RATE_LIMITED: Side.GRAPH,
    FaultKind.GONE: Side.GRAPH,
    FaultKind.TOKEN_REVOKED: None,
    FaultKind.SERVER_ERROR: None,
}
"""Everything not named here strikes at the media side; None strikes at both."""


@dataclass(slots=True)
class Fault:
    """One rule of the plan."""

    kind: FaultKind
    probability: float = 1.0
    count: int | None = None
    """How many times it may still strike; None is without end."""
    for_s: float | None = None
    """How long it holds, from the moment it joins the plan."""
    media_id: str | None = None
    side: Side | None = None
    """None takes the usual side of the kind."""
    status: int | None = None
    seconds: float = 30.0
    location: str = "http://169.254.169.254/latest/meta-data/"
    until: float | None = None
    """Set by the plan from `for_s`, on its clock."""

    def __post_init__(self) -> None:
        self.kind = FaultKind(self.kind)
        self.side = Side(self.side) if self.side else USUAL_SIDE.get(self.kind, Side.MEDIA)


class FaultPlan:
    """The rules in force. Seeded: the same requests in the same order meet the same faults."""

    def __init__(self, *, seed: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        self._random = random.Random(seed)
        self._clock = clock
        self._faults: list[Fault] = []
        self.struck: Counter[str] = Counter()

    def add(self, fault: Fault) -> Fault:
        if fault.for_s is not None:
            fault.until = self._clock() + fault.for_s
        self._faults.append(fault)
        return fault

    def clear(self) -> None:
        self._faults.clear()

    def strike(self, side: Side, media_id: str) -> Fault | None:
        """The first rule that strikes this request, or nothing; spends one of its count."""
        if not self._faults:
            return None
        for fault in self._faults:
            if self._strikes(fault, side, media_id):
                self._spend(fault)
                return fault
        return None

    def _strikes(self, fault: Fault, side: Side, media_id: str) -> bool:
        if fault.side not in (None, side) or fault.media_id not in (None, media_id):
            return False
        if fault.until is not None and self._clock() >= fault.until:
            return False
        return fault.probability >= 1.0 or self._random.random() < fault.probability

    def _spend(self, fault: Fault) -> None:
        self.struck[fault.kind] += 1
        if fault.count is not None:
            fault.count -= 1
            if fault.count <= 0:
                self._faults.remove(fault)
