"""What a Zendesk account is connected with: an OAuth client, or an API token as long as Zendesk takes those."""

from __future__ import annotations

from typing import Final

import httpx

from acervo.crms.asked import EMAIL, SAFE_ID, Access, Asked, Given, Unfit
from acervo.crms.contract import AccountInfo
from acervo.crms.zendesk.access import is_subdomain

ASKS: Final = (
    Asked("subdomain"),
    Asked("client_id", SAFE_ID),
    Asked("email", EMAIL, instead_of="client_id"),
    Asked("secret", is_secret=True),
)


async def access(given: Given, http: httpx.AsyncClient) -> Access:
    """Raises Unfit."""
    subdomain = _part(given.values["subdomain"])
    if not is_subdomain(subdomain):
        raise Unfit("subdomain", "no_subdomain")
    chosen = {name: one for name in ("client_id", "email") if (one := given.values.get(name))}
    secrets = {"secret": given.values["secret"], **chosen}
    return Access(secrets, {"subdomain": subdomain}, given.api_base)


def refuse(account: AccountInfo) -> None:
    """Raises Unfit for the access of somebody who may not make fields."""
    if account.facts["role"] != "admin":
        raise Unfit("secret", "not_an_administrator")


def _part(typed: str) -> str:
    """People paste the whole address of their account."""
    return typed.lower().removeprefix("https://").partition("/")[0].removesuffix(".zendesk.com")
