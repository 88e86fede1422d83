"""The account inside this process, for httpx."""

from __future__ import annotations

from sandbox.silence import SilentTransport
from sandbox.zendesk.account import Account
from sandbox.zendesk.app import app


class AccountTransport(SilentTransport):
    """One account, with time-outs that happen at once."""

    def __init__(self, account: Account) -> None:
        super().__init__(app(account, hang_s=None))
