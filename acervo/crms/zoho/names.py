"""What our fields are called in one Zoho account, and what is remembered of the account beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from acervo.crms.contract import RecordRef
from acervo.crms.fields import CONTACT_FIELDS, MEDIA_FIELDS

MODULE = "WhatsAppMedia"
CONTACTS = "Contacts"
MODULES = {"contact": CONTACTS, "deal": "Deals", "ticket": "Cases", "campaign": "Campaigns", "note": "Notes"}
"""Our words to Zoho's modules."""
TABS = {"contact": "Contacts", "deal": "Potentials", "ticket": "Cases", "campaign": "Campaigns"}
"""Where each is in the address of a page: deals kept their first name (2026-11)."""
LOOKUPS = ("contact", "deal", "ticket", "campaign")
"""What a record of ours can point at. The first must be; the others may be missing in an edition."""

_WORDS = {"url": "URL", "sha256": "SHA256"}


def _label(name: str) -> str:
    """`last_media_url` is `WA Last Media URL`: what Zoho makes of it as api name can be foretold."""
    words = "media_url" if name == "url" else name
    return " ".join(["WA", *(_WORDS.get(word, word.title()) for word in words.split("_"))])


LABELS = {
    "contact": {one.name: _label(one.name) for one in CONTACT_FIELDS},
    "media": {one.name: _label(one.name) for one in MEDIA_FIELDS}
    | {kind: f"WA {MODULES[kind].removesuffix('s')}" for kind in LOOKUPS},
}
"""Under which label each field is made: Latin letters, so that its api name stays what we expect even when people
rename it, which they may."""


@dataclass(frozen=True, slots=True)
class Names:
    """Api names by ours. Before anything is remembered, what Zoho will most likely call them."""

    module: str = MODULE
    media: Mapping[str, str] = field(default_factory=dict)
    contact: Mapping[str, str] = field(default_factory=dict)
    choices: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """`media.kind` and so on: our choice to the value the picklist offers."""
    pages: str = ""
    org_id: str | None = None
    media_tab: str | None = None

    @classmethod
    def remembered(cls, options: Mapping[str, Any], pages: str) -> Names:
        fields = options.get("fields") or {}
        return cls(
            module=str(options.get("module") or MODULE),
            media=fields.get("media") or expected("media"),
            contact=fields.get("contact") or expected("contact"),
            choices=options.get("choices") or {},
            pages=pages,
            org_id=options.get("org_id"),
            media_tab=options.get("media_tab"),
        )

    def of(self, ref: RecordRef) -> str | None:
        """The module a record lies in."""
        return self.module if ref.object_type == "media" else MODULES.get(ref.object_type)

    def ref(self, object_type: str, record_id: str) -> RecordRef:
        return RecordRef(object_type, record_id, self._url(object_type, record_id))

    def choice(self, place: str, name: str, value: str) -> str:
        """As the picklist has it; one it does not have goes out as it is, for Zoho to refuse."""
        return self.choices.get(f"{place}.{name}", {}).get(value, value)

    def our_choice(self, place: str, name: str, value: str) -> str:
        offered = self.choices.get(f"{place}.{name}", {})
        return next((ours for ours, theirs in offered.items() if theirs == value), value)

    def _url(self, object_type: str, record_id: str) -> str | None:
        tab = self.media_tab if object_type == "media" else TABS.get(object_type)
        if not (tab and self.org_id and self.pages):
            return None  # notes have no page of their own
        return f"{self.pages}/crm/org{self.org_id}/tab/{tab}/{record_id}"


def expected(place: str) -> dict[str, str]:
    """Zoho makes api names of labels: spaces become underscores. Read back after making all the same."""
    return {name: label.replace(" ", "_") for name, label in LABELS[place].items()}
