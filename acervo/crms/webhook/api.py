"""One address that takes our messages: signed anew at each try, never redirected, its answers read no further than they
are of use."""

from __future__ import annotations

import asyncio
import json as json_
from collections.abc import Mapping
from typing import Any, Final

import httpx

from acervo.base import clock, signing
from acervo.base.http import USER_AGENT
from acervo.crms.contract import CrmCredentials, CrmError, CrmErrorKind
from acervo.crms.http import REQUEST_TIMEOUT_S, CrmHttp, Effect, connection_key
from acervo.crms.pace import Pace, shared_pace
from acervo.crms.webhook.errors import read_error

LANES: Final = (("burst", 100, 10.0),)
"""Nobody tells what a system of one's own can bear: ten a second, and it may answer 429."""
AT_ONCE: Final = 4
LONGEST_ANSWER: Final = 262_144
"""Bytes: a hundred results with an address each are a tenth of it."""
PREVIOUS: Final = "secret_previous"


class Post:
    """Messages to the address of a connection. Raises CrmError only."""

    def __init__(self, credentials: CrmCredentials, http: httpx.AsyncClient, pace: Pace | None) -> None:
        url, secret = credentials.api_base or "", credentials.secrets["secret"]
        keys = [key for key in (secret, credentials.secrets.get(PREVIOUS)) if key]
        if not url or not all(map(signing.is_secret, keys)):
            raise CrmError(CrmErrorKind.VALIDATION, "the address or the secret is missing or odd")
        key = connection_key(url, secret)
        self._wire = _Signed(http, url, keys, pace or shared_pace(key, LANES, at_once=AT_ONCE))

    async def send(self, letter: Mapping[str, Any], *, effect: Effect) -> Mapping[str, Any]:
        """What the receiver says to it; `{}` for one that only takes it. A letter keeps its id through all tries."""
        answer: Mapping[str, Any] = await self._wire.call("POST", "", json=letter, effect=effect)
        return answer


class _Signed(CrmHttp):
    def __init__(self, http: httpx.AsyncClient, url: str, keys: list[str], pace: Pace) -> None:
        super().__init__(http, base_url=url, token="", pace=pace, read_error=read_error, usage_headers={})
        self._url, self._keys = url, keys

    async def _send(self, method: str, path: str, *, json: Any, **_others: Any) -> httpx.Response:
        body = json_.dumps(json, ensure_ascii=False).encode()
        letter = self._http.build_request(
            method,
            self._url,
            content=body,
            headers={
                "Content-Type": "application/json",
                "Accept": "application/json",
                "Accept-Encoding": "identity",
                "User-Agent": USER_AGENT,
                **signing.headers(self._keys, json["id"], clock.now(), body),
            },
            timeout=REQUEST_TIMEOUT_S,
        )
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                return await self._answer(letter)
        except TimeoutError as error:
            raise httpx.ReadTimeout("no whole answer in time", request=letter) from error
        except (httpx.InvalidURL, UnicodeError) as error:  # a name that no resolver takes
            raise httpx.ConnectError("no such host", request=letter) from error

    async def _answer(self, letter: httpx.Request) -> httpx.Response:
        response = await self._http.send(letter, stream=True, follow_redirects=False)
        try:
            content = await _beginning(response) if _is_json(response) else b""
        finally:
            await response.aclose()
        return httpx.Response(response.status_code, headers=_kept(response), content=content)

    def _read(self, response: httpx.Response, effect: Effect) -> Any:
        """A receiver need not say anything, and what is not JSON says nothing."""
        if len(response.content) > LONGEST_ANSWER:
            raise CrmError(
                CrmErrorKind.UNKNOWN_OUTCOME, "the answer is too long", status=response.status_code
            )
        try:
            answer = json_.loads(response.content)
        except ValueError:
            return {}
        return answer if isinstance(answer, dict) else {}


async def _beginning(response: httpx.Response) -> bytes:
    """As it came over the line: what grows when it is unpacked does not grow here."""
    found = b""
    async for piece in response.aiter_raw():
        found += piece
        if len(found) > LONGEST_ANSWER:
            break
    return found[: LONGEST_ANSWER + 1]


def _is_json(response: httpx.Response) -> bool:
    kind: str = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


def _kept(response: httpx.Response) -> dict[str, str]:
    wait = response.headers.get("retry-after")
    return {"retry-after": wait} if wait else {}
