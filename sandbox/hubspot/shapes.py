"""Holds both sides to the written contract: what the adapter sends and what the simulated account answers."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from importlib.resources import files
from typing import Any

import httpx
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from referencing import Registry, Resource

_FOLDER = files("acervo.crms.hubspot") / "shapes"
_NAMES = ("objects.json", "associations.json", "schema.json", "errors.json")


class ShapeFault(AssertionError):
    """A request or an answer that is not what `acervo/crms/hubspot/shapes` says."""


class CheckedTransport(httpx.AsyncBaseTransport):
    """Checks every exchange on its way; `exchanges` counts them by operation."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner
        self.exchanges: dict[str, int] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        method, template, wanted, answers = _operation(request.method, request.url.path)
        name = f"{method} {template}"
        self.exchanges[name] = self.exchanges.get(name, 0) + 1
        _check(wanted, json.loads(request.content) if request.content else None, f"request {name}")
        response = await self._inner.handle_async_request(request)
        content = await response.aread()
        shape = answers[str(response.status_code)] if response.is_success else _refusal(response.status_code)
        _check(shape, json.loads(content) if content else None, f"answer {response.status_code} {name}")
        return response


def _operation(method: str, path: str) -> tuple[str, str, str | None, dict[str, str | None]]:
    for known_method, template, wanted, answers in _contract()["operations"]:
        if known_method == method and _pattern(template).fullmatch(path):
            return method, template, wanted, answers
    raise ShapeFault(f"{method} {re.sub(r'[0-9]+', 'n', path)} is not a call of the contract")


def _refusal(status: int) -> str:
    refusals = _contract()["refusals"]
    return str(refusals.get(str(status), refusals["other"]))


def _check(shape: str | None, body: Any, where: str) -> None:
    if shape is None:
        if body is not None:
            raise ShapeFault(f"{where}: no body expected")
        return
    error = next(iter(_validator(shape).iter_errors(body)), None)
    if error:
        raise ShapeFault(f"{where}: {'/'.join(map(str, error.absolute_path))}: {error.message[:300]}")


@lru_cache
def _contract() -> Any:
    return json.loads((_FOLDER / "operations.json").read_text("utf-8"))


@lru_cache
def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{\w+\}", "[^/]+", template))


@lru_cache
def _validator(shape: str) -> Any:
    shapes = (
        (name, Resource.from_contents(json.loads((_FOLDER / name).read_text("utf-8")))) for name in _NAMES
    )
    registry: Registry[Any] = Registry().with_resources(shapes)
    return Draft202012Validator({"$ref": shape}, registry=registry)
