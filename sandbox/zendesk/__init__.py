"""A simulated Zendesk account that remembers, for tests and for looking at. Never part of the product."""

from __future__ import annotations

from sandbox.hubspot.faults import Fault
from sandbox.zendesk.account import Account, create_account
from sandbox.zendesk.app import app
from sandbox.zendesk.transport import AccountTransport

__all__ = ["Account", "AccountTransport", "Fault", "app", "create_account"]
