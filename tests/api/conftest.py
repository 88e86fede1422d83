"""The API, asked as a program asks it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client

from acervo.govern import api_tokens
from acervo.govern.api_tokens import TokenWish
from acervo.models import ApiToken, Member, Role, Scope, Workspace
from tests.conftest import make_member

EVERYTHING = tuple(Scope.values)


@dataclass(frozen=True)
class Program:
    """Somebody's program, with a token of theirs."""

    row: ApiToken
    token: str

    def get(self, path: str, asked: dict[str, Any] | None = None, **headers: str) -> Any:
        return self._ask("get", path, asked, headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self._ask("post", path, {} if body is None else body, headers, "application/json")

    def delete(self, path: str, **headers: str) -> Any:
        return self._ask("delete", path, None, headers)

    def _ask(self, method: str, path: str, sent: Any, headers: dict[str, str], *kind: str) -> Any:
        said = {"Authorization": f"Bearer {self.token}"}
        said |= {name.replace("_", "-"): value for name, value in headers.items()}
        ask = getattr(Client(raise_request_exception=False), method)
        return ask(f"/api/v1{path}", sent, *([kind[0]] if kind else []), headers=said)


@pytest.fixture
def program_of(db: None) -> Callable[..., Program]:
    """`program_of(alice, "media:read").get("/media")`; without scopes, with all of them."""

    def made(member: Member, *scopes: str, role: str = "", lasts: str = "90d") -> Program:
        return Program(
            *api_tokens.make(member, TokenWish("n8n", scopes or EVERYTHING, lasts=lasts, role=role))
        )

    return made


@pytest.fixture
def everybody(workspace: Workspace) -> dict[str, Member]:
    """A member of each role in our workspace, in no team."""
    return {role: make_member(workspace, f"member-{role}", role) for role in Role.values}
