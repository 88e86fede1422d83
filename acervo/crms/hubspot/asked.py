"""What HubSpot's account is connected with: a service key, or the static token of a private project app."""

from __future__ import annotations

from typing import Final

import httpx

from acervo.crms.asked import Access, Asked, Given

ASKS: Final = (Asked("token", is_secret=True),)


async def access(given: Given, http: httpx.AsyncClient) -> Access:
    return Access({"token": given.values["token"]}, api_base=given.api_base)
