"""May this be done with what this person sent? Today the workspace's own settings answer; a ledger of consent will."""

from __future__ import annotations

from typing import Final
from uuid import UUID

TRANSCRIBE: Final = "transcribe"
PURPOSES: Final = (TRANSCRIBE,)


def allows(workspace_id: UUID, person_id: UUID, purpose: str) -> bool:
    """Asked before every use that a person may refuse. A workspace that configured the use allows it; the ledger of
    consent, once it is here, is read in this place and in no other."""
    assert purpose in PURPOSES, f"{purpose} is no purpose"  # noqa: S101
    return True
