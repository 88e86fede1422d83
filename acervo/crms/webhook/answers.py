"""What a receiver says to a message: nothing, where it keeps a file, and what it thinks of each of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from acervo.crms.contract import CrmError, CrmErrorKind, MediaLink, RecordRef, RecordState, WriteResult
from acervo.crms.fields import canonical
from acervo.crms.webhook.errors import code_of, of_one
from acervo.crms.webhook.letters import OWN

LONGEST_ID: Final = 128
LONGEST_URL: Final = 500

Answer = Mapping[str, Any]


def written(item: MediaLink, answer: Answer) -> WriteResult:
    return WriteResult(item.media_id, ref=_ref(item, answer), created=item.known_ref is None)


def refused(item: MediaLink, error: CrmError) -> WriteResult:
    """Where nobody knows whether it was taken, it counts as there: should the file be erased, the receiver is told."""
    is_unknown = error.kind is CrmErrorKind.UNKNOWN_OUTCOME
    ref = (item.known_ref or _ref(item, {})) if is_unknown else None
    return WriteResult(item.media_id, ref=ref, error=error)


def written_many(items: Sequence[MediaLink], answer: Answer) -> dict[str, WriteResult | CrmError]:
    """Without `results` all were taken; with them, a file that is not named was not."""
    if not isinstance(answer.get("results"), list):
        return {item.media_id: written(item, {}) for item in items}
    results = _by_id(answer)
    return {item.media_id: _one_of_many(item, results.get(item.media_id)) for item in items}


def states(items: Sequence[MediaLink], answer: Answer) -> list[RecordState]:
    """Raises CrmError UNSUPPORTED for a receiver that does not say what it holds."""
    if not isinstance(answer.get("results"), list):
        raise CrmError(CrmErrorKind.UNSUPPORTED, "the receiver does not say what it holds")
    results = _by_id(answer)
    return [_state(item, results[item.media_id]) for item in items if item.media_id in results]


def _one_of_many(item: MediaLink, said: Answer | None) -> WriteResult | CrmError:
    if said is None:
        return CrmError(CrmErrorKind.UNKNOWN_OUTCOME, "the answer does not name this file")
    status = said.get("status", 200)
    if isinstance(status, int) and 200 <= status < 300:
        return written(item, said)
    return of_one(status if isinstance(status, int) else 400, code_of(said))


def _state(item: MediaLink, said: Answer) -> RecordState:
    if said.get("held") is False:
        return RecordState(item.media_id, ref=None, copies=0)
    held = said.get("data")
    values: dict[str, str | None] = {}
    if isinstance(held, dict):
        names = item.field_map.names("media", OWN)
        values = {ours: _text(held[theirs]) for ours, theirs in names.items() if theirs in held}
    return RecordState(item.media_id, ref=_ref(item, said), values=canonical(values, item.field_map))


def _by_id(answer: Answer) -> dict[str, Answer]:
    return {str(one.get("media_id")): one for one in answer["results"] if isinstance(one, dict)}


def _ref(item: MediaLink, said: Answer) -> RecordRef:
    """Their name for it and where people see it; ours where they have none."""
    own, known = said.get("id"), item.known_ref
    has_own = isinstance(own, str | int) and not isinstance(own, bool) and 0 < len(str(own)) <= LONGEST_ID
    record_id = str(own) if has_own else known.record_id if known else item.media_id
    url = said.get("url")
    seen_at = url if isinstance(url, str) and _is_page(url) else known.url if known else None
    return RecordRef("media", record_id, seen_at, ours=item.media_id)


def _is_page(url: str) -> bool:
    """People click on it: an address of the web, and nothing that runs."""
    if len(url) > LONGEST_URL or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.username


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "1" if value else "0"
    return str(value)
