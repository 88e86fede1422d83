"""Who asks for bytes: with whose rights, and under which name it is written down."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self
from uuid import UUID

from acervo.base import ids
from acervo.models import EmbedSession, Member, by_member


@dataclass(frozen=True, slots=True)
class Holder:
    """A member, or an agent of a CRM who has our panel open there."""

    member: Member
    """Whose rights: of an agent without an account here, one that stands in and is not saved."""
    by: str
    row: Member | EmbedSession
    """Whose own listenings wait for each other."""
    details: dict[str, Any] = field(default_factory=dict)
    """What the audit says besides: which CRM, and whom that CRM says it was."""

    @classmethod
    def of(cls, member: Member) -> Self:
        return cls(member, by_member(member), member)

    @classmethod
    def of_session(cls, session: EmbedSession) -> Self | None:
        """None for an agent who may see nothing."""
        viewer = session.viewer()
        if viewer is None:
            return None
        details = {"connection": ids.text(session.connection_id), "agent": session.agent.agent_id}
        return cls(viewer, session.agent.author, session, details)

    @property
    def pk(self) -> UUID:
        return self.row.pk

    def lock(self) -> None:
        """In a transaction: nobody else writes down a listening of theirs until it ends."""
        type(self.row)._default_manager.select_for_update(no_key=True).get(pk=self.row.pk)
