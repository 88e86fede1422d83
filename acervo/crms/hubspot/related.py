"""Deals and tickets of a contact, to choose from when a file belongs to one of them."""

from __future__ import annotations

from collections.abc import Sequence

from acervo.crms.contract import CrmError, CrmErrorKind, RelatedRef
from acervo.crms.hubspot.api import Api, Json
from acervo.crms.hubspot.records import Records, properties_of

_KINDS = (
    ("deal", "deals", "dealname", "hs_is_closed"),
    ("ticket", "tickets", "subject", "closed_date"),
)
"""Our word, HubSpot's path, the field with the title, the field that says it is closed."""


async def find(api: Api, records: Records, contact_id: str) -> Sequence[RelatedRef]:
    """Open ones first. A kind the token may not read is left out: deals and tickets are optional scopes."""
    found: list[RelatedRef] = []
    for kind, path, title, closed in _KINDS:
        try:
            ids = await api.associated_ids("contacts", contact_id, path)
            rows = await api.read_many(path, ids, (title, closed))
        except CrmError as error:
            if error.kind is CrmErrorKind.FORBIDDEN:
                continue
            raise
        found += (_related(records, row, kind, title, closed) for row in rows)
    return sorted(found, key=lambda related: not related.is_open)


def _related(records: Records, row: Json, kind: str, title: str, closed: str) -> RelatedRef:
    properties = properties_of(row)
    return RelatedRef(
        ref=records.ref(kind, str(row["id"])),
        title=properties.get(title) or "",
        is_open=properties.get(closed) in {None, "", "false"},
    )
