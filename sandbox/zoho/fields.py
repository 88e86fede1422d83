"""Field definitions of the simulated organisation and the checks Zoho makes on values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sandbox.zoho.records import Refusal

TYPES = (
    "text", "textarea", "email", "phone", "website", "picklist", "datetime", "date", "integer", "bigint",
    "double", "boolean", "lookup",
)  # fmt: skip
TEXTAREAS = {"small": 2_000, "large": 32_000, "rich_text": 50_000}
LABEL_LIMIT = 25
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d")
_PHONE = re.compile(r"[+]?[0-9\s\-().]+")


@dataclass(frozen=True)
class Field:
    """One field of a module."""

    api_name: str
    label: str
    data_type: str = "text"
    length: int = 255
    is_unique: bool = False
    is_mandatory: bool = False
    choices: tuple[Mapping[str, str], ...] = ()
    to_module: str | None = None
    id: str = "0"

    def as_json(self) -> dict[str, Any]:
        made: dict[str, Any] = {
            "id": self.id,
            "api_name": self.api_name,
            "field_label": self.label,
            "data_type": self.data_type,
            "length": self.length,
            "system_mandatory": self.is_mandatory,
            "unique": {"case_sensitive": True} if self.is_unique else {},
            "pick_list_values": [dict(one) for one in self.choices],
            "lookup": {},
        }
        if self.to_module:
            made["lookup"] = {"module": {"api_name": self.to_module}}
        return made

    def check(self, value: Any) -> None:
        """Raises Refusal."""
        if value is None:
            if self.is_mandatory:
                raise Refusal("MANDATORY_NOT_FOUND", "required field not found", api_name=self.api_name)
            return
        if not self._fits(value):
            raise Refusal(
                "INVALID_DATA", "invalid data", api_name=self.api_name, expected_data_type=self.data_type
            )

    def _fits(self, value: Any) -> bool:
        if self.data_type in {"integer", "bigint"}:
            digits = 9 if self.data_type == "integer" else 18
            return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**digits
        if self.data_type == "lookup":
            return isinstance(value, dict) and isinstance(value.get("id"), str)
        if self.data_type == "boolean":
            return isinstance(value, bool)
        if not isinstance(value, str) or len(value) > self.length:
            return False
        if self.data_type == "picklist":
            return value in {one["actual_value"] for one in self.choices}
        if self.data_type == "datetime":
            return bool(_MOMENT.fullmatch(value)) and datetime.fromisoformat(value).tzinfo is not None
        if self.data_type == "phone":
            return bool(_PHONE.fullmatch(value))
        return self.data_type != "website" or value.startswith(("http://", "https://", "www."))


def from_json(body: Mapping[str, Any], *, id_: str) -> Field:
    """A definition as the API takes it; the api name is derived, never asked for. Raises Refusal."""
    label, type_ = str(body["field_label"]), body.get("data_type")
    if len(label) > LABEL_LIMIT or not re.fullmatch(r"[A-Za-z0-9 ]+", label):
        raise Refusal("INVALID_DATA", "invalid data", api_name="field_label")
    if type_ not in TYPES:
        raise Refusal("INVALID_DATA", "invalid data", api_name="data_type")
    choices = tuple(body.get("pick_list_values") or ())
    if (type_ == "picklist") != bool(choices):
        raise Refusal("INVALID_DATA", "invalid data", api_name="pick_list_values")
    length = int(body.get("length", 255))
    if type_ == "textarea":
        length = TEXTAREAS[body.get("textarea", {}).get("type", "small")]
    if (type_ == "text" and length > 255) or (type_ == "website" and length > 450):
        raise Refusal("INVALID_DATA", "invalid data", api_name="length")
    to_module = body["lookup"]["module"]["api_name"] if type_ == "lookup" else None
    return Field(
        label.replace(" ", "_"), label, str(type_), length, "unique" in body,
        choices=choices, to_module=to_module, id=id_,
    )  # fmt: skip


@dataclass
class Module:
    api_name: str
    module_name: str
    singular: str
    plural: str
    fields: dict[str, Field] = field(default_factory=dict)
    is_custom: bool = False
    id: str = "0"

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "api_name": self.api_name,
            "module_name": self.module_name,
            "singular_label": self.singular,
            "plural_label": self.plural,
            "generated_type": "custom" if self.is_custom else "default",
            "api_supported": True,
        }


def _phones(*names: str) -> Sequence[Field]:
    return [Field(name, name.replace("_", " "), "phone", 50) for name in names]


def default_modules() -> dict[str, Module]:
    """What every edition comes with, as far as anybody here asks for it."""
    contact = [
        Field("First_Name", "First Name", length=40),
        Field("Last_Name", "Last Name", length=80, is_mandatory=True),
        Field("Email", "Email", "email", 100),
        *_phones("Phone", "Mobile", "Home_Phone", "Other_Phone", "Asst_Phone"),
    ]
    to_contact = Field("Contact_Name", "Contact Name", "lookup", to_module="Contacts")
    parts: dict[str, tuple[str, list[Field]]] = {
        "Contacts": ("Contacts", contact),
        "Deals": ("Potentials", [Field("Deal_Name", "Deal Name", is_mandatory=True), Field("Stage", "Stage"), to_contact]),
        "Cases": ("Cases", [Field("Subject", "Subject", is_mandatory=True), Field("Status", "Status"), to_contact]),
        "Campaigns": ("Campaigns", [Field("Campaign_Name", "Campaign Name", is_mandatory=True), Field("Status", "Status")]),
        "Notes": ("Notes", [Field("Note_Title", "Note Title", length=120), Field("Note_Content", "Note Content", "textarea", 32_000, is_mandatory=True)]),
    }  # fmt: skip
    return {
        name: Module(name, tab, name.removesuffix("s"), name, {one.api_name: one for one in fields})
        for name, (tab, fields) in parts.items()
    }
