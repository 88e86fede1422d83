"""The tickets of the simulated account: internal notes that cannot be changed, only blacked out."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.hubspot.limits import Window
from sandbox.zendesk.calls import Refusal, invalid, moment, not_found
from sandbox.zendesk.files import File, Files

STATUSES = ("new", "open", "pending", "hold", "solved", "closed")
_REDACT = re.compile(r"<redact>(.*?)</redact>", re.DOTALL)
_LINK = re.compile(r"<a (?=href)")


@dataclass(eq=False)
class Comment:
    id: int
    html: str
    is_public: bool
    at: float
    files: list[File] = field(default_factory=list)


@dataclass(eq=False)
class Ticket:
    id: int
    requester_id: int
    subject: str
    status: str
    created_at: float
    updated_at: float
    external_id: str | None = None
    tags: list[str] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)


class Desk:
    """`per_ticket` changes in ten minutes are taken of one user at one ticket."""

    def __init__(self, clock: Callable[[], float], *, has_hold: bool = True, per_ticket: int = 30) -> None:
        self.tickets: dict[int, Ticket] = {}
        self.files = Files(clock)
        self.has_hold = has_hold
        self.has_workspace = True
        """Whether comments can be redacted by parts: the Agent Workspace."""
        self.windows: dict[int, Window] = {}
        self._clock = clock
        self._per_ticket = per_ticket
        self._last_id = 1000

    def add(self, requester_id: int, subject: str, *, status: str = "open", **more: Any) -> Ticket:
        """Raises Refusal 422 for a status this account does not have."""
        if status not in STATUSES or (status == "hold" and not self.has_hold):
            raise invalid("status", "InvalidValue", f"Status: {status} is not included in the list")
        now = self._clock()
        ticket = Ticket(self._next_id(), requester_id, subject, status, now, now, **more)
        self.tickets[ticket.id] = ticket
        return ticket

    def get(self, ticket_id: int) -> Ticket:
        if ticket_id not in self.tickets:
            raise not_found()
        return self.tickets[ticket_id]

    def update(self, ticket: Ticket, changes: Mapping[str, Any]) -> Comment | None:
        """The comment it made. Raises Refusal 409 when the ticket changed since the stamp, 422 when it is closed, 429
        when it is too often."""
        if changes.get("safe_update") and changes.get("updated_stamp") != moment(ticket.updated_at):
            raise Refusal(409, {"error": "UpdateConflict", "description": "Safe Update prevented the update"})
        _expect_open(ticket)
        window = self.windows.setdefault(ticket.id, Window(self._per_ticket, 600.0, self._clock))
        if not window.admit():
            raise Refusal(
                429,
                {"error": "APIRateLimitExceeded", "description": "Too many updates", "wait_s": window.wait_s},
            )
        ticket.tags += [tag for tag in changes.get("additional_tags", ()) if tag not in ticket.tags]
        if "status" in changes:
            ticket.status = changes["status"]
        made = self.comment(ticket, changes["comment"]) if "comment" in changes else None
        ticket.updated_at = self._clock()
        return made

    def comment(self, ticket: Ticket, body: Mapping[str, Any]) -> Comment:
        html = str(body.get("html_body") or body.get("body") or "")
        if len(html.encode()) > 65_536:
            raise invalid("comment", "TooLong", "Comment: is too long")
        shown = f'<div class="zd-comment" dir="auto">{_LINK.sub(_NOFOLLOW, html)}</div>'
        files = self.files.take(body.get("uploads", ()))
        comment = Comment(self._next_id(), shown, bool(body.get("public", True)), self._clock(), files)
        ticket.comments.append(comment)
        return comment

    def redact(
        self, ticket: Ticket, comment_id: int, html: str | None, keys: Collection[str] = ()
    ) -> Comment:
        """What stands in `<redact>` becomes black, and the files with these keys are emptied, on closed tickets too.
        Raises Refusal for a text that is not this comment's."""
        comment = _comment(ticket, comment_id)
        if html is not None and re.sub(r"</?redact>", "", html) != comment.html:
            raise invalid("html_body", "InvalidValue", "html_body does not match the comment")
        if html is not None:
            comment.html = _REDACT.sub(lambda found: "▇" * len(found[1]), html)
        comment.files = [self.files.emptied() if one.key in keys else one for one in comment.files]
        return comment

    def redact_file(self, ticket: Ticket, comment_id: int, file_id: int) -> File:
        """The empty one that stands there now. Raises Refusal 422 when the ticket is closed."""
        comment = _comment(ticket, comment_id)
        place = next((n for n, one in enumerate(comment.files) if one.id == file_id), None)
        if place is None:
            raise not_found()
        _expect_open(ticket)
        comment.files[place] = self.files.emptied()
        return comment.files[place]

    def requested_by(self, user_id: int) -> list[Ticket]:
        found = [one for one in self.tickets.values() if one.requester_id == user_id]
        return sorted(found, key=lambda one: (one.updated_at, one.id), reverse=True)

    def as_json(self, ticket: Ticket, base: str) -> dict[str, Any]:
        return {
            "id": ticket.id,
            "url": f"{base}/api/v2/tickets/{ticket.id}.json",
            "external_id": ticket.external_id,
            "subject": ticket.subject,
            "status": ticket.status,
            "requester_id": ticket.requester_id,
            "tags": list(ticket.tags),
            "created_at": moment(ticket.created_at),
            "updated_at": moment(ticket.updated_at),
        }

    def comment_as_json(self, comment: Comment, base: str) -> dict[str, Any]:
        return {
            "id": comment.id,
            "type": "Comment",
            "html_body": comment.html,
            "plain_body": re.sub(r"<[^>]+>", " ", comment.html),
            "public": comment.is_public,
            "attachments": [one.as_json(base) for one in comment.files],
            "created_at": moment(comment.at),
        }

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id


def _comment(ticket: Ticket, comment_id: int) -> Comment:
    found = next((one for one in ticket.comments if one.id == comment_id), None)
    if found is None:
        raise not_found()
    return found


def _expect_open(ticket: Ticket) -> None:
    if ticket.status == "closed":
        raise invalid("status", "InvalidValue", "Status: closed prevents ticket update")


_NOFOLLOW = '<a target="_blank" rel="nofollow noreferrer" '
"""What Zendesk's sanitiser puts into links."""
