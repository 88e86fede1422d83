"""What is kept of a key that only its holder shall know."""

from __future__ import annotations

import hashlib


def digest(token: str | bytes) -> str:
    """SHA-256, in hex. The key is long and made by chance: nothing slower is needed to keep it from being guessed."""
    return hashlib.sha256(token if isinstance(token, bytes) else token.encode()).hexdigest()
