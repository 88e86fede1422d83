"""A sender that signs each knock anew: a signature lives for a minute, a repeat comes later."""

from __future__ import annotations

from typing import Any

from sandbox.messagebird.channel import Channel
from sandbox.messagebird.messages import signed
from sandbox.whatsapp.messages import SignedWebhook
from sandbox.whatsapp.sender import Sender


class SigningSender(Sender):
    """As the other sandboxes' sender, with fresh signatures."""

    def __init__(self, webhook_url: str, *, channel: Channel | None = None, **options: Any) -> None:
        super().__init__(webhook_url, **options)
        self._address = webhook_url
        self._channel = channel

    async def knock(self, webhook: SignedWebhook) -> int:
        return await super().knock(signed(webhook.body, self._address, channel=self._channel))
