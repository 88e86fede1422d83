"""Holds both sides to the written contract: what the adapter sends and what the simulated organisation answers."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from sandbox.forms import parts


class ShapeFault(AssertionError):
    """A request or an answer that is not what `acervo/crms/salesforce/shapes` says."""


class CheckedTransport(httpx.AsyncBaseTransport):
    """Checks every exchange on its way, and each part of a composite one; `exchanges` counts them by operation."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner
        self.exchanges: dict[str, int] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        operation = _operation(request.method, request.url.path)
        name = str(operation["operationId"])
        self.exchanges[name] = self.exchanges.get(name, 0) + 1
        content = await request.aread()
        _check_request(operation, request.headers.get("content-type", ""), content, dict(request.url.params))
        response = await self._inner.handle_async_request(request)
        answer = await response.aread()
        body = json.loads(answer) if answer else None
        _check_answer(operation, response.status_code, body)
        if name == "composite" and response.is_success:
            _check_parts(json.loads(content), body)
        return response


def _check_request(operation: Any, content_type: str, content: bytes, query: dict[str, str]) -> None:
    name = operation["operationId"]
    for parameter in operation.get("parameters", ()):
        if parameter["in"] != "query":
            continue
        if parameter["name"] in query:
            _check(parameter["schema"], query.pop(parameter["name"]), f"{name}?{parameter['name']}")
        elif parameter.get("required"):
            raise ShapeFault(f"request {name}: {parameter['name']} is missing")
    if query:
        raise ShapeFault(f"request {name}: {', '.join(query)} is no parameter of it")
    wanted = operation.get("requestBody", {}).get("content", {})
    if bool(wanted) != bool(content):
        raise ShapeFault(f"request {name}: body expected: {bool(wanted)}")
    kind = content_type.partition(";")[0]
    if not wanted:
        return
    if kind not in wanted:
        raise ShapeFault(f"request {name}: {kind} is not one of {', '.join(wanted)}")
    _check(wanted[kind]["schema"], _read(content_type, content), f"request {name}")


def _read(content_type: str, content: bytes) -> Any:
    kind = content_type.partition(";")[0]
    if kind == "application/json":
        return json.loads(content)
    if kind == "application/x-www-form-urlencoded":
        return {name: values[0] for name, values in parse_qs(content.decode()).items()}
    form = parts(content_type, content)
    return {
        name: json.loads(part.content) if part.type == "application/json" else ""
        for name, part in form.items()
    }


def _check_answer(operation: Any, status: int, body: Any) -> None:
    name = operation["operationId"]
    answers = operation["responses"]
    known = answers.get(str(status))
    if known is None:
        if status < 400:
            raise ShapeFault(f"answer {status} {name} is not in the contract")
        known = {"content": {"application/json": {"schema": _error_schema()}}}
    content = known.get("content")
    if content is None:
        if body is not None:
            raise ShapeFault(f"answer {status} {name}: no body expected")
        return
    if name == "token" and status >= 400:
        content = answers["400"]["content"]
    _check(content["application/json"]["schema"], body, f"answer {status} {name}")


def _check_parts(request: Any, answer: Any) -> None:
    for part, result in zip(request["compositeRequest"], answer["compositeResponse"], strict=True):
        address = urlsplit(part["url"])
        operation = _operation(part["method"], address.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        body = json.dumps(part["body"]).encode() if "body" in part else b""
        _check_request(operation, "application/json", body, query)
        _check_answer(operation, result["httpStatusCode"], result["body"])


def _error_schema() -> Any:
    return _contract()["paths"]["/services/data"]["get"]["responses"]["404"]["content"]["application/json"][
        "schema"
    ]


def _operation(method: str, path: str) -> Any:
    """The most exact of the addresses that fit: fewest placeholders."""
    fitting = [
        (template.count("{"), operations[method.lower()])
        for template, operations in _contract()["paths"].items()
        if method.lower() in operations and _pattern(template).fullmatch(path)
    ]
    if not fitting:
        raise ShapeFault(f"{method} {re.sub(r'[0-9]+', 'n', path)} is not a call of the contract")
    return min(fitting, key=lambda one: one[0])[1]


def _check(schema: Any, body: Any, where: str) -> None:
    error = next(iter(Draft202012Validator(schema).iter_errors(body)), None)
    if error:
        raise ShapeFault(f"{where}: {'/'.join(map(str, error.absolute_path))}: {error.message[:300]}")


@lru_cache
def _contract() -> Any:
    folder = files("acervo.crms.salesforce") / "shapes"
    return json.loads((folder / "salesforce.json").read_text("utf-8"))


@lru_cache
def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"(\{\w+\})", template)
    return re.compile("".join("[^/]+" if part.startswith("{") else re.escape(part) for part in parts))
