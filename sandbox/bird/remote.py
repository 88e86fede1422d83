"""The simulated Bird from another process: the handles as methods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.whatsapp.remote import RemoteSandbox


class RemoteBird(RemoteSandbox):
    """As the other sandboxes; besides files the account holds messages, for whoever reads its list."""

    async def say(self, payload: Mapping[str, Any]) -> None:
        """The account has this message; a webhook that is never sent is a dropped one."""
        await self._call("POST", "messages", json=payload)

    async def desk(self) -> dict[str, Any]:
        """Messages in both directions, and webhook subscriptions with their keys."""
        told: dict[str, Any] = await self._call("GET", "desk")
        return told
