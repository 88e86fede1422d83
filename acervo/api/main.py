"""The REST API under `/api/v1/`: which resources there are, what every answer has, and its description."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.urls import URLPattern, URLResolver, include, path, re_path
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation.trans_real import parse_accept_lang_header
from django.views.decorators.csrf import csrf_exempt
from ninja import NinjaAPI
from ninja.operation import Operation

from acervo.api import connections, deliveries, me, media, people, subscriptions, tags
from acervo.api.access import Bearer, limit_headers
from acervo.api.description import complete
from acervo.api.once import once
from acervo.api.problems import Problem, answer_problems, problem

VERSION: Final = "1"
ROOT: Final = "/api/v1/"
SUMMARY: Final = (
    "Files that customers sent on WhatsApp, the people who sent them, and what became of them in the CRM. "
    "Ask with a token from Settings → API tokens: `Authorization: Bearer acv_…`. "
    "Lists come in pages: send `next` back as `after`. Errors are `application/problem+json` (RFC 9457) with a `code` that "
    "never changes. Writes take an `Idempotency-Key`. A token may ask 600 times a minute; `RateLimit` tells what is left."
)


class Api(NinjaAPI):
    @property
    def operations(self) -> list[Operation]:
        return [
            operation
            for router in self._get_bound_routers()
            for view in router.path_operations.values()
            for operation in view.operations
        ]

    def get_openapi_schema(
        self, *, path_prefix: str | None = None, path_params: dict[str, Any] | None = None
    ) -> Any:
        """What ninja knows, and what every operation has besides."""
        scopes = {
            operation.operation_id or "": next((_scope(guard) for guard in operation.auth_callbacks), None)
            for operation in self.operations
        }
        return complete(super().get_openapi_schema(path_prefix=path_prefix or ROOT), scopes)


class ParameterUnknown(Problem):
    """There is no such parameter: to ignore it would answer another question than was asked."""

    code = "parameter_unknown"

    def __init__(self, names: Collection[str]) -> None:
        super().__init__(parameters=len(names))
        said = _("There is no parameter of this name.")
        self.errors = [{"where": f"query.{name}", "what": said, "code": "extra_forbidden"} for name in names]

    def words(self) -> str:
        return _("Take away or correct what is named below. Nothing was done.")


def _scope(guard: Callable[..., Any]) -> str | None:
    return guard.scope if isinstance(guard, Bearer) else None


api = Api(
    title="Acervo",
    version=VERSION,
    description=SUMMARY,
    docs_url=None,
    openapi_extra={"info": {"license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}}},
)
answer_problems(api)
api.add_decorator(once, mode="operation")
api.add_router("me", me.router)
api.add_router("media", media.router)
api.add_router("", tags.router)
api.add_router("", people.router)
api.add_router("", deliveries.router)
api.add_router("connections", connections.router)
api.add_router("", subscriptions.router)


def answered(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """In the language asked for, else the member's; with what the token has left; and never a page."""

    @csrf_exempt
    @functools.wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        with translation.override(_language(request)):
            response = view(request, *args, **kwargs)
            if isinstance(response, HttpResponseNotAllowed):
                response = problem(405, headers={"Allow": response.headers["Allow"]})
            response.headers["Content-Language"] = translation.get_language()
        counted = getattr(request, "counted", None)
        for name, value in (limit_headers(counted) if counted else {}).items():
            response.headers[name] = value
        return response

    return answer


def _nothing_here(request: HttpRequest) -> HttpResponse:
    return problem(404)


def _language(request: HttpRequest) -> str:
    for code, _how_much in parse_accept_lang_header(request.headers.get("Accept-Language", "").lower()):
        try:
            return translation.get_supported_language_variant(code)
        except LookupError:
            continue
    return str(settings.LANGUAGE_CODE)


def _ask_strictly(operation: Operation) -> None:
    """A filter with a slip of the pen must not show everything."""
    asked = [model for model in operation.models if model.__ninja_param_source__ == "query"]
    known = {name for model in asked for name in getattr(model, "__ninja_flatten_map__", ())}
    view = operation.view_func

    @functools.wraps(view)
    def strictly(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if unknown := sorted(set(request.GET) - known):
            raise ParameterUnknown([name[:40] for name in unknown[:10]])
        return view(request, *args, **kwargs)

    operation.view_func = strictly


def _doors() -> list[URLPattern | URLResolver]:
    for operation in api.operations:
        _ask_strictly(operation)
    found, _application, _namespace = api.urls
    doors: list[URLPattern | URLResolver] = [
        path(str(door.pattern), answered(door.callback), name=door.name or "")
        for door in found
        if isinstance(door, URLPattern) and door.name != "api-root"
    ]
    return [path("v1/", include((doors, "api"))), re_path("", answered(_nothing_here))]


DOORS: Final = _doors()
