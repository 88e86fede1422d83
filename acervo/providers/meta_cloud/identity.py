"""Who wrote, and to whom: business-scoped user ids first, phone numbers where Meta still gives them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from acervo.providers.contract import Identity, IdentityChange
from acervo.providers.untrusted import as_id, as_mapping, as_phone, as_sequence, as_text

_NEW_USER_ID = re.compile(r"from\s+(\S+)\s+to\s+(\S+?)\.?\s*")


def digits(value: object) -> str | None:
    """The digits of a displayed number such as `+1 555-555-0123`."""
    return re.sub(r"[^0-9]", "", as_text(value) or "") or None


@dataclass(frozen=True, slots=True)
class Contacts:
    """The `contacts` of a change, by any id a message may name them with. Often absent altogether."""

    every: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    by_id: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, value: object) -> Contacts:
        every = tuple(contact for contact in as_sequence(value) if isinstance(contact, dict))
        by_id = {key: contact for contact in every for key in _ids(contact)}
        return cls(every, by_id)

    def find(self, *ids: str | None) -> Mapping[str, Any]:
        """The contact one of `ids` names; the only contact there is, when no id is given at all."""
        given = [key for key in ids if key]
        for key in given:
            if key in self.by_id:
                return self.by_id[key]
        return self.every[0] if not given and len(self.every) == 1 else {}


def identity(number: object, user_id: object, parent: object, contacts: Contacts) -> Identity | None:
    """Everything known about one person, or None when nothing identifies them.

    `number` is `from`, `to` or `wa_id`: a phone number, or (seen in production) a user id in its place.
    """
    named = as_id(number)
    scoped = as_id(user_id)
    contact = contacts.find(scoped, named)
    scoped = scoped or as_id(contact.get("user_id"))
    for misplaced in (named, as_id(contact.get("wa_id"))):
        if misplaced and not as_phone(misplaced):
            scoped = scoped or misplaced
    known_phone = as_phone(named) or as_phone(contact.get("wa_id"))
    if scoped is None and known_phone is None:
        return None
    profile = as_mapping(contact.get("profile"))
    username = as_text(profile.get("username"))
    return Identity(
        user_id=scoped,
        parent_user_id=as_id(parent) or as_id(contact.get("parent_user_id")),
        phone=known_phone,
        name=as_text(profile.get("name")),
        username=username.removeprefix("@") or None if username else None,
    )


def change_in_system_message(
    system: Mapping[str, Any], before: Identity, *, account_id: str, at: datetime
) -> IdentityChange | None:
    """The merge a `system` message tells of, if it tells of one."""
    kind = as_text(system.get("type"))
    if kind not in ("user_changed_number", "user_changed_user_id"):
        return None
    user_id, parent = as_id(system.get("user_id")), as_id(system.get("parent_user_id"))
    if kind == "user_changed_number":
        after = Identity(user_id=user_id, parent_user_id=parent, phone=as_phone(system.get("wa_id")))
    else:
        previous = as_id(system.get("previous_user_id")) or _previous_user_id(system.get("body"), user_id)
        known_phone = as_phone(system.get("wa_id")) or before.phone
        after = Identity(user_id=user_id, parent_user_id=parent, phone=known_phone)
        before = Identity(user_id=previous or _other(before.user_id, user_id), phone=before.phone)
    if not (after.user_id or after.phone) or not (before.user_id or before.phone):
        return None
    return IdentityChange(account_id=account_id, before=before, after=after, at=at)


def _previous_user_id(body: object, current: str | None) -> str | None:
    """The old id stands only in the sentence: `User <name> changed from <old> to <new>` (Meta, May 2026).

    Anchored at the end, where the customer's own name cannot reach: whoever calls themselves
    "changed from X to Y" must not be merged with X.
    """
    text = as_text(body) or ""
    start = text.rfind(" from ")
    match = _NEW_USER_ID.fullmatch(text, start + 1) if start >= 0 else None
    if match is None or current is None or match[2] != current:
        return None
    return match[1] if "." in match[1] else None


def _other(user_id: str | None, current: str | None) -> str | None:
    return user_id if user_id != current else None


def _ids(contact: Mapping[str, Any]) -> Iterator[str]:
    for key in ("user_id", "wa_id"):
        value = as_id(contact.get(key))
        if value:
            yield value
