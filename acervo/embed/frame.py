"""What every answer of the panel carries: the very pages that may frame it, and nothing that a browser keeps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation
from django.utils.translation.trans_real import parse_accept_lang_header

from acervo.models import Workspace

POLICY: Final = (
    "default-src 'none'; script-src {scripts}; style-src 'self'; font-src 'self'; img-src 'self'; media-src 'self'; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors {ancestors}"
)


def framed(response: HttpResponse, origins: Sequence[str], *, sdk_origin: str = "") -> HttpResponse:
    """No X-Frame-Options: it knows one page or none, and would contradict the policy."""
    scripts = " ".join(["'self'", *([sdk_origin] if sdk_origin else [])])
    ancestors = " ".join(origins) or "'none'"
    response["Content-Security-Policy"] = POLICY.format(scripts=scripts, ancestors=ancestors)
    response["Referrer-Policy"] = "no-referrer"
    response["Cache-Control"] = "private, no-store"
    response["X-Robots-Tag"] = "noindex"
    response.xframe_options_exempt = True  # read by Django's own middleware
    return response


@contextmanager
def reading(request: HttpRequest, workspace: Workspace) -> Iterator[None]:
    """In the language of the agent's browser, if it is one of ours; in the workspace's time."""
    with (
        translation.override(_language(request, workspace)),
        timezone.override(ZoneInfo(workspace.time_zone)),
    ):
        yield


def _language(request: HttpRequest, workspace: Workspace) -> str:
    known = dict(settings.LANGUAGES)
    for asked, _weight in parse_accept_lang_header(request.headers.get("Accept-Language", "")):
        for code in known:
            if asked == code or asked.partition("-")[0] == code.partition("-")[0]:
                return code
    return workspace.language if workspace.language in known else settings.LANGUAGE_CODE
