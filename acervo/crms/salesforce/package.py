"""Our fields, object and permissions as one archive that Salesforce deploys: what is in it is made, nothing else."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from acervo.crms.salesforce.api import API_VERSION
from acervo.crms.salesforce.definitions import Definition
from acervo.crms.salesforce.places import CUSTOM_OBJECT, MEDIA

WRITERS = "WhatsApp_Media_Sync"
READERS = "WhatsApp_Media_Read"
"""Permission sets: ours, and one to give to the people who shall see the files."""
LAYOUT = f"{MEDIA}-WhatsApp Media Layout"
TRUSTED_SITE = "WhatsApp_Media_Hub"
FILES = "RelatedFileList"
"""What a layout calls the files that hang on a record."""

_NAMESPACE = "http://soap.sforce.com/2006/04/metadata"
_SAME_MOMENT = (1980, 1, 1, 0, 0, 0)
_OBJECT_LABELS = {
    "pt": ("Mídia do WhatsApp", "Mídias do WhatsApp"),
    "es": ("Archivo de WhatsApp", "Archivos de WhatsApp"),
}
_ALL_ON_MEDIA = (
    "allowCreate",
    "allowDelete",
    "allowEdit",
    "allowRead",
    "modifyAllRecords",
    "viewAllRecords",
)
_WRITERS_OBJECTS: Mapping[str, Sequence[str]] = {
    "Account": ("allowRead",),
    "Contact": ("allowCreate", "allowEdit", "allowRead"),
    "Opportunity": ("allowRead",),
    "Case": ("allowRead",),
    "Campaign": ("allowRead",),
    MEDIA: _ALL_ON_MEDIA,
}
_READERS_OBJECTS: Mapping[str, Sequence[str]] = {MEDIA: ("allowRead",)}
_RIGHTS = _ALL_ON_MEDIA


def archive(
    new: Sequence[Definition],
    every: Sequence[Definition],
    *,
    makes_object: bool,
    language: str,
    trusted_url: str | None = None,
) -> bytes:
    """`new`: the fields to make. `every`: all of ours in this account, for which both permission sets give rights.
    Object, layout and labels are said only when the object is made: afterwards they are the customer's."""
    parts: dict[str, Element] = {}
    members: dict[str, list[str]] = {"PermissionSet": [WRITERS, READERS]}
    for object_name in dict.fromkeys(one.object_name for one in new):
        theirs = [one for one in new if one.object_name == object_name]
        is_new = makes_object and object_name == MEDIA
        parts[f"objects/{object_name}.object"] = _object(theirs, language if is_new else None)
        if not is_new:
            members.setdefault("CustomField", []).extend(one.full_name for one in theirs)
    if makes_object:
        members |= {"CustomObject": [MEDIA], "Layout": [LAYOUT]}
        parts[f"layouts/{LAYOUT}.layout"] = _layout([one for one in every if one.object_name == MEDIA])
    parts[f"permissionsets/{WRITERS}.permissionset"] = _permissions(
        "WhatsApp media: write", every, _WRITERS_OBJECTS, can_edit=True
    )
    parts[f"permissionsets/{READERS}.permissionset"] = _permissions(
        "WhatsApp media: read", every, _READERS_OBJECTS, can_edit=False
    )
    if trusted_url:
        members["CspTrustedSite"] = [TRUSTED_SITE]
        parts[f"cspTrustedSites/{TRUSTED_SITE}.cspTrustedSite"] = _trusted_site(trusted_url)
    return _zipped({"package.xml": _manifest(members), **parts})


