"""Our webhook address at the sender itself, so that nobody has to paste it (Senders API, read 2026)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aiohttp

from acervo.providers.contract import AccessLost, Outcome, ProviderBusy
from acervo.providers.twilio import errors, identity
from acervo.providers.twilio.api import MESSAGING, Api
from acervo.providers.untrusted import as_mapping, as_sequence, as_text, as_word

PATH = "/v2/Channels/Senders"
PAGE_SIZE = "1000"
RETRIES = "#rc=5&rp=all&ct=3000&rt=5000"
"""Twilio alone tries a webhook once, and again only when it could not connect. This asks it to be patient; the part
behind the hash is for Twilio itself and is neither sent nor signed."""


async def register(api: Api, session: aiohttp.ClientSession, own_number: str, url: str) -> None:
    """Messages and statuses of this sender are told there from now on."""
    known = await sender(api, session, own_number)
    webhook = {
        "callback_url": url + RETRIES,
        "callback_method": "POST",
        "fallback_url": url,
        "fallback_method": "POST",
        "status_callback_url": url,
        "status_callback_method": "POST",
    }
    path = f"{PATH}/{as_word(known.get('sid'))}"
    await api.ask_well(session, "POST", path, host=MESSAGING, json={"webhook": webhook})


async def registered(api: Api, session: aiohttp.ClientSession, own_number: str) -> str | None:
    """Where messages of this sender are told now."""
    webhook = as_mapping((await sender(api, session, own_number)).get("webhook"))
    return (as_text(webhook.get("callback_url")) or "").partition("#")[0] or None


async def unregister(api: Api, session: aiohttp.ClientSession, own_number: str, url: str) -> None:
    """Its addresses are emptied, if they are ours. Unsure whether Twilio takes empty ones; if not, it says so."""
    if await registered(api, session, own_number) != url:
        return
    own = await sender(api, session, own_number)
    webhook = dict.fromkeys(("callback_url", "fallback_url", "status_callback_url"), "")
    path = f"{PATH}/{as_word(own.get('sid'))}"
    await api.ask_well(session, "POST", path, host=MESSAGING, json={"webhook": webhook})


async def sender(api: Api, session: aiohttp.ClientSession, own_number: str) -> Mapping[str, Any]:
    """The sender of this number. Raises AccessLost when the account has none."""
    params = {"Channel": "whatsapp", "PageSize": PAGE_SIZE}
    page = await api.ask_well(session, "GET", PATH, host=MESSAGING, params=params)
    if not isinstance(page.get("senders"), list):
        raise ProviderBusy(f"{errors.VENDOR} answered without a list.", code=Outcome.UNKNOWN)
    for row in as_sequence(page["senders"]):
        found = as_mapping(row)
        if identity.phone(found.get("sender_id")) == own_number and as_word(found.get("sid")) != "?":
            return found
    raise AccessLost("This account has no such WhatsApp sender.", code=Outcome.FORBIDDEN)
