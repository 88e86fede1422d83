"""The organisation inside this process, for httpx: no socket, no real time, and time-outs that happen at once."""

from __future__ import annotations

import httpx

from sandbox.hubspot.transport import AccountTransport
from sandbox.salesforce.app import app
from sandbox.salesforce.org import Org


class OrgTransport(AccountTransport):
    """HubSpot's, before another account."""

    def __init__(self, org: Org) -> None:
        httpx.ASGITransport.__init__(self, app=app(org, hang_s=None))
