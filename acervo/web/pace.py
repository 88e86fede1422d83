"""How often one address may knock at a door that is open to everybody."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

from allauth.account.adapter import get_adapter
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


@dataclass(frozen=True, slots=True)
class Pace:
    times: int
    within_s: int


def paced(name: str, *, reading: Pace, sending: Pace) -> Callable[..., Any]:
    """Answers 429 above the pace, before anything is looked up. Counted by each process for itself, in fixed windows: it
    makes guessing and flooding dull, and is not what keeps a secret."""

    def guard(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            is_reading = request.method in ("GET", "HEAD")
            pace = reading if is_reading else sending
            if _count(request, f"{name}.{'read' if is_reading else 'send'}", pace.within_s) > pace.times:
                return render(request, "429.html", status=429)
            return view(request, *args, **kwargs)

        return guarded

    return guard


def _count(request: HttpRequest, name: str, within_s: int) -> int:
    window = int(time.time()) // within_s
    key = f"pace.{name}.{window}.{get_adapter().get_client_ip(request)}"
    cache.add(key, 0, timeout=within_s)
    try:
        return int(cache.incr(key))
    except ValueError:  # the window ended in between
        return 1
