"""Our fields and our object in a HubSpot account: made once, compared ever after, never changed under a person."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from acervo.crms.contract import CrmError, CrmErrorKind, CrmField, SchemaReport, Told, untold
from acervo.crms.fields import CONTACT_FIELDS, MEDIA_FIELDS, Field, choice_label
from acervo.crms.hubspot.api import Api, Json
from acervo.crms.mapping import TargetType

GROUP = "whatsapp_media"
OBJECT = "whatsapp_media"
OBJECT_LABEL = "WhatsApp media"
NAMES = {field.name: "wa_media_url" if field.name == "url" else f"wa_{field.name}" for field in MEDIA_FIELDS}
"""Our media fields under their names in HubSpot."""
FILE = "wa_file"
"""HubSpot's ids of the bytes, on our object: made when somebody first wants them in HubSpot too."""

_FILE = Field("file", "text", "File", "Arquivo", "Archivo")
_FILE_TYPES = {"type": "string", "fieldType": "file"}
_TYPES = {
    "text": ("string", "text"),
    "long_text": ("string", "textarea"),
    "number": ("number", "number"),
    "moment": ("datetime", "date"),
    "choice": ("enumeration", "select"),
}
_READ_AS: dict[str, TargetType] = {
    "string": "text",
    "number": "number",
    "datetime": "moment",
    "date": "day",
    "enumeration": "choice",
    "bool": "yes_no",
}
_MANY = frozenset({"checkbox", "file", "html", "calculation_equation"})
"""Kinds of input whose values are written in ways of their own."""


@dataclass
class _Findings:
    """What a run met, collected as it goes."""

    told: Told
    created: list[str] = field(default_factory=list)
    existing: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)


async def ensure(api: Api, *, language: str, dry_run: bool, told: Told = untold) -> SchemaReport:
    """Contact fields first, then the media object, or the news that this plan has no custom objects."""
    account = await api.account()
    findings = _Findings(told)
    await _ensure_fields(api, "contacts", CONTACT_FIELDS, language, findings, dry_run=dry_run)
    try:
        media_type = await _ensure_object(api, language, findings, dry_run=dry_run)
        model = {"model": "object", "media_type_id": media_type}
    except CrmError as error:
        if error.kind is not CrmErrorKind.FORBIDDEN:
            raise
        model = {"model": "activity", "media_type_id": None}
    return SchemaReport(
        created=tuple(findings.created),
        existing=tuple(findings.existing),
        conflicts=tuple(findings.conflicts),
        options={**model, "portal_id": str(account["portalId"]), "ui_domain": account.get("uiDomain")},
    )


async def fields(api: Api, object_type: str) -> list[CrmField]:
    """All properties, whoever made them."""
    if object_type == "contacts":
        names = {f"wa_{one.name}" for one in CONTACT_FIELDS}
    else:
        names = {FILE, *NAMES.values()}
    return [_field(row, is_ours=str(row["name"]) in names) for row in await api.properties(object_type)]


def _field(row: Json, *, is_ours: bool) -> CrmField:
    type_ = _READ_AS.get(str(row.get("type")), "other")
    if row.get("fieldType") == "textarea":
        type_ = "long_text"
    if row.get("fieldType") in _MANY:
        type_ = "other"
    said = row.get("modificationMetadata")
    is_read_only = isinstance(said, dict) and bool(said.get("readOnlyValue"))
    return CrmField(
        name=str(row["name"]),
        label=str(row.get("label") or row["name"]),
        type=type_,
        is_writable=not (is_read_only or row.get("calculated")),
        is_ours=is_ours,
        choices=tuple(str(one.get("value")) for one in row.get("options") or ()),
    )


async def find_media_type(api: Api) -> str | None:
    """The object type id of our object, or None. Raises CrmError FORBIDDEN where the plan has no such thing."""
    schema = await _find_schema(api)
    return str(schema["objectTypeId"]) if schema else None


async def ensure_file_field(api: Api, type_id: str, language: str) -> None:
    """Raises CrmError VALIDATION where a person made it differently: it is left alone."""
    try:
        row = await api.property(type_id, FILE)
    except CrmError as error:
        if error.kind is not CrmErrorKind.NOT_FOUND:
            raise
        await _unless_there(api.create_group(type_id, {"name": GROUP, "label": OBJECT_LABEL}))
        if await _unless_there(
            api.create_property(type_id, {**property_definition(_FILE, language), **_FILE_TYPES})
        ):
            return
        row = await api.property(type_id, FILE)
    if any(row.get(name) != value for name, value in _FILE_TYPES.items()):
        raise CrmError(
            CrmErrorKind.VALIDATION,
            f"the field {FILE} of our object in HubSpot is not one for files: somebody made it differently. "
            "Delete it there, and it is made anew",
        )


