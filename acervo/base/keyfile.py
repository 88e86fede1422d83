"""Random keys that a first run makes for itself and every later process finds again."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def read_or_create(path: Path, *, size_bytes: int = 32) -> bytes:
    """The key in `path`, made on first use. Two processes starting at once agree on one key."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    draft.touch(mode=0o600)
    draft.write_bytes(secrets.token_bytes(size_bytes))
    try:
        os.link(draft, path)  # fails if another process was first: its key stands
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path.read_bytes()
