"""A write that is sent twice happens once: `Idempotency-Key`, and the answer kept for a day."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Callable
from typing import Any, Final

from django.db import transaction
from django.http import HttpResponse
from django.utils.translation import gettext as _
from ninja import Schema
from ninja.responses import NinjaJSONEncoder, Status

from acervo.api.access import ApiRequest
from acervo.api.problems import Problem
from acervo.base import clock
from acervo.keep import credentials
from acervo.models import KeptAnswer

HEADER: Final = "Idempotency-Key"
KEY_PATTERN: Final = r"[\x21-\x7e]{1,128}"
KEY: Final = re.compile(KEY_PATTERN)
READING: Final = ("GET", "HEAD")

View = Callable[..., Any]


class KeyUnusable(Problem):
    """This Idempotency-Key cannot be used."""

    code = "idempotency_key_unusable"

    def words(self) -> str:
        return _("An Idempotency-Key has 1 to 128 visible characters without spaces, such as a UUID.")


class KeyUsedOtherwise(Problem):
    """This Idempotency-Key was used for another request."""

    code = "idempotency_key_reused"

    def words(self) -> str:
        return _("This Idempotency-Key was sent with another request in the last 24 hours. Use a new one.")


def once(view: View) -> View:
    """All writes pass through here. With a key, two requests that arrive together wait for each other: the second gets the
    answer of the first. What was refused is not kept, and may be tried again with the same key."""

    @functools.wraps(view)
    def answered(request: ApiRequest, *args: Any, **kwargs: Any) -> Any:
        key = request.headers.get(HEADER)
        if key is None or request.method in READING:
            return view(request, *args, **kwargs)
        if not KEY.fullmatch(key):
            raise KeyUnusable()
        with transaction.atomic():
            kept = _claim(request, key)
            if kept.status is not None:
                return _again(kept)
            result = view(request, *args, **kwargs)
            _keep(kept, result)
            return result

    return answered


def _claim(request: ApiRequest, key: str) -> KeptAnswer:
    """Ours to fill, or one that is filled: whoever inserts second waits until the first has committed."""
    token, asked = request.auth.token, _fingerprint(request)
    KeptAnswer.objects.over(clock.now()).filter(token=token, key=key).delete()
    row = KeptAnswer(token=token, key=key, request_sha256=asked, at=clock.now())
    KeptAnswer.objects.bulk_create([row], ignore_conflicts=True)
    kept = KeptAnswer.objects.get(token=token, key=key)
    if kept.request_sha256 != asked:
        raise KeyUsedOtherwise()
    return kept


def _fingerprint(request: ApiRequest) -> str:
    asked = f"{request.method} {request.get_full_path()}\n".encode() + request.body
    return hashlib.sha256(asked).hexdigest()


def _keep(kept: KeptAnswer, result: Any) -> None:
    status, body = (result.status_code, result.value) if isinstance(result, Status) else (200, result)
    content = b"" if body is None else json.dumps(_plain(body), cls=NinjaJSONEncoder).encode()
    KeptAnswer.objects.filter(pk=kept.pk).update(
        status=status, sealed_body=credentials.seal_answer(kept.pk, content)
    )


def _plain(body: Any) -> Any:
    if not isinstance(body, Schema):
        raise TypeError("A write answers with a Schema, or with a Status that holds one or nothing.")
    return body.model_dump()


def _again(kept: KeptAnswer) -> HttpResponse:
    content = credentials.open_answer(kept.pk, kept.sealed_body or b"")
    return HttpResponse(
        content,
        status=kept.status,
        content_type="application/json; charset=utf-8",
        headers={"Idempotency-Replayed": "true"},
    )
