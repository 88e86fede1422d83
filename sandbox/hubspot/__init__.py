"""A simulated HubSpot account that remembers, for the demo and for tests. Never part of the product."""

from __future__ import annotations

from sandbox.hubspot.account import Account, create_account
from sandbox.hubspot.app import app
from sandbox.hubspot.faults import Fault
from sandbox.hubspot.transport import AccountTransport

__all__ = ["Account", "AccountTransport", "Fault", "app", "create_account"]
