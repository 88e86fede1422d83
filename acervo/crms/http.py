"""The one HTTP core under every connector: pace, safe retries, auth header, error map, no secrets anywhere."""

from __future__ import annotations

import hashlib
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal

import httpx

from acervo.crms.bodies import Body
from acervo.crms.contract import CrmError, CrmErrorKind
from acervo.crms.pace import Pace
from acervo.crms.tokens import AccessToken

log = logging.getLogger(__name__)
logging.getLogger("httpx").setLevel(logging.WARNING)
"""Its lines of lower levels quote whole addresses, and some CRMs are searched by phone number in the address."""

REQUEST_TIMEOUT_S = 30.0
UPLOAD_TIMEOUT_S = 120.0
"""Between two signs of life, and for the answer to a large body."""
HOLD_S = 25.0
"""The longest one call may wait in all, so that a job never blocks its worker for a CRM's sake. A longer wait
becomes a CrmError with `retry_after_s`, and the job comes back later."""
ATTEMPTS = 4

Effect = Literal["read", "repeatable", "once"]
"""What sending a request twice does: nothing, the same as once, or a second record."""
EFFECTS: Mapping[str, Effect] = {
    "GET": "read",
    "PUT": "repeatable",
    "PATCH": "repeatable",
    "DELETE": "repeatable",
    "POST": "once",
}
NOT_DONE = frozenset({CrmErrorKind.RATE_LIMITED, CrmErrorKind.LOCKED, CrmErrorKind.UNAVAILABLE})
"""Kinds that say nothing happened at the other side: the same request may go out again.
UNKNOWN_OUTCOME is never among them: whoever called must look first."""

Authorize = Callable[[str | None], Awaitable[str]]
"""The token to call with; where one is named, that one was refused and another is wanted."""


