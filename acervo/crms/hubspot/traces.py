"""What became of each input of a batch: HubSpot names it by the trace id that we gave it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from acervo.crms.contract import CrmError, CrmErrorKind
from acervo.crms.hubspot.api import Json
from acervo.crms.hubspot.errors import read_item_error


def outcomes(
    traces: Iterable[str], answer: Json, name_of: Callable[[Json], str]
) -> dict[str, Json | CrmError]:
    """A record or an error for every trace. `name_of`: the trace of a record whose row does not repeat it."""
    found: dict[str, Json | CrmError] = {}
    for row in answer.get("results", []):
        found[str(row.get("objectWriteTraceId") or name_of(row))] = row
    for error in answer.get("errors", []):
        named = error.get("context", {}).get("objectWriteTraceId") or [error.get("objectWriteTraceId")]
        found |= dict.fromkeys(map(str, named), read_item_error(error))
    for trace in traces:
        found.setdefault(
            trace, CrmError(CrmErrorKind.UNKNOWN_OUTCOME, "HubSpot's answer does not name this item")
        )
    return found
