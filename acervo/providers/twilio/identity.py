"""Addresses of WhatsApp at Twilio: `whatsapp:+E.164`, or a business-scoped user id in its place."""

from __future__ import annotations

import re
from collections.abc import Mapping

from acervo.providers.contract import Identity
from acervo.providers.untrusted import as_id, as_text

CHANNEL = "whatsapp:"

_PHONE = re.compile(r"\+?([1-9][0-9]{5,14})")
_USER_ID = re.compile(r"[A-Z]{2}\.(?:ENT\.)?[A-Za-z0-9]{1,128}")


def is_whatsapp(address: object) -> bool:
    """Text messages and Messenger may be posted to the same address."""
    return (as_text(address) or "").startswith(CHANNEL)


def phone(address: object) -> str | None:
    """E.164 with plus sign."""
    match = _PHONE.fullmatch(_bare(address))
    return f"+{match[1]}" if match else None


def user_id(address: object) -> str | None:
    """A business-scoped user id."""
    bare = _bare(address)
    return bare if _USER_ID.fullmatch(bare) else None


def customer(said: Mapping[str, str]) -> Identity | None:
    """Who wrote; None when nothing identifies them. Phone and user id may each be missing."""
    sender = said.get("From")
    scoped = user_id(said.get("ExternalUserId")) or user_id(sender)
    known_phone = phone(sender) or phone(said.get("WaId"))
    if scoped is None and known_phone is None:
        return None
    username = as_text(said.get("ProfileUsername")) or as_text(said.get("Username"))
    return Identity(
        user_id=scoped,
        parent_user_id=user_id(said.get("ParentExternalUserId")),
        phone=known_phone,
        name=as_text(said.get("ProfileName")),
        username=username.removeprefix("@") or None if username else None,
    )


def address_of(person: Identity) -> str | None:
    """Where to write to: the number while we know it, since writing to user ids is young at Twilio."""
    bare = person.phone or person.user_id
    return f"{CHANNEL}{bare}" if bare else None


def _bare(address: object) -> str:
    # A plus sign that was not encoded arrives as a blank.
    return (as_id(address) or "").removeprefix(CHANNEL).strip()
