"""What a Salesforce organisation is connected with: an External Client App, by its secret or by a private key."""

from __future__ import annotations

from typing import Any, Final

import httpx

from acervo.crms.asked import PEM, Access, Asked, Given, Unfit
from acervo.crms.salesforce.auth import is_private_key, my_domain

ASKS: Final = (
    Asked("domain"),
    Asked("client_id"),
    Asked("client_secret", is_secret=True),
    Asked("key", PEM, is_secret=True, instead_of="client_secret", is_long=True),
    Asked("username", is_required=False, goes_with="key"),
)


async def access(given: Given, http: httpx.AsyncClient) -> Access:
    """Raises Unfit."""
    values = given.values
    address = given.api_base or my_domain(values.get("domain", ""))
    if not address:
        raise Unfit("domain", "no_my_domain")
    options: dict[str, Any] = {"trusted_url": given.our_address} if given.our_address else {}
    if key := values.get("key"):
        if not is_private_key(key):
            raise Unfit("key", "no_private_key")
        secrets = {"client_id": values["client_id"], "client_secret": key}
        return Access(secrets, {**options, "username": values["username"]}, address)
    secrets = {name: values[name] for name in ("client_id", "client_secret")}
    return Access(secrets, options, address)
