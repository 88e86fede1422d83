"""Who is asking, at the doors that do not pass through Django: the same session, read without blocking the loop."""

from __future__ import annotations

import functools
import time
from importlib import import_module
from typing import Any, Final

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.utils.crypto import constant_time_compare
from starlette.requests import Request

from acervo.base import ids
from acervo.base.database import in_thread
from acervo.models import Member

REMEMBERED_S: Final = 5.0
"""A player asks for many ranges of one file: its member is looked up once in so many seconds. Signing out takes as long."""
_MOST_REMEMBERED: Final = 4096

_remembered: dict[str, tuple[float, Member]] = {}


async def member_of(request: Request) -> Member | None:
    """The signed-in, active member behind the session cookie."""
    session_key = request.cookies.get(settings.SESSION_COOKIE_NAME, "")
    if not session_key:
        return None
    known = _remembered.get(session_key)
    if known and known[0] > time.monotonic():
        return known[1]
    member = await in_thread(_look_up, session_key)
    if member is not None:
        _remember(session_key, member)
    return member


def forget_everybody() -> None:
    """Look every session up again."""
    _remembered.clear()


def _remember(session_key: str, member: Member) -> None:
    if len(_remembered) >= _MOST_REMEMBERED:
        _remembered.clear()
    _remembered[session_key] = (time.monotonic() + REMEMBERED_S, member)


def _look_up(session_key: str) -> Member | None:
    facts = _session_store()(session_key).load()
    if facts.get(BACKEND_SESSION_KEY) not in settings.AUTHENTICATION_BACKENDS:
        return None
    try:
        member_id = ids.parse(str(facts[SESSION_KEY]))
    except (KeyError, ValueError):
        return None
    member = Member.objects.select_related("workspace").filter(pk=member_id, is_active=True).first()
    if member is None:
        return None
    # A changed password ends every session that was begun with the old one.
    return member if _is_of_this_password(member, str(facts.get(HASH_SESSION_KEY, ""))) else None


def _is_of_this_password(member: Member, session_hash: str) -> bool:
    hashes = (member.get_session_auth_hash(), *member.get_session_auth_fallback_hash())
    return any(constant_time_compare(session_hash, known) for known in hashes)


@functools.cache
def _session_store() -> Any:
    return import_module(settings.SESSION_ENGINE).SessionStore
