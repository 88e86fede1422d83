"""How a CRM opens our panel: which pages frame it, what proves that the CRM asks, and for which record and person."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Final, cast
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from acervo.base.errors import Refused

STALE_AFTER_S: Final = 300
SKEW_S: Final = 60
"""How far the clocks of two well-kept servers may be apart."""
LEAST_KEY_BITS: Final = 2048
RECORD_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")


class Unproven(Refused):
    """Nothing shows that the CRM asks: a signature is missing, of another kind, or not the CRM's."""

    code = "embed_unproven"


class Stale(Refused):
    """What the CRM signed is too old, or is not yet good."""

    code = "embed_stale"


class OfAnotherAccount(Refused):
    """The CRM signed it, but for another account or another app."""

    code = "embed_of_another_account"


@dataclass(frozen=True, slots=True)
class Trust:
    """What we know of the account and of the app installed in it."""

    account_id: str
    options: Mapping[str, Any] = field(default_factory=dict)
    api_base: str | None = None
    app_id: str = ""
    public_key: str = ""
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Knock:
    """A request as it came. `uri` is whole, as the CRM called it; names of headers are in lower case."""

    method: str
    uri: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    form: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Opening:
    """Who opens the panel, and on which record; both as the CRM says it, in its own words."""

    agent_id: str
    email: str = field(default="", repr=False)
    """Empty where the CRM does not vouch for it."""
    name: str = field(default="", repr=False)
    object_name: str = ""
    record_id: str = ""
    proof: bytes = field(default=b"", repr=False)
    """What was signed, byte for byte: it counts once."""


Verify = Callable[[Trust, Knock, float], Opening]
"""From a knock at a moment. Raises Unproven, Stale and OfAnotherAccount."""


@dataclass(frozen=True, slots=True)
class Embedding:
    """One CRM. Where `verify` is None nothing is signed: code of ours inside the CRM shows a key instead."""

    origins: Callable[[Trust], tuple[str, ...]]
    """The pages that frame the panel, exactly. Empty as long as the account's address is not known."""
    object_types: Mapping[str, str]
    """Its names of records to ours."""
    verify: Verify | None = None
    opens: str = "key"
    """`page`: what is signed opens the panel; `fetch`: it fetches a link that does; `key`: a key does."""
    needs: tuple[str, ...] = ()
    """Fields of Trust that `verify` cannot do without."""
    sdk_origin: str = ""
    """Whose script tells the page which record it stands beside."""


def find(kind: str) -> Embedding | None:
    """None for a CRM that shows no page of others."""
    try:
        module = import_module(f"acervo.crms.{kind}.embedding")
    except ModuleNotFoundError:
        return None
    return cast(Embedding, module.EMBEDDING)


def read_public_key(pem: str) -> RSAPublicKey:
    """Raises ValueError for what is no RSA public key of a good length."""
    key = load_pem_public_key(pem.strip().encode())
    if not isinstance(key, RSAPublicKey) or key.key_size < LEAST_KEY_BITS:
        raise ValueError(f"Not an RSA key of {LEAST_KEY_BITS} bits or more.")
    return key


def origin_of(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"
