"""Where a file lives in Salesforce: a record of our own object, or a task where the edition has no such objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from acervo.crms.fields import MEDIA_FIELDS

MEDIA = "WhatsApp_Media__c"
PHONE_KEY = "WA_Phone_E164__c"
PERSON_KEY = "WA_Person_Id__c"


@dataclass(frozen=True, slots=True)
class Place:
    """One way to keep files; both are written by a key of ours."""

    object_name: str
    object_type: str
    """As we call it."""
    names: Mapping[str, str]
    """Our fields to theirs."""
    title_limit: int
    lookups: Mapping[str, str]
    """Our word for a record, and the field that leads to one of that kind."""
    always: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return self.names["media_id"]


CUSTOM_OBJECT = Place(
    object_name=MEDIA,
    object_type="media",
    names={**{one.name: f"{one.name.title()}__c" for one in MEDIA_FIELDS}, "title": "Name"},
    title_limit=80,
    lookups={
        "contact": "Contact__c",
        "deal": "Opportunity__c",
        "ticket": "Case__c",
        "campaign": "Campaign__c",
    },
)
TASKS = Place(
    object_name="Task",
    object_type="note",
    names={**{one.name: f"WA_{one.name.title()}__c" for one in MEDIA_FIELDS}, "title": "Subject"},
    title_limit=255,
    lookups={"contact": "WhoId", "deal": "WhatId", "ticket": "WhatId", "campaign": "WhatId"},
    always={"Status": "Completed"},  # what came is nothing to be done
)
