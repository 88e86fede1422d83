"""Property definitions of the simulated account and the checks HubSpot makes on values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sandbox.hubspot.records import Refusal

TYPES = ("bool", "date", "datetime", "enumeration", "number", "phone_number", "string")
FIELD_TYPES = (
    "booleancheckbox",
    "calculation_equation",
    "checkbox",
    "date",
    "file",
    "html",
    "number",
    "phonenumber",
    "radio",
    "select",
    "text",
    "textarea",
)
TEXT_LIMIT = 65_536
UNIQUE_LIMIT = 10


@dataclass(frozen=True)
class Property:
    """One field of an object type."""

    name: str
    label: str
    type: str = "string"
    field_type: str = "text"
    group: str = "contactinformation"
    is_unique: bool = False
    is_read_only: bool = False
    options: tuple[Mapping[str, Any], ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "label": self.label,
            "type": self.type,
            "fieldType": self.field_type,
            "groupName": self.group,
            "description": "",
            "displayOrder": -1,
            "hasUniqueValue": self.is_unique,
            "hidden": False,
            "formField": False,
            "options": list(self.options),
        }


def _computed(name: str) -> Property:
    return Property(name, name, is_read_only=True)


DEFAULT_PROPERTIES: Mapping[str, Sequence[Property]] = {
    "contacts": (
        Property("firstname", "First name"),
        Property("lastname", "Last name"),
        Property("email", "Email", is_unique=True),
        Property("phone", "Phone number", field_type="phonenumber"),
        Property("mobilephone", "Mobile phone number", field_type="phonenumber"),
        Property("hs_whatsapp_phone_number", "WhatsApp phone number", field_type="phonenumber"),
        Property("company", "Company"),
        _computed("hs_searchable_calculated_phone_number"),
        _computed("hs_searchable_calculated_mobile_number"),
        _computed("hs_calculated_phone_number_country_code"),
    ),
    "deals": (
        Property("dealname", "Deal name"),
        Property("hs_is_closed", "Is closed", "bool", "booleancheckbox"),
    ),
    "tickets": (
        Property("subject", "Ticket name"),
        Property("closed_date", "Close date", "datetime", "date"),
    ),
    "notes": (
        Property("hs_note_body", "Note body", field_type="html"),
        Property("hs_timestamp", "Activity date", "datetime", "date"),
        Property("hs_attachment_ids", "Attachments", field_type="file"),
        Property("hubspot_owner_id", "Owner"),
    ),
}


def from_json(body: Mapping[str, Any], *, group: str | None = None) -> Property:
    """A definition as the API takes it. Raises Refusal 400."""
    options = tuple(body.get("options") or ())
    definition = Property(
        name=str(body["name"]),
        label=str(body["label"]),
        type=str(body["type"]),
        field_type=str(body["fieldType"]),
        group=str(body.get("groupName") or group or ""),
        is_unique=bool(body.get("hasUniqueValue")),
        options=options,
    )
    if definition.type not in TYPES or definition.field_type not in FIELD_TYPES:
        raise Refusal(400, "VALIDATION_ERROR", "Invalid type or fieldType")
    if definition.type == "enumeration" and not options:
        raise Refusal(400, "VALIDATION_ERROR", "An enumeration needs options")
    if not definition.group:
        raise Refusal(400, "VALIDATION_ERROR", "groupName is required")
    return definition


def checked(definitions: Mapping[str, Property], values: Mapping[str, str]) -> dict[str, str]:
    """The values, or Refusal 400 naming each bad one the way HubSpot does."""
    faults = [
        fault for name, value in values.items() if (fault := _fault(definitions.get(name), name, value))
    ]
    if faults:
        raise Refusal(400, "VALIDATION_ERROR", f"Property values were not valid: {json.dumps(faults)}")
    return dict(values)


def _fault(definition: Property | None, name: str, value: str) -> dict[str, Any] | None:
    if definition is None:
        return _said(name, "PROPERTY_DOESNT_EXIST", f'Property "{name}" does not exist')
    if definition.is_read_only:
        return _said(name, "READ_ONLY_VALUE", f'"{name}" is a read only property')
    if not value:
        return None
    if definition.type == "enumeration" and value not in {option["value"] for option in definition.options}:
        return _said(name, "INVALID_OPTION", f"{value} was not one of the allowed options")
    if definition.type == "number" and not _is_number(value):
        return _said(name, "INVALID_NUMBER", f"{value} was not a valid number")
    if definition.type == "datetime" and not _is_moment(value):
        return _said(name, "INVALID_LONG", f"{value} was not a valid long")
    if definition.field_type == "file" and not all(one.isdigit() for one in value.split(";")):
        return _said(name, "INVALID_LONG", f"{value} was not a list of file ids")
    if len(value) > TEXT_LIMIT:
        return _said(name, "VALUE_TOO_LONG", f"Property values must be at most {TEXT_LIMIT} characters")
    return None


def _said(name: str, code: str, message: str) -> dict[str, Any]:
    return {"isValid": False, "message": message, "error": code, "name": name}


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _is_moment(value: str) -> bool:
    if value.isdigit():
        return True
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False
