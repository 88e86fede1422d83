"""What a refusal means. Nothing of the answer but code words is kept: servers repeat what they were sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from acervo.base.errors import AcervoError
from acervo.transcribers.contract import (
    EngineAway,
    KeyRefused,
    NoSuchModel,
    NoSuchService,
    QuotaSpent,
    RateLimited,
    SoundRefused,
    SoundTooLarge,
)

LONGEST_WAIT_S: Final = 3600.0
SPENT: Final = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
UNKNOWN_MODEL: Final = frozenset({"model_not_found", "invalid_model"})

BY_STATUS: Final[Mapping[int, Callable[[], AcervoError]]] = {
    400: SoundRefused,
    401: KeyRefused,
    402: QuotaSpent,
    403: KeyRefused,
    404: NoSuchService,
    405: NoSuchService,
    413: SoundTooLarge,
    415: SoundRefused,
    422: SoundRefused,
    501: NoSuchService,
}


def refusal(status: int, body: bytes, *, retry_after: str | None = None) -> AcervoError:
    """The error an answer stands for that is not 200."""
    words = _code_words(body)
    if words & SPENT:
        return QuotaSpent()
    if words & UNKNOWN_MODEL or (status == 404 and "model" in words):
        return NoSuchModel()
    if status == 429:
        return RateLimited(after_s=_seconds(retry_after))
    if 300 <= status < 400:
        return NoSuchService()
    if known := BY_STATUS.get(status):
        return known()
    return EngineAway(f"answered {status}", after_s=_seconds(retry_after))


def _code_words(body: bytes) -> frozenset[str]:
    """`code`, `type` and `param` of OpenAI's `{"error": {…}}`; servers leave out any of them."""
    try:
        told: Any = json.loads(body)
    except ValueError:
        return frozenset()
    error = told.get("error") if isinstance(told, dict) else None
    found = [error.get(name) for name in ("code", "type", "param")] if isinstance(error, dict) else []
    return frozenset(word for word in found if isinstance(word, str))


def _seconds(retry_after: str | None) -> float | None:
    """Only the form in seconds; a date is left to our own back-off."""
    if retry_after is None or not retry_after.strip().replace(".", "", 1).isdigit():
        return None
    return min(float(retry_after), LONGEST_WAIT_S)
