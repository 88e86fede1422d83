"""The simulated Twilio from another process: the handles as methods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.whatsapp.remote import RemoteSandbox


class RemoteTwilio(RemoteSandbox):
    """As the other sandboxes; besides files the account holds messages, for whoever reads its list."""

    async def say(self, made: Mapping[str, Any]) -> None:
        """The account has this message; a webhook that is never sent is a dropped one."""
        await self._call("POST", "messages", json=dict(made))

    async def desk(self) -> dict[str, Any]:
        """Messages sent by us, contents, and where the sender's webhooks go."""
        told: dict[str, Any] = await self._call("GET", "desk")
        return told
