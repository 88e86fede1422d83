"""What a CRM would sign, made here: tokens of Zendesk and calls of HubSpot, right or wrong in one thing."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa


@cache
def rsa_key(name: str = "ours", bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def public_pem(key: rsa.RSAPrivateKey) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def jwt(claims: dict[str, Any], *, key: rsa.RSAPrivateKey | None = None, **header: Any) -> str:
    """`alg="HS256"` signs with the public key as a shared secret, as in the well-known attack."""
    head = {"typ": "JWT", "alg": "RS256", **header}
    signed = f"{_part(head)}.{_part(claims)}".encode()
    key = key or rsa_key()
    if head["alg"] == "none":
        return f"{signed.decode()}."
    if head["alg"] == "HS256":
        signature = hmac.new(public_pem(key).encode(), signed, hashlib.sha256).digest()
    else:
        signature = key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    return f"{signed.decode()}.{_encoded(signature)}"


def claims(
    now: float, *, subdomain: str = "aurora", installation: str = "4711", **changed: Any
) -> dict[str, Any]:
    home = f"{subdomain}.zendesk.com"
    told = {
        "iss": home,
        "aud": f"https://{home}/api/v2/apps/installations/{installation}.json",
        "iat": int(now),
        "exp": int(now) + 300,
        "sub": f"https://{home}/api/v2/users/901.json",
        **changed,
    }
    return {name: value for name, value in told.items() if value is not None}


def hubspot_headers(
    method: str, address: str, now: float, *, secret: str, body: bytes = b""
) -> dict[str, str]:
    """`address`: as it is signed, with the escapes HubSpot takes back taken back."""
    at = str(int(now * 1000))
    signed = method.encode() + address.encode() + body + at.encode()
    signature = base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()
    return {"X-HubSpot-Signature-v3": signature, "X-HubSpot-Request-Timestamp": at}


def _part(content: dict[str, Any]) -> str:
    return _encoded(json.dumps(content, separators=(",", ":")).encode())


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
