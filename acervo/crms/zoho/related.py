"""Deals, cases and campaigns of a contact, to choose from when a file belongs to one of them."""

from __future__ import annotations

from collections.abc import Sequence

from acervo.crms.contract import CrmError, CrmErrorKind, RelatedRef
from acervo.crms.zoho.api import Api, Json
from acervo.crms.zoho.names import CONTACTS, MODULES, Names

_KINDS = (
    ("deal", "Deal_Name", "Stage"),
    ("ticket", "Subject", "Status"),
    ("campaign", "Campaign_Name", "Status"),
)
"""Our word, the field with the title, the field that says how it stands."""
_CLOSED = ("closed", "complete", "inactive")
"""How the stages and states that Zoho comes with begin, once something is over. Their words can be changed."""
_NOT_HERE = frozenset({CrmErrorKind.FORBIDDEN, CrmErrorKind.NOT_FOUND, CrmErrorKind.VALIDATION})


async def find(api: Api, names: Names, contact_id: str) -> Sequence[RelatedRef]:
    """Open ones first. A kind that is hidden in the account, or not allowed to us, is left out."""
    found: list[RelatedRef] = []
    for kind, title, state in _KINDS:
        try:
            rows = await api.related(CONTACTS, contact_id, MODULES[kind], ("id", title, state))
        except CrmError as error:
            if error.kind in _NOT_HERE:
                continue
            raise
        found += (_related(names, row, kind, title, state) for row in rows)
    return sorted(found, key=lambda related: not related.is_open)


def _related(names: Names, row: Json, kind: str, title: str, state: str) -> RelatedRef:
    stands = str(row.get(state) or "").casefold()
    return RelatedRef(
        ref=names.ref(kind, str(row["id"])),
        title=str(row.get(title) or ""),
        is_open=not stands.startswith(_CLOSED),
    )
