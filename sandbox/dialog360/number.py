"""A business number of the simulated 360dialog."""

from __future__ import annotations

from dataclasses import dataclass, field

from sandbox.whatsapp.phone import Phone


@dataclass(frozen=True, slots=True)
class Number(Phone):
    """Its `access_token` is the key of this one number; there is no app secret to sign with."""

    access_token: str = field(default="sandbox-d360-key", repr=False)
