"""The users of the simulated account: keys, numbers, a lagging index, merges that lose what Zendesk's lose."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.hubspot.limits import Window
from sandbox.zendesk.calls import Refusal, forbidden, invalid, moment, not_found

STANDARD = ("name", "phone", "external_id", "role")
_USER_FIELD_TYPES = frozenset({"text", "textarea", "checkbox", "date", "integer", "decimal", "regexp"})


@dataclass(eq=False)
class User:
    """`numbers` are phone identities beyond the main one. `versions` is what the index knows, by time."""

    id: int
    name: str
    created_at: float
    updated_at: float
    phone: str | None = None
    external_id: str | None = None
    role: str = "end-user"
    numbers: list[str] = field(default_factory=list)
    user_fields: dict[str, Any] = field(default_factory=dict)
    is_active: bool = True
    versions: list[tuple[float, tuple[str, ...]]] = field(default_factory=list)

    @property
    def all_numbers(self) -> tuple[str, ...]:
        return tuple(number for number in (self.phone, *self.numbers) if number)

    def indexed(self, at: float) -> tuple[str, ...] | None:
        """The numbers an index of that age knows; None before the user's first second."""
        return next((numbers for since, numbers in reversed(self.versions) if since <= at), None)


class People:
    """`updates` a minute are taken of each user; more are refused."""

    def __init__(self, clock: Callable[[], float], *, search_lag_s: float, updates: int) -> None:
        self.users: dict[int, User] = {}
        self.fields: dict[str, dict[str, Any]] = {}
        self._clock = clock
        self._lag_s = search_lag_s
        self._updates = updates
        self._windows: dict[int, Window] = {}
        self._last_id = 360_000_000_100

    def add(self, **values: Any) -> User:
        """Somebody types a user in."""
        return self.write(None, values)

    def live(self, user_id: int) -> User:
        """Raises Refusal 404 for one that is not there or not active."""
        user = self.users.get(user_id)
        if user is None or not user.is_active:
            raise not_found()
        return user

    def by_external_id(self, external_id: str) -> User | None:
        key = external_id.lower()
        return next(
            (one for one in self.users.values() if one.is_active and (one.external_id or "").lower() == key),
            None,
        )

    def write(self, user: User | None, values: Mapping[str, Any]) -> User:
        """Create or change. Raises Refusal without changing anything."""
        self._check(user, values)
        now = self._clock()
        if user is None:
            self._last_id += 1
            user = User(self._last_id, "", created_at=now, updated_at=now)
            self.users[user.id] = user
        for name in STANDARD:
            if name in values:
                setattr(user, name, values[name])
        user.user_fields |= values.get("user_fields") or {}
        self._touch(user)
        return user

    def count_update(self, user: User) -> None:
        """Raises Refusal 429 for one change of this user too many."""
        window = self._windows.setdefault(user.id, Window(self._updates, 60.0, self._clock))
        if not window.admit():
            raise Refusal(429, {"error": "APIRateLimitExceeded", "description": "Too many user updates"})

    def add_number(self, user: User, number: str) -> None:
        user.numbers.append(number)
        self._touch(user)

    def delete(self, user: User) -> None:
        user.is_active = False
        self._touch(user)

    def merge(self, winner: User, loser: User) -> None:
        """The number becomes the winner's second one; key and fields of the loser are the winner's not."""
        for number in loser.all_numbers:
            if number not in winner.all_numbers:
                self.add_number(winner, number)
        loser.external_id = None
        loser.phone, loser.numbers = None, []
        self.delete(loser)
        self._touch(winner)

    def search(self, query: str) -> list[User]:
        """`phone:digits` is all of a number, `phone:*digits` the end of one in any format."""
        star, digits = _phone_query(query)
        known_at = self._clock() - self._lag_s
        hits = []
        for user in self.users.values():
            numbers = [re.sub(r"\D", "", number) for number in user.indexed(known_at) or ()]
            if any(number.endswith(digits) if star else number == digits for number in numbers):
                hits.append(user)
        return hits

    def define(self, definition: Mapping[str, Any]) -> dict[str, Any]:
        """A user field. Raises Refusal 422 for a key that is taken."""
        key = str(definition["key"])
        if key in self.fields:
            raise invalid("key", "DuplicateValue", f"Key: {key} has already been taken")
        if definition["type"] not in _USER_FIELD_TYPES:
            raise invalid("type", "InvalidValue", "Type: is invalid")
        self.fields[key] = {"id": 7000 + len(self.fields), "active": True, **definition}
        return self.fields[key]

    def as_json(self, user: User, base: str) -> dict[str, Any]:
        return {
            "id": user.id,
            "url": f"{base}/api/v2/users/{user.id}.json",
            "name": user.name,
            "email": None,
            "phone": user.phone,
            "shared_phone_number": None,
            "external_id": user.external_id,
            "role": user.role,
            "active": user.is_active,
            "suspended": False,
            "verified": False,
            "tags": [],
            "user_fields": {name: user.user_fields.get(name) for name in self.fields},
            "created_at": moment(user.created_at),
            "updated_at": moment(user.updated_at),
        }

    def _touch(self, user: User) -> None:
        now = self._clock()
        user.updated_at = now
        user.versions.append((now, user.all_numbers if user.is_active else ()))

    def _check(self, user: User | None, values: Mapping[str, Any]) -> None:
        if user is None and not values.get("name"):
            raise invalid("name", "BlankValue", "Name: cannot be blank")
        if user and user.role != "end-user" and "role" in values:
            raise forbidden()
        if key := values.get("external_id"):
            holder = self.by_external_id(key)
            if holder and holder is not user:
                raise invalid("external_id", "DuplicateValue", f"External: {key} is already being used")
        for name, value in (values.get("user_fields") or {}).items():
            definition = self.fields.get(name)
            if definition and definition["type"] == "integer" and not isinstance(value, int | None):
                raise invalid(name, "InvalidValue", f"{name}: {value} is not an integer")


def _phone_query(query: str) -> tuple[bool, str]:
    for term in query.split():
        if term.startswith("phone:"):
            digits = term.removeprefix("phone:")
            return digits.startswith("*"), digits.lstrip("*")
    raise Refusal(400, {"error": "InvalidQuery", "description": "no phone in the query"})
