"""What a person is asked to connect a CRM: names and shapes. The words are the door's."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from acervo.crms.contract import CrmCredentials

SECRET: Final = r"[!-~]{1,600}"  # noqa: S105  (a shape, not a password)
SAFE_ID: Final = r"[A-Za-z0-9._\-]{1,255}"
EMAIL: Final = r"[^\s@]{1,64}@[^\s@]{1,190}"
PEM: Final = r"[\s\S]{1,16000}"


@dataclass(frozen=True, slots=True)
class Asked:
    """One value, as somebody types or pastes it."""

    name: str
    pattern: str = SECRET
    is_secret: bool = False
    is_required: bool = True
    instead_of: str | None = None
    """Another one: exactly one of both is given."""
    goes_with: str | None = None
    """Another one: where that is given, this is needed."""
    choices: tuple[str, ...] = ()
    is_long: bool = False
    """Several lines."""
    is_address: bool = False
    """The web address of their system itself: there is no other one."""
    offer: Callable[[], str] | None = None
    """A secret that we make up: shown until the account is connected, to be pasted on the other side."""

    def cleaned(self, typed: str) -> str:
        """What people copy has quotes around it, or was broken into lines on its way."""
        if self.is_long:
            return typed.strip()
        return "".join(typed.split()).strip("\"'")

    def fits(self, value: str) -> bool:
        if self.choices:
            return value in self.choices
        return bool(re.fullmatch(self.pattern, value))


@dataclass(frozen=True, slots=True)
class Given:
    """What a person gave, by the names of `Asked`."""

    values: Mapping[str, str] = field(repr=False)
    api_base: str | None = None
    our_address: str | None = None
    """Where people open files, if it is https."""


@dataclass(frozen=True, slots=True)
class Access:
    """The same in the words of the adapter."""

    secrets: Mapping[str, str] = field(repr=False)
    options: Mapping[str, Any] = field(default_factory=dict)
    api_base: str | None = None

    def credentials(self) -> CrmCredentials:
        return CrmCredentials(secrets=self.secrets, options=self.options, api_base=self.api_base)


class Unfit(ValueError):
    """A value has the right shape and will not do all the same. `code` says why; nothing of the value is in it."""

    def __init__(self, name: str, code: str) -> None:
        super().__init__(f"{name}: {code}")
        self.name, self.code = name, code
