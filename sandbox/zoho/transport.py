"""The organisation inside this process, for httpx."""

from __future__ import annotations

from sandbox.silence import SilentTransport
from sandbox.zoho.account import Account
from sandbox.zoho.app import app


class AccountTransport(SilentTransport):
    """One organisation, with time-outs that happen at once."""

    def __init__(self, account: Account) -> None:
        super().__init__(app(account, hang_s=None))
