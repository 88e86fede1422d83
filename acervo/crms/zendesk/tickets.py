"""Tickets of a customer: which of them a file belongs on, offered to people, and how something is added to one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from acervo.crms.contract import CrmError, CrmErrorKind, RelatedRef
from acervo.crms.fields import CHOICE_LABELS, choice_label
from acervo.crms.zendesk.api import Api, Json
from acervo.crms.zendesk.records import Records
from acervo.crms.zendesk.schema import OBJECT_LABEL

TAG = "whatsapp_media"
OWN_PREFIX = "wa-media:"
"""What the `external_id` of a ticket of ours begins with."""
OWN_STATUSES = ("hold", "pending")
"""A ticket of ours is nobody's next task. On-hold may be switched off in an account; then the next one is taken."""
LOOKED_IN = 6
_TEXT = re.compile(r"(?<=>)([^<>]+)(?=<)")
_OVER = frozenset({"solved", "closed"})


@dataclass(frozen=True, slots=True)
class Found:
    """A customer's tickets as far as files may be on them."""

    to_look_in: Sequence[Json]
    """Where a file may have been written already."""
    chosen: Json | None
    """Where a new one goes; None: onto a new ticket of ours."""


async def of(api: Api, user_id: str) -> Found:
    """A customer with exactly one unsolved ticket is talking about that one. With none or several nobody is
    guessed: the files are gathered on a ticket of ours."""
    rows = await api.requested_tickets(user_id)
    own = [row for row in rows if _is_own(row) and not is_closed(row)]
    unsolved = [row for row in rows if row.get("status") not in _OVER and not _is_own(row)]
    candidates = unsolved if len(unsolved) == 1 else own
    return Found([*own, *unsolved][:LOOKED_IN], candidates[0] if candidates else None)


async def related(api: Api, records: Records, user_id: str) -> Sequence[RelatedRef]:
    """Open ones first; ours are not among them."""
    rows = [row for row in await api.requested_tickets(user_id) if not _is_own(row)]
    found = [
        RelatedRef(
            records.ref("ticket", str(row["id"])),
            title=str(row.get("subject") or ""),
            is_open=row.get("status") not in _OVER,
        )
        for row in rows
    ]
    return sorted(found, key=lambda one: not one.is_open)


async def create(api: Api, user_id: str, html: str | None) -> Json:
    """A ticket of ours. Its first comment is internal, so the customer hears nothing of it."""
    body = html or f"<p>{OBJECT_LABEL}</p>"
    ticket: dict[str, Any] = {
        "subject": OBJECT_LABEL,
        "requester_id": int(user_id),
        "external_id": OWN_PREFIX + user_id,
        "tags": [TAG],
        "comment": {"html_body": body, "public": False},
    }
    for status in OWN_STATUSES[:-1]:
        try:
            return await api.create_ticket({**ticket, "status": status})
        except CrmError as error:
            if error.kind is not CrmErrorKind.VALIDATION:
                raise
    return await api.create_ticket({**ticket, "status": OWN_STATUSES[-1]})


async def comment(api: Api, ticket: Json, html: str) -> Json:
    """An internal note. Raises CrmError CONFLICT when the ticket changed since it was read: what was looked for and
    not found may be there by now."""
    return await api.update_ticket(str(ticket["id"]), _noted(ticket, html))


async def attach(api: Api, ticket: Json, html: str, token: str) -> Sequence[Json]:
    """`comment`, with an uploaded file on it; the comment it made, where Zendesk tells it."""
    return await api.add_comment(str(ticket["id"]), _noted(ticket, html, uploads=[token]))


async def point_to(
    api: Api, ticket_id: str, values: Mapping[str, str | None], media_id: str, language: str
) -> bool:
    """On a ticket that somebody tied a file to: a note with nothing but what it is and where it opens, once. False
    for a closed ticket, which takes no notes."""
    ticket = await api.ticket(ticket_id)
    marks = (f"wa-link:{media_id}", f"wa-media:{media_id}")
    bodies = [str(row.get("html_body") or "") for row in await api.comments(ticket_id)]
    if any(mark in body for mark in marks for body in bodies):
        return True
    if is_closed(ticket):
        return False
    kind = values.get("kind") or "document"
    label = choice_label(kind, language) if kind in CHOICE_LABELS else OBJECT_LABEL
    link = f'<a href="{escape(values.get("url") or "")}">{escape(label)}</a>'
    try:
        await comment(api, ticket, f"<p>WhatsApp: {link}</p><p>{marks[0]}</p>")
    except CrmError as error:
        if error.kind is CrmErrorKind.CONFLICT:
            error.kind = CrmErrorKind.LOCKED  # looked for again when it is tried again
        raise
    return True


async def take_back(api: Api, ticket_id: str, media_id: str) -> None:
    """What `point_to` wrote is blacked out, as far as the account lets us: it tells nothing but that there was a
    file."""
    try:
        for row in await api.comments(ticket_id):
            html = str(row.get("html_body") or "")
            if f"wa-link:{media_id}" in html:
                await api.redact_comment(str(row["id"]), ticket_id, blacked_out(html))
    except CrmError as error:
        if error.kind not in {CrmErrorKind.FORBIDDEN, CrmErrorKind.NOT_FOUND}:
            raise


def blacked_out(html: str) -> str:
    """All text of a piece of html, marked to be removed for good."""
    return _TEXT.sub(r"<redact>\1</redact>", html)


def is_closed(ticket: Json) -> bool:
    """Nothing can be added to a closed ticket."""
    return ticket.get("status") == "closed"


def _noted(ticket: Json, html: str, **more: Any) -> dict[str, Any]:
    return {
        "comment": {"html_body": html, "public": False, **more},
        "additional_tags": [TAG],
        "safe_update": True,
        "updated_stamp": ticket.get("updated_at"),
    }


def _is_own(ticket: Json) -> bool:
    return str(ticket.get("external_id") or "").startswith(OWN_PREFIX)
