"""A simulated receiver that remembers: the system of one's own at the other end of a webhook. Never part of the product."""

from __future__ import annotations

from sandbox.webhook.app import app
from sandbox.webhook.faults import Fault
from sandbox.webhook.receiver import Receiver, create_receiver
from sandbox.webhook.transport import ReceiverTransport

__all__ = ["Fault", "Receiver", "ReceiverTransport", "app", "create_receiver"]
