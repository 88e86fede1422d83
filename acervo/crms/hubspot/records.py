"""Records as the rest of Acervo names them, and the page in HubSpot where a person sees one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from acervo.crms.contract import RecordRef
from acervo.crms.fields import Placed
from acervo.crms.hubspot.api import Json

_TYPE_IDS = {"contact": "0-1", "deal": "0-3", "ticket": "0-5"}
"""Fixed in every account."""


@dataclass(frozen=True, slots=True)
class Records:
    """What is remembered of one account to name its records. Without portal and domain there are no links."""

    portal_id: str | None = None
    ui_domain: str | None = None
    media_type_id: str | None = None
    scheme: str = "https"
    """http only for a simulated account on this machine."""

    def ref(self, object_type: str, record_id: str) -> RecordRef:
        return RecordRef(object_type=object_type, record_id=record_id, url=self._url(object_type, record_id))

    def _url(self, object_type: str, record_id: str) -> str | None:
        type_id = self.media_type_id if object_type == "media" else _TYPE_IDS.get(object_type)
        if not (type_id and self.portal_id and self.ui_domain):
            return None  # notes have no page of their own
        return f"{self.scheme}://{self.ui_domain}/contacts/{self.portal_id}/record/{type_id}/{record_id}"


def properties_of(row: Json) -> Mapping[str, str | None]:
    """The values of a record; HubSpot gives every value as a string or null."""
    properties = row.get("properties")
    return properties if isinstance(properties, dict) else {}


def value_of(one: Placed) -> str:
    """HubSpot takes every value as a string."""
    return {"1": "true", "0": "false"}[one.text] if one.type == "yes_no" and one.text else one.text
