"""A file's address as its id, for vendors that give files no other: a ready link is forgotten when a download fails."""

from __future__ import annotations

from acervo.providers.untrusted import LONGEST_ID

SCHEME = "https://"


def identifier(url: str, *, otherwise: str) -> str:
    """The id of the file at this address; `otherwise` where it is too long to be one."""
    short = url.removeprefix(SCHEME)
    return short if len(short) <= LONGEST_ID else otherwise


def address(identifier: str) -> str | None:
    """The address that became this id, if one did."""
    if "/" not in identifier:
        return None
    return identifier if "://" in identifier else f"{SCHEME}{identifier}"
