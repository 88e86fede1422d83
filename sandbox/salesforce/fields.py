"""Field definitions of the simulated organisation and the checks Salesforce makes on values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

ID = re.compile(r"[a-zA-Z0-9]{15}(?:[a-zA-Z0-9]{3})?")
_DESCRIBED = {
    "Text": "string", "Phone": "phone", "Url": "url", "LongTextArea": "textarea", "TextArea": "textarea",
    "Number": "double", "DateTime": "datetime", "Date": "date", "Picklist": "picklist", "Lookup": "reference",
    "Checkbox": "boolean", "Id": "id",
}  # fmt: skip


class Refusal(Exception):
    """Salesforce says no."""

    matches: Sequence[str] = ()
    """Ids of the records a duplicate rule found."""

    def __init__(self, status: int, code: str, message: str, fields: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.fields = list(fields)

    def as_json(self) -> dict[str, Any]:
        return {"message": self.message, "errorCode": self.code, "fields": self.fields}


@dataclass(frozen=True)
class FieldDef:
    """One field. `type` is the word of the Metadata API."""

    name: str
    type: str = "Text"
    label: str = ""
    length: int = 255
    is_unique: bool = False
    is_external_id: bool = False
    is_restricted: bool = False
    choices: tuple[str, ...] = ()
    refers_to: str = ""
    is_formula: bool = False

    @property
    def is_custom(self) -> bool:
        return self.name.endswith("__c")

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "label": self.label or self.name,
            "type": _DESCRIBED[self.type],
            "length": self.length if self.type in {"Text", "Url", "LongTextArea"} else 0,
            "unique": self.is_unique,
            "externalId": self.is_external_id,
            "custom": self.is_custom,
            "updateable": not self.is_formula,
            "picklistValues": [{"value": one, "label": one, "active": True} for one in self.choices],
            "referenceTo": [self.refers_to] if self.refers_to else [],
        }


def _of(type_: str, *names: str, **more: Any) -> dict[str, FieldDef]:
    return {name: FieldDef(name, type_, **more) for name in names}


STANDARD: Mapping[str, Mapping[str, FieldDef]] = {
    "Contact": {
        **_of("Text", "FirstName", "LastName", "Email", "MailingCountry"),
        **_of("Phone", "Phone", "MobilePhone", "HomePhone", "OtherPhone", "AssistantPhone", length=40),
        **_of("DateTime", "CreatedDate"),
        **_of("Date", "LastActivityDate"),
        **_of("Text", "Account.Name", "Owner.Name"),  # of other objects, as a query names them
    },
    "Opportunity": {
        **_of("Text", "Name"),
        **_of("Checkbox", "IsClosed"),
        **_of("DateTime", "LastModifiedDate"),
    },
    "OpportunityContactRole": {
        **_of("Lookup", "OpportunityId", refers_to="Opportunity"),
        **_of("Lookup", "ContactId", refers_to="Contact"),
    },
    "Case": {
        **_of("Text", "Subject", "CaseNumber"),
        **_of("Checkbox", "IsClosed"),
        **_of("DateTime", "LastModifiedDate"),
        **_of("Lookup", "ContactId", refers_to="Contact"),
    },
    "Campaign": _of("Text", "Name"),
    "Task": {
        **_of("Text", "Subject", "Status"),
        **_of("LongTextArea", "Description", length=32_000),
        **_of("Lookup", "WhoId", refers_to="Contact"),
        **_of("Lookup", "WhatId"),
    },
    "ContentDocument": {
        **_of("Text", "Title"),
        **_of("Lookup", "LatestPublishedVersionId", refers_to="ContentVersion"),
    },
    "ContentVersion": {
        **_of("Text", "Title"),
        **_of("Text", "PathOnClient", length=500),
        **_of("Text", "FileExtension", is_formula=True),
        **_of("Number", "ContentSize", is_formula=True),
        **_of("Lookup", "ContentDocumentId", refers_to="ContentDocument"),
        **_of("Lookup", "FirstPublishLocationId"),
    },
    "ContentDocumentLink": {
        **_of("Lookup", "ContentDocumentId", refers_to="ContentDocument"),
        **_of("Lookup", "LinkedEntityId"),
        **_of("Text", "ShareType", "Visibility"),
        **_of("Text", "ContentDocument.LatestPublishedVersion.PathOnClient"),
    },
    "Organization": {
        **_of("Text", "Name", "OrganizationType", "InstanceName"),
        **_of("Checkbox", "IsSandbox"),
    },
    "PermissionSet": _of("Text", "Name", "Label"),
    "PermissionSetAssignment": {
        **_of("Lookup", "AssigneeId"),
        **_of("Lookup", "PermissionSetId", refers_to="PermissionSet"),
    },
    "User": _of("Text", "Username"),
}
PREFIXES = {
    "Contact": "003", "Opportunity": "006", "OpportunityContactRole": "00K", "Case": "500", "Campaign": "701",
    "Task": "00T", "ContentDocument": "069", "ContentVersion": "068", "ContentDocumentLink": "06A", "Organization": "00D", "PermissionSet": "0PS", "PermissionSetAssignment": "0Pa", "User": "005",
}  # fmt: skip
"""Of the ids; an object of the customer's own has another."""


def stored(field: FieldDef, value: Any) -> Any:
    """The value as Salesforce keeps it. Raises Refusal as it words them, values and all."""
    if value is None or value == "":
        return None
    name = [field.name]
    if field.type == "Number":
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Refusal(
                400, "JSON_PARSER_ERROR", f"Cannot deserialize instance of double from {value}", name
            )
        return float(value)
    if field.type == "Checkbox":
        return bool(value)
    if not isinstance(value, str):
        raise Refusal(400, "JSON_PARSER_ERROR", f"Cannot deserialize instance of string from {value}", name)
    if field.type == "DateTime":
        return _moment(value, field)
    if field.type == "Lookup" and not ID.fullmatch(value):
        raise Refusal(400, "MALFORMED_ID", f"{field.name}: id value of incorrect type: {value}", name)
    if field.type == "Picklist" and field.is_restricted and value not in field.choices:
        message = f"bad value for restricted picklist field: {value}"
        raise Refusal(400, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", message, name)
    if field.type != "Lookup" and len(value) > field.length:
        message = f"{field.label}: data value too large: {value[:40]} (max length={field.length})"
        raise Refusal(400, "STRING_TOO_LONG", message, name)
    return value


def _moment(value: str, field: FieldDef) -> str:
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        message = f"Cannot deserialize instance of datetime from {value}"
        raise Refusal(400, "JSON_PARSER_ERROR", message, [field.name]) from None
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")
