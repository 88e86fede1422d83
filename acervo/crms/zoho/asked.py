"""What a Zoho organisation is connected with: a Self Client, and a code or a refresh token that it got."""

from __future__ import annotations

from typing import Final

import httpx

from acervo.crms.asked import SAFE_ID, Access, Asked, Given
from acervo.crms.zoho.access import redeem
from acervo.crms.zoho.centres import CENTRES, USUAL

ASKS: Final = (
    Asked("data_centre", choices=(USUAL, *(name for name in CENTRES if name != USUAL))),
    Asked("client_id", SAFE_ID),
    Asked("client_secret", is_secret=True),
    Asked("grant_code", is_secret=True),
    Asked("refresh_token", is_secret=True, instead_of="grant_code"),
)


async def access(given: Given, http: httpx.AsyncClient) -> Access:
    """Buys the refresh token where a code was given, which is good for that once. Raises CrmError."""
    values = given.values
    secrets = {name: values[name] for name in ("client_id", "client_secret")}
    made = Access(secrets, {"data_centre": values.get("data_centre") or USUAL}, given.api_base)
    refresh = values.get("refresh_token") or await redeem(made.credentials(), http, values["grant_code"])
    return Access({**secrets, "refresh_token": refresh}, made.options, given.api_base)
