"""Pages as members see them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from acervo.models import Member, Role, Workspace
from tests.conftest import make_member


@pytest.fixture
def page_of() -> Callable[[Member], Client]:
    """`page_of(alice).get("/library")`."""

    def signed_in(member: Member) -> Client:
        client = Client()
        client.force_login(member)
        return client

    return signed_in


@pytest.fixture
def everybody(workspace: Workspace) -> dict[str, Member]:
    """A member of each role in our workspace, in no team."""
    return {role: make_member(workspace, f"member-{role}", role) for role in Role.values}
