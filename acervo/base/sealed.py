"""Small secrets inside database columns, sealed with AES-256-GCM under a key that has a name."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from acervo.base.errors import NeedsPerson

KEY_BYTES = 32
_NONCE_BYTES = 12
_TAG_BYTES = 16
_VERSION = 1


class SealedElsewhere(NeedsPerson):
    """This value was sealed with a key this installation does not have. Restore that key."""

    code = "sealed_elsewhere"


@dataclass(frozen=True, slots=True)
class NamedKey:
    """A 256-bit key and the name written beside everything it seals, so that keys can be changed later."""

    id: str
    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.key) != KEY_BYTES:
            raise ValueError(f"A sealing key has {KEY_BYTES} bytes.")
        if not 0 < len(self.id.encode()) < 256:
            raise ValueError("The name of a sealing key has 1 to 255 bytes.")


def seal(key: NamedKey, plaintext: bytes, aad: bytes) -> bytes:
    """Seal `plaintext` so that it opens only with the same `aad`: say there which row and column it is.

    Layout: version ‖ length of the key's name ‖ name ‖ nonce ‖ ciphertext and tag. Nonces are random, which bounds
    one key to 2³² values (NIST SP 800-38D, 8.3): far above the number of rows it ever seals.
    """
    name = key.id.encode()
    preamble = bytes((_VERSION, len(name))) + name
    nonce = os.urandom(_NONCE_BYTES)
    return preamble + nonce + AESGCM(key.key).encrypt(nonce, plaintext, preamble + aad)


def unseal(key: NamedKey, sealed: bytes, aad: bytes) -> bytes:
    """The plaintext. Raises SealedElsewhere for another key, another place or a changed value."""
    name = key_id(sealed)
    if name != key.id:
        raise SealedElsewhere(f"Sealed with key {name!r}, but the key at hand is {key.id!r}.")
    start = 2 + len(name.encode())
    nonce, body = sealed[start : start + _NONCE_BYTES], sealed[start + _NONCE_BYTES :]
    try:
        return AESGCM(key.key).decrypt(nonce, body, sealed[:start] + aad)
    except InvalidTag as error:
        raise SealedElsewhere(f"Key {name!r} does not open this value: it was changed or moved.") from error


def key_id(sealed: bytes) -> str:
    """The name of the key that sealed this value."""
    if len(sealed) < 2 or sealed[0] != _VERSION or len(sealed) < 2 + sealed[1] + _NONCE_BYTES + _TAG_BYTES:
        raise SealedElsewhere("Not a sealed value of a known version.")
    try:
        return sealed[2 : 2 + sealed[1]].decode()
    except UnicodeDecodeError as error:
        raise SealedElsewhere("Not a sealed value of a known version.") from error
