"""Holds both sides to the written contract: what the adapter sends and what the simulated account answers."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import httpx
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from referencing import Registry, Resource

from sandbox.forms import Part, is_form, parts

_CALLS = "operations.json"
_BYTES = "bytes"
"""Stands for a shape where the body is a file, sent piece by piece."""


class ShapeFault(AssertionError):
    """A request or an answer that is not what the `shapes` of the adapter say."""


class CheckedTransport(httpx.AsyncBaseTransport):
    """Checks every exchange on its way; `exchanges` counts them by operation. `kind`: whose shapes."""

    def __init__(self, inner: httpx.AsyncBaseTransport, kind: str = "hubspot") -> None:
        self._inner = inner
        self._kind = kind
        self.exchanges: dict[str, int] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        method, template, wanted, answers = _operation(self._kind, request.method, request.url.path)
        name = f"{method} {template}"
        self.exchanges[name] = self.exchanges.get(name, 0) + 1
        if wanted == _BYTES:
            _check_file(request, f"request {name}")
        else:
            _check(self._kind, wanted, await _sent(request), f"request {name}")
        response = await self._inner.handle_async_request(request)
        content = await response.aread()
        shape = (
            answers[str(response.status_code)]
            if response.is_success
            else _refusal(self._kind, response.status_code)
        )
        _check(
            self._kind,
            shape,
            json.loads(content) if content else None,
            f"answer {response.status_code} {name}",
        )
        return response


async def _sent(request: httpx.Request) -> Any:
    """A form as the object of its fields; what its `options` say is an object too."""
    content, content_type = await request.aread(), request.headers.get("content-type", "")
    if is_form(content_type):
        if len(content) != int(request.headers["content-length"]):
            raise ShapeFault("a form of another length than was said")
        return {name: _told(name, part) for name, part in parts(content_type, content).items()}
    return json.loads(content) if content else None


def _told(name: str, part: Part) -> Any:
    """Of a file's bytes only how many there are."""
    if part.file_name:
        return {"name": part.file_name, "contentType": part.type, "size": len(part.content)}
    said = part.content.decode()
    return json.loads(said) if name == "options" else said


def _operation(kind: str, method: str, path: str) -> tuple[str, str, str | None, dict[str, str | None]]:
    for known_method, template, wanted, answers in _contract(kind)["operations"]:
        if known_method == method and _pattern(template).fullmatch(path):
            return method, template, wanted, answers
    raise ShapeFault(f"{method} {re.sub(r'[0-9]+', 'n', path)} is not a call of the contract")


def _refusal(kind: str, status: int) -> str:
    refusals = _contract(kind)["refusals"]
    return str(refusals.get(str(status), refusals["other"]))


def _check_file(request: httpx.Request, where: str) -> None:
    """Looked at from outside only: reading it would hold it whole."""
    if "/" not in request.headers.get("Content-Type", "") or "Content-Length" not in request.headers:
        raise ShapeFault(f"{where}: a file comes with its type and its size")


def _check(kind: str, shape: str | None, body: Any, where: str) -> None:
    if shape is None:
        if body is not None:
            raise ShapeFault(f"{where}: no body expected")
        return
    error = next(iter(_validator(kind, shape).iter_errors(body)), None)
    if error:
        raise ShapeFault(f"{where}: {'/'.join(map(str, error.absolute_path))}: {error.message[:300]}")


@lru_cache
def _contract(kind: str) -> Any:
    return json.loads((_folder(kind) / _CALLS).read_text("utf-8"))


def _folder(kind: str) -> Traversable:
    return files(f"acervo.crms.{kind}") / "shapes"


@lru_cache
def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{\w+\}", "[^/]+", template))


@lru_cache
def _validator(kind: str, shape: str) -> Any:
    shapes = (
        (path.name, Resource.from_contents(json.loads(path.read_text("utf-8"))))
        for path in _folder(kind).iterdir()
        if path.name != _CALLS
    )
    registry: Registry[Any] = Registry().with_resources(shapes)
    return Draft202012Validator({"$ref": shape}, registry=registry)
