"""Metadata deployments: an archive becomes objects, fields and permissions, all of it or nothing."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element, fromstring

from sandbox.salesforce.fields import FieldDef, Refusal
from sandbox.salesforce.org import Org

_RELATED_LISTS = frozenset({"RelatedFileList"})
"""The names of related lists we use; Salesforce refuses a layout with one it does not know."""
_NS = "{http://soap.sforce.com/2006/04/metadata}"


def begin(org: Org, archive: bytes) -> str:
    """Queued: it is done some seconds later, when somebody asks."""
    deployment_id = f"0Af{len(org.deployments) + 1:012d}AAA"
    org.deployments[deployment_id] = {
        "archive": archive,
        "ready_at": org.clock() + org.deploy_s,
        "result": None,
    }
    return deployment_id


def status(org: Org, deployment_id: str) -> dict[str, Any]:
    deployment = org.deployments.get(deployment_id)
    if deployment is None:
        raise Refusal(404, "NOT_FOUND", "no such deployment")
    if deployment["result"] is None and org.clock() >= deployment["ready_at"]:
        failures = _apply(org, deployment["archive"])
        deployment["result"] = {
            "done": True,
            "success": not failures,
            "status": "Failed" if failures else "Succeeded",
            "details": {"componentFailures": failures, "componentSuccesses": []},
        }
    return deployment["result"] or {"done": False, "success": False, "status": "InProgress", "details": {}}


def _apply(org: Org, archive: bytes) -> list[dict[str, Any]]:
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        parts = {name: fromstring(file.read(name)) for name in file.namelist()}  # noqa: S314  (our own archive)
    failures = [*_missing_from_manifest(parts), *_unavailable(org, parts)]
    if failures:
        return failures
    for name, root in parts.items():
        if name.startswith("objects/"):
            _make_object(org, name.removeprefix("objects/").removesuffix(".object"), root)
    for name, root in parts.items():
        if name.startswith("permissionsets/"):
            _make_rights(org, name.removeprefix("permissionsets/").removesuffix(".permissionset"), root)
    return []


def _missing_from_manifest(parts: dict[str, Element]) -> Iterator[dict[str, Any]]:
    """Salesforce makes what the manifest names, and refuses names without content."""
    named = {one.text for one in parts["package.xml"].iter(f"{_NS}members")}
    for path in parts:
        folder, _, rest = path.partition("/")
        stem = rest.rpartition(".")[0]
        if folder in {"permissionsets", "layouts", "cspTrustedSites"} and stem not in named:
            yield _failure(stem, "not in package.xml")
        if folder == "objects" and stem not in named:
            fields = parts[path].findall(f"{_NS}fields")
            for field in fields:
                full_name = f"{stem}.{_text(field, 'fullName')}"
                if full_name not in named:
                    yield _failure(full_name, "not in package.xml")


def _unavailable(org: Org, parts: dict[str, Element]) -> Iterator[dict[str, Any]]:
    for path, root in parts.items():
        for one in root.iter(f"{_NS}relatedList"):
            if one.text not in _RELATED_LISTS:
                yield _failure(path, f"Cannot find related list:{one.text}")
        stem = path.removeprefix("objects/").removesuffix(".object")
        if not path.startswith("objects/"):
            continue
        if root.find(f"{_NS}nameField") is not None and not org.has_custom_objects:
            yield _failure(stem, "reached maximum number of custom objects")
        elif root.find(f"{_NS}nameField") is None and stem not in {*org.objects, "Activity"}:
            yield _failure(stem, "must specify a nameField")
        for field in root.findall(f"{_NS}fields"):
            if _text(field, "type") == "Text" and not (_text(field, "length") or _text(field, "formula")):
                yield _failure(_text(field, "fullName"), "must specify length")
            if len(_text(field, "label")) > 40:
                yield _failure(_text(field, "fullName"), "label too long")


def _make_object(org: Org, object_name: str, root: Element) -> None:
    name = "Task" if object_name == "Activity" else object_name
    there = org.objects.setdefault(name, {})
    org.records.setdefault(name, {})
    if root.find(f"{_NS}nameField") is not None:
        there.setdefault("Name", FieldDef("Name", length=80))
    for field in root.findall(f"{_NS}fields"):
        one = _field(field)
        there[one.name] = one  # a deployment changes what is there: whoever deploys says what shall be


def _field(element: Element) -> FieldDef:
    values = element.find(f"{_NS}valueSet")
    return FieldDef(
        name=_text(element, "fullName"),
        type=_text(element, "type"),
        label=_text(element, "label"),
        length=int(_text(element, "length") or 255),
        is_unique=_text(element, "unique") == "true",
        is_external_id=_text(element, "externalId") == "true",
        is_restricted=values is not None and _text(values, "restricted") == "true",
        choices=tuple(_text(one, "fullName") for one in values.iter(f"{_NS}value"))
        if values is not None
        else (),
        refers_to=_text(element, "referenceTo"),
        is_formula=bool(_text(element, "formula")),
    )


def _make_rights(org: Org, name: str, root: Element) -> None:
    fields = {_text(one, "field") for one in root.findall(f"{_NS}fieldPermissions")}
    objects = {
        _text(one, "object")
        for one in root.findall(f"{_NS}objectPermissions")
        if _text(one, "allowRead") == "true"
    }
    org.rights[name] = fields | objects
    if not any(one.values["Name"] == name for one in org.live_of("PermissionSet")):
        org.add("PermissionSet", Name=name, Label=_text(root, "label"))


def _failure(name: str, problem: str) -> dict[str, Any]:
    return {"fullName": name, "problem": problem, "problemType": "Error", "success": False}


def _text(element: Element, name: str) -> str:
    return element.findtext(f"{_NS}{name}") or ""
