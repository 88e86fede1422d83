"""A simulated 360dialog: Meta's payloads behind another host and key, secrets instead of a signature, and its block."""

from sandbox.dialog360.number import Number
from sandbox.dialog360.remote import RemoteDialog360
from sandbox.dialog360.server import Dialog360Sandbox
from sandbox.dialog360.webhooks import envelope, headed, legacy

__all__ = ["Dialog360Sandbox", "Number", "RemoteDialog360", "envelope", "headed", "legacy"]
