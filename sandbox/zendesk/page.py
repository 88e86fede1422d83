"""What an agent would see in Zendesk: customers, their WhatsApp files, and the internal notes on their tickets."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from acervo.crms.fields import MEDIA_FIELDS
from sandbox.zendesk.account import MEDIA, Account
from sandbox.zendesk.desk import Ticket
from sandbox.zendesk.files import File
from sandbox.zendesk.objects import Record
from sandbox.zendesk.people import User

_STYLE = """
:root { color-scheme: light dark; --line: #cdd6d4; --soft: #f3f7f6; --ink: #03363d; --mark: #17695c }
@media (prefers-color-scheme: dark) { :root { --line: #3a4b4a; --soft: #1c2928; --ink: #e4eeec; --mark: #7fd1c2 } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); margin: 0 auto; max-width: 72rem; padding: 1.5rem }
h1 { font-size: 1.3rem } section { border: 1px solid var(--line); border-radius: 8px; margin: 1rem 0; padding: 1rem; overflow-x: auto }
h2 { font-size: 1.05rem; margin: 0 } p { margin: .25rem 0 .75rem } a { color: var(--mark) }
table { border-collapse: collapse; width: 100% }
th, td { border-top: 1px solid var(--line); padding: .4rem .6rem; text-align: left; vertical-align: top }
th { background: var(--soft); font-weight: 600 } article { border-top: 1px solid var(--line); padding: .5rem 0 }
"""
_COLUMNS = ("title", "kind", "duration_s", "received_at", "tags", "consent", "transcript")


def routes(account: Account) -> list[Route]:
    """The list of customers, and the addresses that record links of the product lead to."""

    async def home(request: Request) -> Response:
        return _page(account, _live(account))

    async def user(request: Request) -> Response:
        return _of(account, {request.path_params["user_id"]})

    async def ticket(request: Request) -> Response:
        found = account.desk.tickets.get(request.path_params["ticket_id"])
        return _of(account, {found.requester_id} if found else set())

    async def record(request: Request) -> Response:
        one = account.objects.objects.get(MEDIA)
        found = one.records.get(request.path_params["record_id"]) if one else None
        return _of(account, {int(found.values.get("contact") or 0)} if found else set())

    async def content(request: Request) -> Response:
        key = request.path_params["key"]
        found = next((file for file in _files(account) if file.key == key), None)
        if found is None:
            return Response(status_code=404)
        headers = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
        return Response(found.content, media_type=found.type, headers=headers)

    return [
        Route("/", home),
        Route("/attachments/token/{key}/", content),
        Route("/agent", home),
        Route("/agent/users/{user_id:int}", user),
        Route("/agent/tickets/{ticket_id:int}", ticket),
        Route(f"/agent/custom-objects/{MEDIA}/records/{{record_id}}", record),
    ]


def _files(account: Account) -> Iterator[File]:
    """Those an agent sees: an upload that hangs on nothing is not among them."""
    for ticket in account.desk.tickets.values():
        for comment in ticket.comments:
            yield from comment.files


def _live(account: Account) -> list[User]:
    return [user for user in account.people.users.values() if user.is_active]


def _of(account: Account, user_ids: set[int]) -> Response:
    shown = [user for user in _live(account) if user.id in user_ids]
    return _page(account, shown, status=200 if shown else 404)


def _page(account: Account, users: list[User], *, status: int = 200) -> Response:
    sections = "".join(_user(account, user) for user in users) or "<p>No customers yet.</p>"
    return HTMLResponse(
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Simulated Zendesk</title><style>{_STYLE}</style></head>"
        f'<body><main><h1><a href="/">Simulated Zendesk</a></h1>{sections}</main></body></html>',
        status_code=status,
    )


def _user(account: Account, user: User) -> str:
    fields = user.user_fields
    facts = [
        user.phone or "",
        f"WhatsApp {fields['wa_phone_e164']}" if fields.get("wa_phone_e164") else "",
        f"{fields['wa_media_count']} files" if fields.get("wa_media_count") else "",
    ]
    line = " · ".join(escape(fact) for fact in facts if fact)
    tickets = "".join(_ticket(ticket) for ticket in account.desk.requested_by(user.id))
    return (
        f'<section id="user-{user.id}"><h2>{escape(user.name)}</h2><p>{line}</p>'
        f"{_media(account, user)}{tickets}</section>"
    )


def _media(account: Account, user: User) -> str:
    one = account.objects.objects.get(MEDIA)
    found = [record for record in one.records.values() if _is_of(record, user)] if one else []
    if not found:
        return ""
    labels = {field.name: field.en for field in MEDIA_FIELDS}
    head = "".join(f"<th>{escape(labels[name])}</th>" for name in _COLUMNS)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(map(_row, found))}</tbody></table>"


def _is_of(record: Record, user: User) -> bool:
    return str(record.values.get("contact")) == str(user.id)


def _row(record: Record) -> str:
    cells = [escape(str(record.values.get(name) or "")) for name in _COLUMNS]
    cells[0] = escape(record.name)
    url = str(record.values.get("media_url") or "")
    if url.startswith(("https://", "http://")):
        cells[0] = f'<a href="{escape(url)}">{cells[0]}</a>'
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _ticket(ticket: Ticket) -> str:
    # Comments are html in Zendesk as well; what stands in them is the product's responsibility.
    comments = "".join(
        f"<article>{comment.html}{''.join(map(_file, comment.files))}</article>"
        for comment in ticket.comments
    )
    return f"<h3>#{ticket.id} {escape(ticket.subject)} ({escape(ticket.status)})</h3>{comments}"


def _file(file: File) -> str:
    facts = f"{escape(file.type)}, {len(file.content):,} bytes"
    return f'<p>📎 <a href="{escape(file.url(""))}">{escape(file.name)}</a> ({facts})</p>'
