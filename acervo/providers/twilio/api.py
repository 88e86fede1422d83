"""Twilio's REST API as one account: the only place that puts its credentials on a request, and only at its own hosts."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import aiohttp
import yarl

from acervo.base.errors import AcervoError
from acervo.providers import asking
from acervo.providers.asking import Reply
from acervo.providers.contract import AccessLost, Credentials, Outcome, ProviderBusy
from acervo.providers.twilio import errors
from acervo.providers.untrusted import as_mapping, as_sequence, as_text, parse_object

MAIN: Final = "https://api.twilio.com"
CONTENT: Final = "https://content.twilio.com"
MESSAGING: Final = "https://messaging.twilio.com"
VERSION: Final = "/2010-04-01"
MOST_PAGES: Final = 10_000

ACCOUNT_SID = re.compile(r"AC[0-9a-f]{32}")


class Api:
    """One account: `auth_token`, or an API key where one is given, since a key can be restricted."""

    def __init__(self, credentials: Credentials) -> None:
        self._secrets = credentials.secrets
        self._base = credentials.api_base.rstrip("/") if credentials.api_base else None
        self.account_sid = str(credentials.options.get("account_sid") or "")

    @property
    def origins(self) -> frozenset[str]:
        """Where our files may be said to lie."""
        own = {str(yarl.URL(self._base).origin())} if self._base else set()
        return frozenset({MAIN, *own})

    @property
    def account_path(self) -> str:
        return f"{VERSION}/Accounts/{self.account_sid}"

    def url(self, path: str, *, host: str = MAIN) -> str:
        """An address of this API. `api_base` stands in for each of its hosts."""
        return f"{self._base or host}{path}"

    def is_own(self, url: str) -> bool:
        """Whether an address is one of this account at the API itself: there, and nowhere else, credentials may go."""
        try:
            link = yarl.URL(url)
            return (
                link.user is None
                and str(link.origin()) == str(yarl.URL(self._base or MAIN).origin())
                and bool(ACCOUNT_SID.fullmatch(self.account_sid))
                and link.raw_path.startswith(f"{self.account_path}/")
            )
        except ValueError:
            return False

    def authorization(self) -> dict[str, str]:
        key, secret = self._secrets.get("api_key_sid"), self._secrets.get("api_key_secret")
        if not (key and secret):
            key, secret = self.account_sid, self._secrets.get("auth_token", "")
        return {"Authorization": "Basic " + b64encode(f"{key}:{secret}".encode()).decode()}

    async def ask(
        self,
        session: aiohttp.ClientSession,
        method: str,
        path: str,
        *,
        host: str = MAIN,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        json: Any = None,
        limit_bytes: int = asking.LONGEST_ANSWER_BYTES,
    ) -> Reply:
        """Whatever was answered. Raises ProviderBusy when nobody does, AccessLost when we do not know the account."""
        if not ACCOUNT_SID.fullmatch(self.account_sid):
            raise AccessLost("The connection has no Account SID.", code=Outcome.FORBIDDEN)
        return await asking.ask(
            session,
            method,
            self.url(path, host=host),
            vendor=errors.VENDOR,
            headers=self.authorization(),
            params=params,
            form=form,
            json=json,
            limit_bytes=limit_bytes,
        )

    async def ask_well(
        self, session: aiohttp.ClientSession, method: str, path: str, **options: Any
    ) -> Mapping[str, Any]:
        """The object of a good answer. Raises AccessLost, MediaGone and ProviderBusy for any other."""
        reply = await self.ask(session, method, path, **options)
        if not 200 <= reply.status < 300:
            raise errors.refusal(reply)
        return told(reply)

    async def pages(
        self,
        session: aiohttp.ClientSession,
        path: str,
        *,
        name: str,
        params: Mapping[str, str] | None = None,
    ) -> AsyncIterator[list[Mapping[str, Any]]]:
        """Each page of a list. The next page is only asked for when its address is the same list's: credentials follow
        no link of an answer."""
        asked: str = path
        for _ in range(MOST_PAGES):
            page = await self.ask_well(session, "GET", asked, params=params)
            if not isinstance(page.get(name), list):
                raise ProviderBusy(f"{errors.VENDOR} answered without a list.", code=Outcome.UNKNOWN)
            yield [as_mapping(row) for row in as_sequence(page[name])]
            following = as_text(page.get("next_page_uri"))
            if following is None:
                return
            if not following.startswith(f"{path}?"):
                raise ProviderBusy(
                    f"{errors.VENDOR} leads elsewhere for its next page.", code=Outcome.UNKNOWN
                )
            asked, params = following, None


def told(reply: Reply) -> Mapping[str, Any]:
    """The object in an answer. Raises ProviderBusy when there is none."""
    try:
        return parse_object(reply.body)
    except AcervoError:
        raise ProviderBusy(f"{errors.VENDOR} answered nonsense.", code=Outcome.UNKNOWN) from None
