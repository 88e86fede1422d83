"""One bad item never spoils the others: batches that a CRM refuses as a whole are halved until it is alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from acervo.crms.contract import CrmError, CrmErrorKind

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

_FAULT_OF_ONE = frozenset({CrmErrorKind.VALIDATION, CrmErrorKind.CONFLICT, CrmErrorKind.NOT_FOUND})


async def send(
    items: Sequence[Item],
    key: Callable[[Item], str],
    call: Callable[[Sequence[Item]], Awaitable[Mapping[str, Outcome | CrmError]]],
) -> dict[str, Outcome | CrmError]:
    """An outcome for the key of every item. Never raises CrmError: what stopped the call is everyone's outcome.

    A refusal item by item names the bad ones itself; one of the whole batch does not, and costs about 2 log2(n) more calls
    for each bad item.
    """
    if not items:
        return {}
    try:
        return dict(await call(items))
    except CrmError as error:
        if len(items) == 1 or error.kind not in _FAULT_OF_ONE:
            return dict.fromkeys(map(key, items), error)
    middle = len(items) // 2
    return await send(items[:middle], key, call) | await send(items[middle:], key, call)
