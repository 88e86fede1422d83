"""What our secrets buy at Zoho's accounts server: a refresh token once, an access token every hour."""

from __future__ import annotations

import httpx

from acervo.crms.contract import CrmCredentials, CrmError, CrmErrorKind
from acervo.crms.http import REQUEST_TIMEOUT_S, Authorize, ask_for_token
from acervo.crms.tokens import AccessToken
from acervo.crms.zoho.centres import centre_of
from acervo.crms.zoho.errors import read_token_error

TOKEN_PATH = "/oauth/v2/token"  # noqa: S105  (a path)


def authorize(credentials: CrmCredentials, http: httpx.AsyncClient) -> Authorize:
    """Zoho gives ten access tokens in ten minutes to a refresh token, so all workers share one."""

    async def ask() -> AccessToken:
        secrets = credentials.secrets
        form = {
            "grant_type": "refresh_token",
            "refresh_token": secrets["refresh_token"],
            "client_id": secrets["client_id"],
            "client_secret": secrets["client_secret"],
        }
        url = centre_of(credentials).accounts + TOKEN_PATH
        return await ask_for_token(http, url, form, read_error=read_token_error)

    async def token(refused: str | None) -> str:
        return await credentials.tokens.get(ask, refused=refused)

    return token


async def redeem(credentials: CrmCredentials, http: httpx.AsyncClient, code: str) -> str:
    """The refresh token behind the grant code of a Self Client, which is good for minutes and only once."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "client_id": credentials.secrets["client_id"],
        "client_secret": credentials.secrets["client_secret"],
    }
    url = centre_of(credentials).accounts + TOKEN_PATH
    try:
        response = await http.post(url, data=form, timeout=REQUEST_TIMEOUT_S, follow_redirects=False)
        answer = response.json() if response.is_success else {}
    except (httpx.HTTPError, ValueError) as error:
        raise CrmError(CrmErrorKind.UNAVAILABLE, "no token could be asked for") from error
    found = answer.get("refresh_token") if isinstance(answer, dict) else None
    if not isinstance(found, str) or not found:
        raise read_token_error(response)
    return found
