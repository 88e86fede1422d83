"""What went wrong, for a program and for whoever reads its log: RFC 9457, in the reader's language."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError

from acervo.base.errors import AcervoError, Gone, NeedsPerson, Refused, TryLater
from acervo.web import words

log = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
TITLES: Final[Mapping[int, Promise]] = {
    400: gettext_lazy("The request cannot be read."),
    401: gettext_lazy("This needs a valid API token."),
    403: gettext_lazy("This token may not do that."),
    404: gettext_lazy("This does not exist, or is not yours to see."),
    405: gettext_lazy("This address does not take that method."),
    409: gettext_lazy("This cannot be done now."),
    410: gettext_lazy("This is gone for good."),
    413: gettext_lazy("This is too long."),
    422: gettext_lazy("Something in the request is not as described."),
    429: gettext_lazy("Too many requests."),
    500: gettext_lazy("Something went wrong on our side."),
    503: gettext_lazy("The archive cannot answer right now."),
}
CODES: Final[Mapping[int, str]] = {
    400: "unreadable",
    401: "token_invalid",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    410: "gone",
    413: "too_large",
    422: "not_as_described",
    429: "too_many_requests",
    500: "fault",
    503: "try_later",
}
WRONG: Final[Mapping[str, Promise]] = {
    "missing": gettext_lazy("This is missing."),
    "extra_forbidden": gettext_lazy("There is no field of this name."),
    "string_too_short": gettext_lazy("This is too short."),
    "string_too_long": gettext_lazy("This is too long."),
    "string_pattern_mismatch": gettext_lazy("This does not look as it should."),
    "string_type": gettext_lazy("This should be text."),
    "int_parsing": gettext_lazy("This should be a whole number."),
    "int_type": gettext_lazy("This should be a whole number."),
    "bool_parsing": gettext_lazy("This should be true or false."),
    "list_type": gettext_lazy("This should be a list."),
    "too_short": gettext_lazy("This list is too short."),
    "too_long": gettext_lazy("This list is too long."),
    "greater_than_equal": gettext_lazy("This number is too small."),
    "less_than_equal": gettext_lazy("This number is too large."),
    "enum": gettext_lazy("This is none of the words that are known here."),
    "literal_error": gettext_lazy("This is none of the words that are known here."),
    "model_attributes_type": gettext_lazy("This should be an object."),
}
"""What pydantic finds, in words."""


class Problem(Refused):
    """The request was refused."""

    status = 422
    headers: Mapping[str, str] = {}
    errors: list[dict[str, str]] = []

    def words(self) -> str:
        """What happened and what to do, for people."""
        return str(words.refusal(self.code))


def problem(
    status: int,
    *,
    code: str = "",
    detail: str = "",
    errors: list[dict[str, str]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> HttpResponse:
    """`code` is for programs and never changes; the rest is for people."""
    code = code or CODES.get(status, "refused")
    told: dict[str, Any] = {
        "type": f"urn:acervo:problem:{code}",
        "title": str(TITLES.get(status, TITLES[422])),
        "status": status,
        "code": code,
    }
    if detail:
        told["detail"] = detail
    if errors:
        told["errors"] = errors
    return HttpResponse(
        json.dumps(told, ensure_ascii=False), status=status, content_type=MEDIA_TYPE, headers=headers
    )


def answer_problems(api: NinjaAPI) -> None:
    """Everything an operation may raise becomes a problem; what is our fault is logged, and not told."""
    handlers: dict[type[Exception], Callable[[HttpRequest, Any], HttpResponse]] = {
        Problem: _refused,
        AcervoError: _by_family,
        ValidationError: _not_as_described,
        Http404: lambda _request, _error: problem(404),
        AuthenticationError: lambda _request, _error: problem(401),
        HttpError: lambda _request, error: problem(error.status_code),
        RequestDataTooBig: lambda _request, _error: problem(413),
        TooManyFieldsSent: lambda _request, _error: problem(422),
        OperationalError: _no_database,
        Exception: _fault,
    }
    for error, handler in handlers.items():
        api.add_exception_handler(error, handler)


def _refused(request: HttpRequest, error: Problem) -> HttpResponse:
    return problem(
        error.status, code=error.code, detail=error.words(), errors=error.errors, headers=error.headers
    )


FAMILIES: Final = ((TryLater, 503), (Gone, 410), (NeedsPerson, 409), (Refused, 422))


def _by_family(request: HttpRequest, error: AcervoError) -> HttpResponse:
    status = next((status for family, status in FAMILIES if isinstance(error, family)), 500)
    return problem(status, code=error.code, detail=str(words.refusal(error.code)))


def _not_as_described(request: HttpRequest, error: ValidationError) -> HttpResponse:
    return problem(422, errors=[_wrong(found) for found in error.errors])


def _wrong(found: Mapping[str, Any]) -> dict[str, str]:
    """Where it is, and what is wrong with it: never what was sent."""
    kind = str(found.get("type", ""))
    said = WRONG.get(kind) or _("This is not as the description wants it.")
    source, *place = found.get("loc", ("",))
    if source == "body":
        place = place[1:]  # how the operation calls the whole of it
    return {"where": ".".join(map(str, (source, *place))), "what": str(said), "code": kind}


def _no_database(request: HttpRequest, error: OperationalError) -> HttpResponse:
    log.error("api.no_database", extra={"method": request.method}, exc_info=error)
    return problem(503, headers={"Retry-After": "5"})


def _fault(request: HttpRequest, error: Exception) -> HttpResponse:
    log.error("api.fault", extra={"method": request.method}, exc_info=error)
    return problem(500)
