"""A simulated Salesforce organisation that remembers, for the demo and for tests. Never part of the product."""

from __future__ import annotations

from sandbox.hubspot.faults import Fault
from sandbox.salesforce.app import app
from sandbox.salesforce.org import Org, create_org
from sandbox.salesforce.transport import OrgTransport

__all__ = ["Fault", "Org", "OrgTransport", "app", "create_org"]
