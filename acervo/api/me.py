"""The token itself: what it may do, and for whom."""

from __future__ import annotations

from ninja import Router

from acervo.api.access import ApiRequest, needs
from acervo.api.shapes import Moment, Shape, Ulid

router = Router(tags=["token"])


class Token(Shape):
    id: Ulid
    name: str
    scopes: list[str]
    role: str
    workspace: str
    made_at: Moment
    expires_at: Moment | None


@router.get("", auth=needs(None), response=Token, summary="This token", operation_id="me")
def me(request: ApiRequest) -> Token:
    """What the token in use may do: the first thing to ask when something is refused."""
    token, member = request.auth.token, request.auth.member
    return Token(
        id=token.pk,
        name=token.name,
        scopes=sorted(token.scopes),
        role=member.role,
        workspace=token.workspace.name,
        made_at=token.made_at,
        expires_at=token.expires_at,
    )
