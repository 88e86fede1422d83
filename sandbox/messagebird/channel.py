"""A WhatsApp channel of the simulated MessageBird, and everything a connection to it needs to know."""

from __future__ import annotations

from dataclasses import dataclass, field

from sandbox.whatsapp.phone import Phone


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel. Everything in it is invented; the number is of the fictional block."""

    channel_id: str = "b0000000000000000000000000000001"
    access_key: str = field(default="sandbox-messagebird-access-key", repr=False)
    signing_key: str = field(default="sandbox-messagebird-signing-key-0123", repr=False)
    number: str = "+15555550123"

    def as_phone(self) -> Phone:
        """The same account, as shelves and handles of every sandbox know it."""
        return Phone(phone_number_id=self.channel_id, access_token=self.access_key)
