"""The organisation inside this process, for httpx."""

from __future__ import annotations

from sandbox.salesforce.app import app
from sandbox.salesforce.org import Org
from sandbox.silence import SilentTransport


class OrgTransport(SilentTransport):
    """One organisation, with time-outs that happen at once."""

    def __init__(self, org: Org) -> None:
        super().__init__(app(org, hang_s=None))
