"""How an External Client App lets us in: by its consumer secret, or by a token signed with a private key."""

from __future__ import annotations

import base64
import json
import re
import textwrap
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import httpx
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from acervo.crms.contract import CrmCredentials, CrmError, CrmErrorKind
from acervo.crms.http import ask_for_token
from acervo.crms.salesforce.errors import read_token_error
from acervo.crms.tokens import AccessToken

TOKEN_PATH = "/services/oauth2/token"  # noqa: S105  (an address)
JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_ASSERTION_LIFE_S = 180
_MY_DOMAIN = re.compile(r"(?:https://)?([a-z0-9-]+(?:\.[a-z0-9-]+)?\.my\.salesforce\.com)/?")
_PEM = re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----(.+?)-----END \1-----", re.DOTALL)


class Access:
    """Client credentials, or the JWT bearer flow where `client_secret` is a private key in PEM; then
    `options["username"]` says as whom. Salesforce tells no lifetime: a token is good until it is refused."""

    def __init__(
        self, credentials: CrmCredentials, http: httpx.AsyncClient, base_url: str, now: Callable[[], float]
    ) -> None:
        self._credentials = credentials
        self._http = http
        self._base_url = base_url
        self._now = now

    async def token(self, refused: str | None) -> str:
        return await self._credentials.tokens.get(self._ask, refused=refused)

    async def _ask(self) -> AccessToken:
        url = self._base_url.rstrip("/") + TOKEN_PATH
        return await ask_for_token(self._http, url, self._form(), read_error=read_token_error)

    def _form(self) -> Mapping[str, str]:
        client_id, secret = (self._credentials.secrets[name] for name in ("client_id", "client_secret"))
        if key := _PEM.search(secret):
            return {"grant_type": JWT_GRANT, "assertion": self._assertion(client_id, key)}
        return {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}

    def _assertion(self, client_id: str, pem: re.Match[str]) -> str:
        claims = {
            "iss": client_id,
            "sub": str(self._credentials.options.get("username") or ""),
            "aud": audience(self._base_url),
            "exp": int(self._now()) + _ASSERTION_LIFE_S,
        }
        signed = f"{_part({'alg': 'RS256', 'typ': 'JWT'})}.{_part(claims)}"
        signature = _key(pem).sign(signed.encode(), PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_base64url(signature)}"


def my_domain(typed: str) -> str | None:
    """The address of an account by the name a person gave; None for anything else."""
    found = _MY_DOMAIN.fullmatch(typed.strip().lower())
    return f"https://{found[1]}" if found else None


def is_private_key(text: str) -> bool:
    return bool(_PEM.search(text))


def audience(base_url: str) -> str:
    """Whom the assertion is for: Salesforce's login server, of sandboxes another one."""
    host = urlsplit(base_url).hostname or ""
    is_sandbox = ".sandbox." in host or host.split(".")[0].endswith("--sandbox")
    return "https://test.salesforce.com" if is_sandbox else "https://login.salesforce.com"


def _key(pem: re.Match[str]) -> RSAPrivateKey:
    """A field of one line on a page takes the line breaks of a pasted key away; they are put back."""
    body = "\n".join(textwrap.wrap("".join(pem[2].split()), 64))
    try:
        key = load_pem_private_key(
            f"-----BEGIN {pem[1]}-----\n{body}\n-----END {pem[1]}-----\n".encode(), None
        )
    except (ValueError, TypeError) as error:
        raise CrmError(CrmErrorKind.AUTH_REVOKED, "the private key cannot be read") from error
    if not isinstance(key, RSAPrivateKey):
        raise CrmError(CrmErrorKind.AUTH_REVOKED, "the private key must be an RSA key")
    return key


def _part(content: Mapping[str, object]) -> str:
    return _base64url(json.dumps(content, separators=(",", ":")).encode())


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
