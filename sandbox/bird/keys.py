"""What both of this vendor's products share: the AccessKey, and faults in its words."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from sandbox.whatsapp.attachments import fail_wordlessly
from sandbox.whatsapp.faults import FaultKind, Side
from sandbox.whatsapp.state import STATE

Refuse = Callable[[int, str], web.Response]
"""A refusal in the product's own shape, by status and code."""

SCHEME = "AccessKey "
REFUSALS = {
    FaultKind.RATE_LIMITED: (429, "RateLimited"),
    FaultKind.TOKEN_REVOKED: (401, "AuthenticationFailure"),
    FaultKind.GONE: (404, "NotFound"),
    FaultKind.URL_DIED: (404, "NotFound"),
    FaultKind.SERVER_ERROR: (503, "InternalFailure"),
}


def may(request: web.Request, account_id: str) -> bool:
    """Whether the request shows a living key of this account."""
    shown = request.headers.get("Authorization")
    is_key = shown is not None and shown.startswith(SCHEME)
    bearer = f"Bearer {shown.removeprefix(SCHEME)}" if shown and is_key else None
    return account_id in (request.app[STATE].reach(bearer) or ())


async def struck(request: web.Request, side: Side, what: str, refuse: Refuse) -> web.StreamResponse | None:
    """The answer of a fault of the plan; None when nothing strikes."""
    fault = request.app[STATE].plan.strike(side, what)
    if fault is None:
        return None
    if fault.kind not in REFUSALS and (failure := await fail_wordlessly(request, fault)) is not None:
        return failure
    status, code = REFUSALS.get(fault.kind, (503, "InternalFailure"))
    return refuse(fault.status or status, code)