def _zipped(parts: Mapping[str, Element]) -> bytes:
    """Byte for byte the same for the same content."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, root in parts.items():
            indent(root)
            text = tostring(root, encoding="UTF-8", xml_declaration=True)
            file.writestr(zipfile.ZipInfo(name, _SAME_MOMENT), text, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _manifest(members: Mapping[str, Sequence[str]]) -> Element:
    root = _root("Package")
    for kind, names in sorted(members.items()):
        types = SubElement(root, "types")
        _said(types, *(("members", name) for name in names), ("name", kind))
    _said(root, ("version", API_VERSION))
    return root


def _object(fields: Iterable[Definition], language_of_new: str | None) -> Element:
    root = _root("CustomObject")
    if language_of_new is not None:
        one, many = _OBJECT_LABELS.get(language_of_new[:2].lower(), ("WhatsApp media", "WhatsApp media"))
        _said(
            root,
            ("label", one),
            ("pluralLabel", many),
            ("deploymentStatus", "Deployed"),
            ("sharingModel", "ReadWrite"),
            ("enableSearch", "true"),
            ("enableReports", "true"),
            ("enableHistory", "false"),  # a history would keep what was erased
        )
        _said(SubElement(root, "nameField"), ("label", one), ("type", "Text"))
    for field in fields:
        _field(SubElement(root, "fields"), field)
    return root


def _field(element: Element, one: Definition) -> None:
    _said(element, ("fullName", one.name), ("label", one.label), ("type", one.type))
    if one.formula:
        _said(element, ("formula", one.formula), ("formulaTreatBlanksAs", "BlankAsZero"))
        return
    if one.length:
        _said(element, ("length", str(one.length)))
    if one.type == "LongTextArea":
        _said(element, ("visibleLines", "6"))
    if one.is_unique:
        _said(element, ("externalId", "true"), ("unique", "true"), ("caseSensitive", "false"))
    if one.precision:
        _said(element, ("precision", str(one.precision)), ("scale", "0"))
    if one.refers_to:
        relation = MEDIA.removesuffix("__c").replace("_", "")
        _said(
            element,
            ("referenceTo", one.refers_to),
            ("relationshipName", relation),
            ("relationshipLabel", "WhatsApp"),
            ("deleteConstraint", "SetNull"),
        )
    if one.choices:
        values = SubElement(element, "valueSet")
        _said(values, ("restricted", "true"))
        definition = SubElement(values, "valueSetDefinition")
        _said(definition, ("sorted", "false"))
        for value, label in one.choices:
            _said(
                SubElement(definition, "value"), ("fullName", value), ("default", "false"), ("label", label)
            )


def _permissions(
    label: str, fields: Sequence[Definition], objects: Mapping[str, Sequence[str]], *, can_edit: bool
) -> Element:
    """A field made by API is seen by nobody, us included, until a permission set says so."""
    root = _root("PermissionSet")
    has_object = any(one.object_name == MEDIA for one in fields)
    for one in fields:
        _said(
            SubElement(root, "fieldPermissions"),
            ("editable", str(can_edit and not one.formula).lower()),
            ("field", one.seen_as),
            ("readable", "true"),
        )
    _said(root, ("hasActivationRequired", "false"), ("label", label))
    for object_name, rights in objects.items():
        if object_name == MEDIA and not has_object:
            continue
        permissions = SubElement(root, "objectPermissions")
        granted = [(right, str(right in rights).lower()) for right in _RIGHTS]
        _said(permissions, *granted[:4], granted[4], ("object", object_name), granted[5])
    return root


def _layout(fields: Sequence[Definition]) -> Element:
    """What a person sees on a record: how to open it, whose it is, then the facts, then what was said, and
    copies of the bytes where they are wanted."""
    names = [one.name for one in fields]
    first = ["Play__c", *(name for name in names if name in CUSTOM_OBJECT.lookups.values())]
    long = [one.name for one in fields if one.type == "LongTextArea"]
    facts = [name for name in names if name not in {*first, *long}]
    root = _root("Layout")
    _section(
        root,
        "WhatsApp",
        [["Name", *first[:1], *facts[: len(facts) // 2]], first[1:] + facts[len(facts) // 2 :]],
    )
    _section(root, "Transcript", [long])
    _said(SubElement(root, "relatedLists"), ("relatedList", FILES))
    return root


def _section(root: Element, label: str, columns: Sequence[Sequence[str]]) -> None:
    section = SubElement(root, "layoutSections")
    _said(
        section,
        ("customLabel", "true"),
        ("detailHeading", "true"),
        ("editHeading", "true"),
        ("label", label),
    )
    for column in columns:
        place = SubElement(section, "layoutColumns")
        for name in column:
            behaviour = {"Name": "Required", "Play__c": "Readonly"}.get(name, "Edit")
            _said(SubElement(place, "layoutItems"), ("behavior", behaviour), ("field", name))
    _said(section, ("style", "TwoColumnsTopToBottom" if len(columns) == 2 else "OneColumn"))


def _trusted_site(url: str) -> Element:
    """Pages of Salesforce may show what lies behind our address."""
    root = _root("CspTrustedSite")
    _said(root, ("context", "All"), ("description", "Acervo"), ("endpointUrl", url), ("isActive", "true"))
    for directive in ("FrameSrc", "ImgSrc", "MediaSrc"):
        _said(root, (f"isApplicableTo{directive}", "true"))
    return root


def _root(name: str) -> Element:
    return Element(name, xmlns=_NAMESPACE)


def _said(parent: Element, *lines: tuple[str, str]) -> None:
    for name, text in lines:
        SubElement(parent, name).text = text
