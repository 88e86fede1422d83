"""The account inside this process, for httpx: no socket, no real time, and time-outs that happen at once."""

from __future__ import annotations

import httpx

from sandbox.hubspot.account import Account
from sandbox.hubspot.app import Silence, app


class AccountTransport(httpx.ASGITransport):
    """Turns the account's silence into the time-out a client would have waited for."""

    def __init__(self, account: Account) -> None:
        super().__init__(app=app(account, hang_s=None))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await super().handle_async_request(request)
        except Silence as silence:
            raise httpx.ReadTimeout("no answer", request=request) from silence
