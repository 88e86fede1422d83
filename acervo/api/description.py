"""The OpenAPI description of the API: what ninja derives from types, and what holds for every operation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from acervo.api.once import HEADER, KEY_PATTERN
from acervo.api.problems import MEDIA_TYPE
from acervo.models.api_token import ANSWERS_KEPT_FOR

WRITES: Final = ("post", "put", "patch", "delete")
SAID: Final = {
    "400": "The body is not JSON.",
    "401": "No valid token.",
    "403": "The token has not the scope, or its role may not do this.",
    "404": "It does not exist, or the token may not see it.",
    "409": "It cannot be done now; `code` says why.",
    "413": "The body is larger than 2.5 MB.",
    "422": "Something in the request is not as described; `errors` says what.",
    "429": "Too many requests in this minute; `Retry-After` says when to come back.",
    "503": "The archive cannot answer right now; try again.",
}
PROBLEM: Final = {
    "type": "object",
    "title": "Problem",
    "description": "RFC 9457. `code` is for programs; `title` and `detail` are for people, in their language.",
    "required": ["type", "title", "status", "code"],
    "properties": {
        "type": {"type": "string", "description": "`urn:acervo:problem:` and the code."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["where", "what", "code"],
                "properties": {
                    "where": {"type": "string", "description": "Such as `body.names.0` or `query.limit`."},
                    "what": {"type": "string"},
                    "code": {"type": "string"},
                },
            },
        },
    },
}
ONCE: Final = {
    "in": "header",
    "name": HEADER,
    "required": False,
    "schema": {"type": "string", "pattern": f"^{KEY_PATTERN}$"},
    "description": "Sent again with the same key, the request does nothing and gets the same answer, for "
    f"{ANSWERS_KEPT_FOR.total_seconds() / 3600:.0f} hours. With another request the key is refused.",
}


PARAMETERS: Final = {
    "limit": "How many, at most.",
    "after": "The `next` of the page before. Left out: from the beginning.",
}


def complete(found: dict[str, Any], scopes: Mapping[str, str | None]) -> dict[str, Any]:
    """Scopes (by operation), problems and the Idempotency-Key: said once here and not at each operation."""
    found["components"]["schemas"]["Problem"] = PROBLEM
    found["servers"] = [{"url": "/"}]
    for methods in found["paths"].values():
        for method, operation in methods.items():
            _complete(method, operation, scopes.get(operation["operationId"]))
    return found


def _complete(method: str, operation: dict[str, Any], scope: str | None) -> None:
    operation["security"] = [{"Bearer": [scope] if scope else []}]
    operation["parameters"] = [_parameter(parameter) for parameter in operation["parameters"]]
    statuses = ["401", "403", "422", "429", "503"]
    if method in WRITES:
        operation["parameters"] = [*operation["parameters"], ONCE]
        statuses.append("409")
    if any(parameter["in"] == "path" for parameter in operation["parameters"]):
        statuses.append("404")
    if "requestBody" in operation:
        statuses += ["400", "413"]
    answers = {str(status): answer for status, answer in operation["responses"].items()}
    for status in sorted(statuses):
        answers.setdefault(status, _problem(status))
    operation["responses"] = answers


def _parameter(found: dict[str, Any]) -> dict[str, Any]:
    """An address has no null: what may be left out is left out."""
    schema = dict(found["schema"])
    options = [option for option in schema.pop("anyOf", ()) if option != {"type": "null"}]
    schema |= options[0] if len(options) == 1 else ({"anyOf": options} if options else {})
    kept = {name: value for name, value in found.items() if name not in ("schema", "examples")}
    about = found.get("description") or PARAMETERS.get(found["name"])
    return kept | {"schema": schema} | ({"description": about} if about else {})


def _problem(status: str) -> dict[str, Any]:
    return {
        "description": SAID[status],
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
