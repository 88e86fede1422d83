"""Tickets, their comments and redaction over the API."""

from __future__ import annotations

from urllib.parse import urlsplit

from sandbox.zendesk.account import Account
from sandbox.zendesk.calls import Answer, Call, Refusal, forbidden, invalid, page_of


def requested(account: Account, call: Call) -> Answer:
    account.people.live(int(call.path["user_id"]))
    found = account.desk.requested_by(int(call.path["user_id"]))[: int(call.query.get("per_page", 100))]
    tickets = [account.desk.as_json(ticket, call.base) for ticket in found]
    return 200, {"tickets": tickets, "count": len(tickets), "next_page": None}


def create(account: Account, call: Call) -> Answer:
    body = call.part("ticket")
    requester = account.people.users.get(int(body["requester_id"]))
    if requester is None or not requester.is_active:
        raise invalid("requester", "BlankValue", "Requester: is not a user")
    ticket = account.desk.add(
        requester.id,
        body["subject"],
        status=body.get("status", "new"),
        external_id=body.get("external_id"),
        tags=list(body.get("tags", ())),
    )
    account.desk.comment(ticket, body["comment"])
    return 201, {"ticket": account.desk.as_json(ticket, call.base)}


def read(account: Account, call: Call) -> Answer:
    return 200, {"ticket": account.desk.as_json(account.desk.get(int(call.path["ticket_id"])), call.base)}


def update(account: Account, call: Call) -> Answer:
    if not account.ticket_updates.admit():
        body = {"error": "APIRateLimitExceeded", "description": "Too many ticket updates"}
        raise Refusal(429, {**body, "wait_s": account.ticket_updates.wait_s})
    ticket = account.desk.get(int(call.path["ticket_id"]))
    made = account.desk.update(ticket, call.part("ticket"))
    events = [account.desk.comment_as_json(made, call.base)] if made else []
    return 200, {"ticket": account.desk.as_json(ticket, call.base), "audit": {"id": 1, "events": events}}


def comments(account: Account, call: Call) -> Answer:
    ticket = account.desk.get(int(call.path["ticket_id"]))
    shown = [account.desk.comment_as_json(comment, call.base) for comment in ticket.comments]
    return page_of(shown, "comments", call.query)


def redact(account: Account, call: Call) -> Answer:
    if not account.desk.has_workspace:
        raise forbidden()
    ticket = account.desk.get(int(call.body["ticket_id"]))
    urls = call.body.get("external_attachment_urls", ())
    keys = {urlsplit(url).path.removesuffix("/").rpartition("/")[2] for url in urls}
    comment = account.desk.redact(ticket, int(call.path["comment_id"]), call.body.get("html_body"), keys)
    return 200, {"comment": account.desk.comment_as_json(comment, call.base)}
