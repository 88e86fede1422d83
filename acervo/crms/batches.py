"""Many items in few calls: in pieces, a contact at a time, and so that one bad item never spoils the others."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from acervo.crms.contract import CrmError, CrmErrorKind, MediaLink, WriteResult

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

FAULT_OF_ONE = frozenset({CrmErrorKind.VALIDATION, CrmErrorKind.CONFLICT, CrmErrorKind.NOT_FOUND})


async def send(
    items: Sequence[Item],
    key: Callable[[Item], str],
    call: Callable[[Sequence[Item]], Awaitable[Mapping[str, Outcome | CrmError]]],
) -> dict[str, Outcome | CrmError]:
    """An outcome for the key of every item. Never raises CrmError: what stopped the call is everyone's outcome. A batch
    that is refused as a whole is halved until the bad item is alone.

    A refusal item by item names the bad ones itself; one of the whole batch does not, and costs about 2 log2(n) more calls
    for each bad item.
    """
    if not items:
        return {}
    try:
        return dict(await call(items))
    except CrmError as error:
        if len(items) == 1 or error.kind not in FAULT_OF_ONE:
            return dict.fromkeys(map(key, items), error)
    middle = len(items) // 2
    return await send(items[:middle], key, call) | await send(items[middle:], key, call)


def chunks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """In the size one call may have."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


async def by_contact(
    items: Sequence[MediaLink],
    at_once: int,
    write: Callable[[str, Sequence[MediaLink]], Awaitable[Sequence[WriteResult]]],
) -> list[WriteResult]:
    """Contacts side by side, the files of one contact ("" for those without) by one call of `write`. Results in the
    order of the items."""
    groups: dict[str, dict[str, MediaLink]] = defaultdict(dict)
    for item in items:
        groups[item.contact.record_id if item.contact else ""][item.media_id] = item
    places = asyncio.Semaphore(at_once)

    async def in_turn(contact_id: str, group: Sequence[MediaLink]) -> Sequence[WriteResult]:
        async with places:
            return await write(contact_id, group)

    done = await asyncio.gather(
        *(in_turn(contact, list(group.values())) for contact, group in groups.items())
    )
    results = {result.media_id: result for group in done for result in group}
    return [results[item.media_id] for item in items]
