"""The simulated 360dialog from another process: the handles as methods."""

from __future__ import annotations

from sandbox.whatsapp.remote import RemoteSandbox


class RemoteDialog360(RemoteSandbox):
    """As the other sandboxes; besides, it tells of its block."""

    async def block(self) -> dict[str, int]:
        """`tripped`: how often somebody was blocked; `refused`: what they asked meanwhile."""
        told: dict[str, int] = await self._call("GET", "block")
        return told
