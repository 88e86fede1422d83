"""How an account and its sender are, in facts. What a restricted key may not ask is left out."""

from __future__ import annotations

from typing import Any

import aiohttp

from acervo.base.errors import AcervoError
from acervo.providers.twilio import senders
from acervo.providers.twilio.api import Api
from acervo.providers.untrusted import as_mapping, as_number, as_word

WELL = {
    "account_status": frozenset({"active"}),
    "status": frozenset({"ONLINE"}),
    "quality_rating": frozenset({"HIGH", "MEDIUM", "UNKNOWN", "GREEN", "YELLOW"}),
}


async def facts(api: Api, session: aiohttp.ClientSession, own_number: str) -> dict[str, Any]:
    """Status of the account, what is left of its balance, status and quality of the sender. Never raises."""
    found = await _asked(api, session, own_number)
    unwell = [name for name, well in WELL.items() if name in found and found[name] not in well]
    if found.get("balance", 1) <= 0:
        unwell.append("balance")
    return {**found, "unwell": unwell} if unwell else found


async def _asked(api: Api, session: aiohttp.ClientSession, own_number: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    account = await _told(api, session, f"{api.account_path}.json")
    _keep_words(found, account_status=account.get("status"), account_type=account.get("type"))
    balance = await _told(api, session, f"{api.account_path}/Balance.json")
    if (left := as_number(balance.get("balance"))) is not None:
        found["balance"] = round(left, 2)
        _keep_words(found, currency=balance.get("currency"))
    try:
        sender = await senders.sender(api, session, own_number)
    except AcervoError:
        return found
    properties = as_mapping(sender.get("properties"))
    _keep_words(found, status=sender.get("status"), quality_rating=properties.get("quality_rating"))
    limit = properties.get("messaging_limit")
    if isinstance(limit, str):
        _keep_words(found, messaging_limit=limit.partition(" ")[0])  # "10K Customers/24hr"
    return found


async def _told(api: Api, session: aiohttp.ClientSession, path: str) -> Any:
    try:
        return await api.ask_well(session, "GET", path)
    except AcervoError:
        return {}


def _keep_words(found: dict[str, Any], **values: object) -> None:
    found |= {name: word for name, value in values.items() if (word := as_word(value)) != "?"}
