"""Who did something, by name: the members of the reader's workspace, its tokens, agents of its CRMs, and what is no
person."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.utils.translation import gettext as _

from acervo.base import ids
from acervo.models import ApiToken, EmbedAgent, Member, by_member, by_token
from acervo.web import words


def names_of(member: Member, authors: Iterable[str]) -> dict[str, words.Words]:
    """A name for each author of audit entries, in one query of members, one of tokens and one of agents."""
    asked = set(authors)
    known: dict[str, words.Words] = {}
    if members := _of_kind("member", asked):
        colleagues = Member.objects.filter(workspace=member.workspace_id, pk__in=members)
        known |= {by_member(other): str(other) for other in colleagues}
    if tokens := _of_kind("token", asked):
        theirs = ApiToken.objects.filter(workspace=member.workspace_id, pk__in=tokens)
        known |= {by_token(token): token.name for token in theirs}
    if agents := _of_kind("agent", asked):
        known |= _agents(member, agents)
    return {
        author: known.get(author) or words.SYSTEM_ACTORS.get(author.partition(":")[0], author)
        for author in asked
    }


def _of_kind(kind: str, authors: Iterable[str]) -> list[UUID]:
    beginning = f"{kind}:"
    return [ids.parse(author.removeprefix(beginning)) for author in authors if author.startswith(beginning)]


def _agents(member: Member, keys: Iterable[UUID]) -> dict[str, words.Words]:
    """As their CRM calls them, with the CRM: its numbers mean nothing without it."""
    found = EmbedAgent.objects.filter(workspace=member.workspace_id, pk__in=keys)
    return {
        agent.author: _("%(who)s in %(crm)s") % {"who": agent, "crm": agent.connection.name}
        for agent in found.select_related("connection")
    }
