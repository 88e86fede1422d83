"""What an adapter that can write to a customer offers: a text, buttons or a template, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import aiohttp

from acervo.base.errors import Refused
from acervo.providers.contract import Identity

MOST_BUTTONS = 3
LONGEST_BUTTON = 20
"""Characters; WhatsApp's own bounds for reply buttons, which every provider passes on."""


@dataclass(frozen=True, slots=True)
class Button:
    id: str
    """Comes back with the answer; ours, not the provider's."""
    title: str


@dataclass(frozen=True, slots=True)
class Template:
    """A message approved beforehand: the only kind that may be sent outside the 24 hours after a customer wrote."""

    name: str
    """Meta: its name. Twilio: the ContentSid. Bird: the project id."""
    language: str
    values: Sequence[str] = field(default=(), repr=False)
    """For its placeholders, in order."""
    options: Mapping[str, str] = field(default_factory=dict)
    """What only some providers ask for, e.g. Bird's version or the legacy namespace."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message. Exactly a text (with or without buttons) or a template."""

    to: Identity = field(repr=False)
    text: str | None = field(default=None, repr=False)
    buttons: Sequence[Button] = ()
    template: Template | None = None
    reply_to: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if (self.text is None) == (self.template is None):
            raise ValueError("an outgoing message is a text or a template")
        if len(self.buttons) > MOST_BUTTONS or any(len(b.title) > LONGEST_BUTTON for b in self.buttons):
            raise ValueError("too many buttons, or too long ones")


@dataclass(frozen=True, slots=True)
class Sent:
    """The provider took it. Delivery is told later, by `StatusUpdate`s with the same id."""

    message_id: str = field(repr=False)
    status: str = "accepted"


class OutsideWindow(Refused):
    """More than 24 hours have passed since the customer wrote: only a template may be sent."""

    code = "outside_window"


class NotSent(Refused):
    """The provider refused the message itself; trying the same again changes nothing."""

    code = "not_sent"


class Sends(Protocol):
    async def send(self, session: aiohttp.ClientSession, message: Outgoing) -> Sent:
        """Raises OutsideWindow, NotSent, AccessLost, ProviderBusy. A time-out after the request left is ProviderBusy
        with code `timed_out`: it may have been sent, so nobody repeats it by itself."""
        ...