class CrmHttp:
    """JSON calls to one account. `read_error` turns an answer that is not 2xx into a CrmError.
    It must quote nothing of the answer but code words: vendors repeat what we sent, phone numbers included."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        base_url: str,
        token: str | Authorize,
        pace: Pace,
        read_error: Callable[[httpx.Response], CrmError],
        usage_headers: Mapping[str, str],
        scheme: str = "Bearer",
    ) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/")
        self._token = token
        self._scheme = scheme
        self._pace = pace
        self._read_error = read_error
        self._usage_headers = usage_headers
        self.usage: dict[str, int] = {}
        """What the last answer said is left of our allowance."""

    async def call(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: Mapping[str, str | int] | None = None,
        body: Body | None = None,
        effect: Effect | None = None,
        lanes: Sequence[str] = ("burst",),
    ) -> Any:
        """The decoded answer ({} when empty). Raises CrmError only, besides what `body` raises.

        `effect` is known by method; a POST that searches, reads or upserts says so itself. The first lane is the one that waits when the CRM answers that it is too much.
        """
        effect = effect or EFFECTS[method]
        until = self._pace.now() + HOLD_S
        refused: str | None = None
        for attempt in range(1, ATTEMPTS + 1):
            token = self._token if isinstance(self._token, str) else await self._token(refused)
            await self._pace.take(lanes, until=until)
            try:
                async with self._pace.place():
                    return await self._once(method, path, effect, token, json=json, params=params, body=body)
            except CrmError as error:
                self._log_refusal(error, method, attempt)
                if self._may_renew(error, refused) and attempt < ATTEMPTS:
                    refused = token
                    continue
                await self._wait_or_raise(error, attempt, until, lanes[0])
        raise AssertionError("the last attempt raises")

    def _may_renew(self, error: CrmError, refused: str | None) -> bool:
        """Once a call: a new token that is refused too is not helped by a third."""
        is_old = error.kind is CrmErrorKind.AUTH_EXPIRED and refused is None
        return is_old and not isinstance(self._token, str)

    async def _wait_or_raise(self, error: CrmError, attempt: int, until: float, lane: str) -> None:
        wait_s = error.retry_after_s
        if wait_s is None:
            wait_s = 2.0 ** (attempt - 1) * random.uniform(0.5, 1.0)  # noqa: S311  (spreads retries, no secret)
        if error.kind is CrmErrorKind.RATE_LIMITED:
            self._pace.block(lane, wait_s)
        if error.kind not in NOT_DONE or attempt == ATTEMPTS or self._pace.now() + wait_s > until:
            raise error
        await self._pace.sleep(wait_s)

    async def _once(
        self,
        method: str,
        path: str,
        effect: Effect,
        token: str,
        *,
        json: Any,
        params: Mapping[str, str | int] | None,
        body: Body | None,
    ) -> Any:
        try:
            response = await self._send(method, path, json=json, params=params, body=body, token=token)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise CrmError(CrmErrorKind.UNAVAILABLE, "could not be reached") from error
        except httpx.HTTPError as error:
            detail = (
                "no answer in time" if isinstance(error, httpx.TimeoutException) else "the connection broke"
            )
            raise CrmError(_kind_after_sending(effect), detail) from error
        self._remember_usage(response)
        if response.is_success:
            return self._read(response, effect)
        raise self._refusal(response, effect)

    async def _send(
        self,
        method: str,
        path: str,
        *,
        json: Any,
        params: Mapping[str, str | int] | None,
        body: Body | None,
        token: str,
    ) -> httpx.Response:
        """One try on the wire. Raises httpx.HTTPError."""
        headers = {"Authorization": f"{self._scheme} {token}", "Accept": "application/json"}
        if body:
            headers |= {"Content-Type": body.content_type, "Content-Length": str(body.size_bytes)}
        return await self._http.request(
            method,
            self._base_url + path,
            json=json,
            params=params,
            content=body.content() if body else None,
            headers=headers,
            timeout=UPLOAD_TIMEOUT_S if body else REQUEST_TIMEOUT_S,
            follow_redirects=False,
        )

    def _read(self, response: httpx.Response, effect: Effect) -> Any:
        """What an answer of success says."""
        return _decoded(response, effect)

    def _refusal(self, response: httpx.Response, effect: Effect) -> CrmError:
        error = self._read_error(response)
        if response.status_code >= 500 and effect == "once":
            # A gateway's 502 or 504 does not say whether the write behind it was done.
            error.kind = CrmErrorKind.UNKNOWN_OUTCOME
        return error

    def _remember_usage(self, response: httpx.Response) -> None:
        for name, header in self._usage_headers.items():
            if (value := response.headers.get(header, "")).isdigit():
                self.usage[name] = int(value)

    def _log_refusal(self, error: CrmError, method: str, attempt: int) -> None:
        is_an_answer = error.kind is CrmErrorKind.NOT_FOUND and method == "GET"  # we only wanted to know
        log.log(
            logging.INFO if is_an_answer else logging.WARNING,
            "crm.refused",
            extra={
                "kind": str(error.kind),
                "status": error.status,
                "method": method,
                "vendor_code": error.vendor_code,
                "correlation_id": error.correlation_id,
                "attempt": attempt,
            },
        )


async def ask_for_token(
    http: httpx.AsyncClient,
    url: str,
    form: Mapping[str, str | int],
    *,
    read_error: Callable[[httpx.Response], CrmError],
    headers: Mapping[str, str] | None = None,
    as_json: bool = False,
) -> AccessToken:
    """An OAuth token endpoint asked once. `read_error` also judges a 2xx answer without a token: some vendors
    refuse like that."""
    try:
        response = await http.post(
            url,
            data=None if as_json else dict(form),
            json=dict(form) if as_json else None,
            headers={"Accept": "application/json", **(headers or {})},
            timeout=REQUEST_TIMEOUT_S,
            follow_redirects=False,
        )
    except httpx.HTTPError as error:  # nothing but a token can have been made: as good as not reached
        raise CrmError(CrmErrorKind.UNAVAILABLE, "no token could be asked for") from error
    answer = _decoded(response, "read") if response.is_success else {}
    value = answer.get("access_token") if isinstance(answer, dict) else None
    if not isinstance(value, str) or not value:
        raise read_error(response)
    lifetime_s = answer.get("expires_in")
    return AccessToken(value, float(lifetime_s) if isinstance(lifetime_s, int | float) else None)


def connection_key(base_url: str, token: str) -> str:
    """Names a connection for `shared_pace` without holding its token."""
    return hashlib.sha256(f"{base_url}\n{token}".encode()).hexdigest()


def _kind_after_sending(effect: Effect) -> CrmErrorKind:
    return CrmErrorKind.UNAVAILABLE if effect == "read" else CrmErrorKind.UNKNOWN_OUTCOME


def _decoded(response: httpx.Response, effect: Effect) -> Any:
    if not response.content:
        return {}
    try:
        return response.json()
    except ValueError as error:
        raise CrmError(
            _kind_after_sending(effect), "the answer is not JSON", status=response.status_code
        ) from error
