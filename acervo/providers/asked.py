"""What a person is asked to connect an account: names and shapes. The words are the door's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

DIGITS: Final = r"[0-9]{4,32}"
"""An id of Meta's."""
SAFE_ID: Final = r"[A-Za-z0-9_\-]{1,64}"
"""May stand in the path of an address as it is."""
SECRET: Final = r"[!-~]{1,600}"  # noqa: S105  (a shape, not a password)


@dataclass(frozen=True, slots=True)
class Asked:
    """One value. Secrets that we make up ourselves are never among them."""

    name: str
    """`account_id`, the name of a secret, or the name of an option."""
    pattern: str = SAFE_ID
    is_secret: bool = False
    is_required: bool = True
    is_switch: bool = False
    """Yes or no, and no unless somebody says yes."""
    goes_with: str | None = None
    """Another one: both are given, or neither."""
    leaves_out: str = ""
    """Characters people write for their eyes, such as the spaces of a phone number."""

    def cleaned(self, typed: str) -> str:
        return typed.strip().translate(str.maketrans("", "", self.leaves_out))

    def fits(self, value: str) -> bool:
        return bool(re.fullmatch(self.pattern, value))


def secret(name: str, *, is_required: bool = True, goes_with: str | None = None) -> Asked:
    return Asked(name, SECRET, is_secret=True, is_required=is_required, goes_with=goes_with)
