"""Opportunities and cases of a contact, to choose from when a file belongs to one of them."""

from __future__ import annotations

from collections.abc import Sequence

from acervo.crms.contract import RecordRef, RelatedRef
from acervo.crms.salesforce.api import Api
from acervo.crms.salesforce.records import Records, quoted, record_id, select

_MOST = 50
_ORDER = f"ORDER BY IsClosed, LastModifiedDate DESC LIMIT {_MOST}"


async def find(api: Api, records: Records, contact: RecordRef) -> Sequence[RelatedRef]:
    """Open ones first. What our user may not see is left out: some accounts have no cases, some no opportunities."""
    whose = quoted(record_id(contact))
    deals = select(["OpportunityId"], "OpportunityContactRole", f"ContactId = {whose}")
    is_live = "IsDeleted = false"
    opportunities, cases = await api.query(
        select(["Id", "Name", "IsClosed"], "Opportunity", f"Id IN ({deals})", is_live, then=_ORDER),
        select(
            ["Id", "Subject", "CaseNumber", "IsClosed"], "Case", f"ContactId = {whose}", is_live, then=_ORDER
        ),
        is_optional=True,
    )
    found = [
        RelatedRef(records.ref("deal", str(row["Id"])), str(row.get("Name") or ""), not row.get("IsClosed"))
        for row in opportunities
    ]
    found += (
        RelatedRef(
            records.ref("ticket", str(row["Id"])),
            str(row.get("Subject") or row.get("CaseNumber") or ""),
            not row.get("IsClosed"),
        )
        for row in cases
    )
    return sorted(found, key=lambda related: not related.is_open)
