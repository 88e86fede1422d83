"""Who did something, by name: the members of the reader's workspace, and what is no person."""

from __future__ import annotations

from collections.abc import Iterable

from acervo.base import ids
from acervo.models import Member, by_member
from acervo.web import words


def names_of(member: Member, authors: Iterable[str]) -> dict[str, words.Words]:
    """A name for each author of audit entries, in one query."""
    asked = set(authors)
    keys = [ids.parse(author.removeprefix("member:")) for author in asked if author.startswith("member:")]
    colleagues = Member.objects.filter(workspace=member.workspace_id, pk__in=keys) if keys else ()
    known: dict[str, words.Words] = {by_member(other): str(other) for other in colleagues}
    return {
        author: known.get(author) or words.SYSTEM_ACTORS.get(author.partition(":")[0], author)
        for author in asked
    }
