"""The organisation inside this process, for httpx: no socket, no real time, and time-outs that happen at once."""

from __future__ import annotations

import httpx

from sandbox.hubspot import transport
from sandbox.zoho.account import Account
from sandbox.zoho.app import app


class AccountTransport(transport.AccountTransport):
    """As HubSpot's, with Zoho behind it: silence becomes the time-out a client would have waited for."""

    def __init__(self, account: Account) -> None:
        httpx.ASGITransport.__init__(self, app=app(account, hang_s=None))
