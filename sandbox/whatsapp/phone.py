"""A business number of the simulated Cloud API, and everything a connection to it needs to know."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Phone:
    """One business number. Everything in it is invented; the numbers are of the fictional block."""

    phone_number_id: str = "106500000000001"
    waba_id: str = "102900000000001"
    app_secret: str = field(default="sandbox-app-secret-0123456789abcdef", repr=False)
    access_token: str = field(default="sandbox-access-token", repr=False)
    verify_token: str = field(default="sandbox-verify-token", repr=False)
    display_number: str = "15555550123"
    verified_name: str = "Casa Exemplo"
    keeps_files: bool = True
    """False plays Meta's No Storage: files die after an hour."""
