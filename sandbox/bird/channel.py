"""A WhatsApp channel of the simulated Bird, and everything a connection to it needs to know."""

from __future__ import annotations

from dataclasses import dataclass, field

from sandbox.whatsapp.phone import Phone


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel. Everything in it is invented; the number is of the fictional block."""

    channel_id: str = "22222222-2222-4222-8222-222222222222"
    workspace_id: str = "11111111-1111-4111-8111-111111111111"
    organization_id: str = "99999999-9999-4999-8999-999999999999"
    access_key: str = field(default="sandbox-bird-access-key-0123456789", repr=False)
    signing_key: str = field(default="sandbox-bird-signing-key-0123456789", repr=False)
    number: str = "+15555550123"

    def as_phone(self) -> Phone:
        """The same account, as shelves and handles of every sandbox know it."""
        return Phone(phone_number_id=self.channel_id, waba_id=self.workspace_id, access_token=self.access_key)
