"""The description of the API for people, read from its OpenAPI document: a page in the settings, and `docs/api.md`."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from acervo.api.main import api
from acervo.api.shapes import ULID_PATTERN
from acervo.web.guards import MemberRequest, for_members

KINDS: Final = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "object": "object",
    "null": "null",
}
PAGE: Final = "Page_"
"""How ninja calls a page of something."""

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    kind: str
    about: str
    is_required: bool
    where: str = "body"


@dataclass(frozen=True, slots=True)
class Operation:
    name: str
    method: str
    path: str
    summary: str
    about: str
    scope: str
    takes: tuple[Field, ...]
    gives: tuple[tuple[str, str], ...]
    """Status and what comes with it, where it went well."""


@dataclass(frozen=True, slots=True)
class Shape:
    name: str
    about: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Reference:
    about: str
    chapters: tuple[tuple[str, tuple[Operation, ...]], ...]
    shapes: tuple[Shape, ...]


@require_GET
@for_members
def page(request: MemberRequest) -> HttpResponse:
    return render(request, "api_reference.html", {"reference": reference()})


@functools.cache
def reference() -> Reference:
    """As the code is: it does not change while a process runs."""
    return _Reader(json.loads(json.dumps(api.get_openapi_schema()))).read()


class _Reader:
    def __init__(self, document: Json) -> None:
        self._document = document
        self._shapes: Json = document["components"]["schemas"]

    def read(self) -> Reference:
        chapters: dict[str, list[Operation]] = {}
        for path, methods in self._document["paths"].items():
            for method, operation in methods.items():
                found = self._operation(method.upper(), path, operation)
                chapters.setdefault(operation["tags"][0], []).append(found)
        return Reference(
            about=self._document["info"]["description"],
            chapters=tuple((name, tuple(its)) for name, its in chapters.items()),
            shapes=tuple(
                Shape(name, _line(shape), tuple(self._fields(shape)))
                for name, shape in sorted(self._shapes.items())
                if "properties" in shape and not name.startswith(PAGE)
            ),
        )

    def _operation(self, method: str, path: str, operation: Json) -> Operation:
        scopes = operation["security"][0]["Bearer"]
        return Operation(
            name=operation["operationId"],
            method=method,
            path=path,
            summary=operation["summary"],
            about=_line(operation),
            scope=scopes[0] if scopes else "",
            takes=tuple(self._takes(operation)),
            gives=tuple(self._gives(operation)),
        )

    def _takes(self, operation: Json) -> Iterable[Field]:
        for its in operation["parameters"]:
            yield Field(its["name"], self._kind(its["schema"]), _line(its), its["required"], its["in"])
        if body := operation.get("requestBody"):
            schema = body["content"]["application/json"]["schema"]
            yield from self._fields(self._shapes[_name(schema)] if "$ref" in schema else schema)

    def _gives(self, operation: Json) -> Iterable[tuple[str, str]]:
        for status, answer in operation["responses"].items():
            if status.startswith("2"):
                content = answer.get("content", {}).get("application/json")
                yield status, self._kind(content["schema"]) if content else "nothing"

    def _fields(self, shape: Json) -> Iterable[Field]:
        required = shape.get("required", ())
        for name, its in shape.get("properties", {}).items():
            yield Field(name, self._kind(its), _line(its), name in required)

    def _kind(self, schema: Json) -> str:
        if "$ref" in schema:
            name = _name(schema)
            if "enum" in self._shapes[name]:
                return self._kind(self._shapes[name])
            return f"page of {name.removeprefix(PAGE).rstrip('_')}" if name.startswith(PAGE) else name
        if "anyOf" in schema:
            return " or ".join(dict.fromkeys(map(self._kind, schema["anyOf"])))
        if "enum" in schema:
            return " or ".join(map(str, schema["enum"]))
        if schema.get("type") == "array":
            return f"list of {self._kind(schema.get('items', {}))}"
        if schema.get("pattern") == ULID_PATTERN:
            return "id"
        is_moment = schema.get("format") == "date-time"
        return "moment" if is_moment else KINDS.get(schema.get("type", ""), "anything")


def _name(schema: Json) -> str:
    return str(schema["$ref"]).rsplit("/", 1)[-1]


def _line(described: Json) -> str:
    return " ".join(str(described.get("description", "")).split())
