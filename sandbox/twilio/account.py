"""A WhatsApp sender of the simulated Twilio, and everything a connection to it needs to know."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field

from sandbox.whatsapp.phone import Phone


@dataclass(frozen=True, slots=True)
class Account:
    """One account with one sender. Everything in it is invented; the number is of the fictional block."""

    account_sid: str = "AC0000000000000000000000000000a001"
    auth_token: str = field(default="sandbox-twilio-auth-token-0123456789", repr=False)
    number: str = "+15555550123"

    def as_phone(self) -> Phone:
        """The same account, as shelves and handles of every sandbox know it: its token is what Basic carries."""
        token = b64encode(f"{self.account_sid}:{self.auth_token}".encode()).decode()
        return Phone(phone_number_id=self.number, waba_id=self.account_sid, access_token=token)
