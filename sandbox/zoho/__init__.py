"""A simulated Zoho CRM organisation that remembers, for tests and for trying things. Never part of the product."""

from __future__ import annotations

from sandbox.hubspot.faults import Fault
from sandbox.zoho.account import Account, create_account
from sandbox.zoho.app import app
from sandbox.zoho.transport import AccountTransport

__all__ = ["Account", "AccountTransport", "Fault", "app", "create_account"]
