"""WhatsApp numbers and CRMs: whether they are well. No secrets, and nothing to change."""

from __future__ import annotations

from typing import Any, Self

from django.shortcuts import get_object_or_404
from ninja import Router

from acervo import models
from acervo.api.access import ApiRequest, needs
from acervo.api.shapes import USUAL, After, Limit, Moment, Page, Shape, Ulid, newest_first
from acervo.models import Ability, Purpose, Scope
from acervo.web import words

router = Router(tags=["connections"])
READ = needs(Scope.CONNECTIONS_READ, Ability.OPERATE)


class Connection(Shape):
    """A WhatsApp number, or an account at a CRM."""

    id: Ulid
    purpose: Purpose
    kind: str
    """Such as `meta_cloud` or `hubspot`."""
    name: str
    account: str
    """How the vendor calls it."""
    state: str
    """live, waiting (nothing came yet), resting (after refusals), or paused."""
    why: str
    """Why it is paused, in words."""
    last_event_at: Moment | None
    last_success_at: Moment | None
    checked_at: Moment | None
    check: str | None
    """What the vendor last answered when asked whether the account is well: `ok`, or a code."""

    @classmethod
    def of(cls, row: models.Connection) -> Self:
        is_crm = row.purpose == Purpose.CRM
        return cls(
            id=row.pk,
            purpose=Purpose(row.purpose),
            kind=row.kind,
            name=row.name,
            account=row.account_id,
            state=row.state,
            why=str(words.pause_reason(row.pause_reason, is_crm=is_crm)) if row.paused_at else "",
            last_event_at=row.last_event_at,
            last_success_at=row.last_success_at,
            checked_at=row.checked_at,
            check=row.check_code,
        )


@router.get(
    "", auth=READ, response=Page[Connection], summary="List connections", operation_id="list_connections"
)
def list_connections(
    request: ApiRequest, purpose: Purpose | None = None, limit: Limit = USUAL, after: After = ""
) -> Any:
    """The newest first; those that were removed are not listed."""
    found = models.Connection.objects.visible_to(request.auth.member).filter(removed_at=None)
    if purpose:
        found = found.filter(purpose=purpose)
    return newest_first(found, Connection.of, after=after, limit=limit)


@router.get(
    "/{connection}", auth=READ, response=Connection, summary="One connection", operation_id="get_connection"
)
def get_connection(request: ApiRequest, connection: Ulid) -> Connection:
    found = models.Connection.objects.visible_to(request.auth.member).filter(removed_at=None)
    return Connection.of(get_object_or_404(found, pk=connection))
