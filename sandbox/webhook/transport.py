"""The receiver inside this process, for httpx."""

from __future__ import annotations

from sandbox.silence import SilentTransport
from sandbox.webhook.app import app
from sandbox.webhook.receiver import Receiver


class ReceiverTransport(SilentTransport):
    """One receiver, with time-outs that happen at once."""

    def __init__(self, receiver: Receiver) -> None:
        super().__init__(app(receiver, hang_s=None))
