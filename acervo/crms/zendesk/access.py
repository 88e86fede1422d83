"""How Zendesk lets us in: an OAuth client that buys tokens of an hour or two, or an API token of the old kind."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping

import httpx

from acervo.crms.contract import CrmCredentials, CrmError, CrmErrorKind
from acervo.crms.http import Authorize, ask_for_token
from acervo.crms.tokens import AccessToken
from acervo.crms.zendesk.errors import read_error

TOKEN_PATH = "/oauth/tokens"  # noqa: S105  (an address)
SCOPE = "read write"
"""Custom objects and fields have no scope of their own listed (2026-11)."""
LIFETIME_S = 7200
API_TOKENS_END_ON = "2027-04-30"
"""Zendesk stops all API tokens on this day; since October 2026 no account can make a new one."""

_SUBDOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def is_subdomain(text: str) -> bool:
    """The part before `.zendesk.com`."""
    return bool(_SUBDOMAIN.fullmatch(text))


def base_url(credentials: CrmCredentials) -> str:
    """Where the account lives. Raises CrmError VALIDATION when nobody said which account it is."""
    if credentials.api_base:
        return credentials.api_base.rstrip("/")
    subdomain = str(credentials.options.get("subdomain") or "")
    if not is_subdomain(subdomain):
        raise CrmError(CrmErrorKind.VALIDATION, "the Zendesk subdomain is missing")
    return f"https://{subdomain}.zendesk.com"


def is_api_token(secrets: Mapping[str, str]) -> bool:
    """Whether the secret is an old API token, which belongs to an e-mail address. A client that came later counts."""
    return bool(secrets.get("email")) and not secrets.get("client_id")


def basic(secrets: Mapping[str, str]) -> str:
    """What stands behind `Basic` for an API token."""
    return base64.b64encode(f"{secrets['email']}/token:{secrets['secret']}".encode()).decode()


def client(credentials: CrmCredentials, http: httpx.AsyncClient) -> Authorize:
    """Tokens of an OAuth client, one for all workers of the connection."""

    async def ask() -> AccessToken:
        secrets = credentials.secrets
        return await ask_for_token(
            http,
            base_url(credentials) + TOKEN_PATH,
            {
                "grant_type": "client_credentials",
                "client_id": secrets.get("client_id", ""),
                "client_secret": secrets["secret"],
                "scope": SCOPE,
                "expires_in": LIFETIME_S,
            },
            read_error=_read_refusal,
            as_json=True,
        )

    async def authorize(refused: str | None) -> str:
        return await credentials.tokens.get(ask, refused=refused)

    return authorize


def _read_refusal(response: httpx.Response) -> CrmError:
    """The token endpoint says 401 for a wrong client: nothing a second try would help."""
    error = read_error(response)
    if error.kind in {CrmErrorKind.AUTH_EXPIRED, CrmErrorKind.VALIDATION}:
        error.kind = CrmErrorKind.AUTH_REVOKED
    return error