async def _ensure_object(api: Api, language: str, findings: _Findings, *, dry_run: bool) -> str | None:
    schema = await _find_schema(api)
    if schema is None and dry_run:
        findings.created.append(OBJECT)
        return None
    if schema is None:
        schema = await _create_object(api, language, findings)
    else:
        findings.existing.append(OBJECT)
    type_id = str(schema["objectTypeId"])
    await _ensure_fields(api, type_id, MEDIA_FIELDS, language, findings, dry_run=dry_run)
    return type_id


async def _create_object(api: Api, language: str, findings: _Findings) -> Json:
    try:
        schema = await api.create_object_schema(object_definition(language))
    except CrmError as error:
        if error.kind not in {CrmErrorKind.CONFLICT, CrmErrorKind.VALIDATION}:
            raise
        # Somebody was faster, or an earlier try of ours got through unseen: HubSpot says 409 or 400 for both.
        if (schema := await _find_schema(api)) is None:  # type: ignore[assignment]
            raise
        findings.existing.append(OBJECT)
        return schema
    findings.created.append(OBJECT)
    await findings.told(OBJECT)
    return schema


async def _ensure_fields(
    api: Api,
    object_type: str,
    fields: Sequence[Field],
    language: str,
    findings: _Findings,
    *,
    dry_run: bool,
) -> None:
    place = "contact" if object_type == "contacts" else "media"
    there = {row["name"]: row for row in await api.properties(object_type)}
    missing = [one for one in fields if _name(one) not in there]
    if missing and not dry_run:
        await _unless_there(api.create_group(object_type, {"name": GROUP, "label": OBJECT_LABEL}))
    for one in missing:
        is_new = dry_run or await _unless_there(
            api.create_property(object_type, property_definition(one, language))
        )
        (findings.created if is_new else findings.existing).append(f"{place}.{_name(one)}")
        if is_new and not dry_run:
            await findings.told(f"{place}.{_name(one)}")
    for one in fields:
        if row := there.get(_name(one)):
            name = f"{place}.{_name(one)}"
            findings.existing.append(name)
            findings.conflicts += (f"{name}: {difference}" for difference in _differences(one, row))


async def _unless_there(creation: Any) -> bool:
    """Whether it was made now. 409: somebody was faster, which is just as good."""
    try:
        await creation
    except CrmError as error:
        if error.kind is CrmErrorKind.CONFLICT:
            return False
        raise
    return True


def _differences(one: Field, row: Json) -> Iterable[str]:
    type_, field_type = _TYPES[one.type]
    if row.get("type") != type_:
        yield f"is {row.get('type')}, we write {type_}"
    elif row.get("fieldType") != field_type and one.type == "choice":
        yield f"is shown as {row.get('fieldType')}, we write one choice"
    if one.is_unique and not row.get("hasUniqueValue"):
        yield "is not unique, which HubSpot allows only when a field is made"
    if one.type == "choice":
        offered = {option.get("value") for option in row.get("options", [])}
        if missing := [choice for choice in one.choices if choice not in offered]:
            yield f"lacks the options {', '.join(missing)}"


def _name(one: Field) -> str:
    return NAMES.get(one.name, f"wa_{one.name}")


async def _find_schema(api: Api) -> Json | None:
    return next((row for row in await api.object_schemas() if row.get("name") == OBJECT), None)


def property_definition(one: Field, language: str, *, group: str | None = GROUP) -> dict[str, Any]:
    """A field of ours as HubSpot wants it. `hasUniqueValue` can be said only now, never changed later."""
    type_, field_type = _TYPES[one.type]
    definition: dict[str, Any] = {
        "name": _name(one),
        "label": one.label(language),
        "type": type_,
        "fieldType": field_type,
    }
    if group:
        definition["groupName"] = group
    if one.is_unique:
        definition["hasUniqueValue"] = True
    if one.choices:
        definition["options"] = [
            {"label": choice_label(choice, language), "value": choice, "displayOrder": place, "hidden": False}
            for place, choice in enumerate(one.choices)
        ]
    return definition


def object_definition(language: str) -> dict[str, Any]:
    """Our object with all its fields. Name and labels cannot be changed later."""
    return {
        "name": OBJECT,
        "labels": {"singular": OBJECT_LABEL, "plural": OBJECT_LABEL},
        "primaryDisplayProperty": NAMES["title"],
        "secondaryDisplayProperties": [NAMES["kind"], NAMES["received_at"]],
        "requiredProperties": [NAMES["media_id"]],
        "searchableProperties": [NAMES["title"], NAMES["transcript"]],
        "properties": [property_definition(one, language, group=None) for one in MEDIA_FIELDS],
        "associatedObjects": ["CONTACT", "DEAL", "TICKET"],
    }
