"""The account inside this process, for httpx."""

from __future__ import annotations

from sandbox.hubspot.account import Account
from sandbox.hubspot.app import app
from sandbox.silence import SilentTransport


class AccountTransport(SilentTransport):
    """One account, with time-outs that happen at once."""

    def __init__(self, account: Account) -> None:
        super().__init__(app(account, hang_s=None))
