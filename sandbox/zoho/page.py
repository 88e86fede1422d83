"""What a person would see in the CRM: contacts, and the WhatsApp files tied to them."""

from __future__ import annotations

from html import escape
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from sandbox.hubspot.page import STYLE
from sandbox.zoho.account import Account
from sandbox.zoho.records import Record

_COLUMNS = ("Name", "WA_Kind", "WA_Duration_S", "WA_Received_At", "WA_Tags", "WA_Consent", "WA_Transcript")


def routes(account: Account) -> list[Route]:
    """The list of contacts, and the address a record link of the product leads to."""

    async def home(request: Request) -> Response:
        return _page(account, account.contacts())

    async def record(request: Request) -> Response:
        record_id = request.path_params["record_id"]
        shown = [
            one
            for one in account.contacts()
            if record_id == one.id or record_id in {file.id for file in _files(account, one)}
        ]
        return _page(account, shown, status=200 if shown else 404)

    async def file(request: Request) -> Response:
        """Never shown in the page itself: it is what a stranger sent."""
        one = account.files.held.get(request.path_params["file_id"])
        if one is None or one not in account.files.on(one.holder):
            return Response(status_code=404)
        headers = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
        return Response(one.content, media_type=one.content_type, headers=headers)

    return [
        Route("/", home),
        Route("/crm/org{org_id}/tab/{tab}/{record_id}", record),
        Route("/crm/org{org_id}/files/{file_id}", file),
    ]


def _page(account: Account, contacts: list[Record], *, status: int = 200) -> Response:
    sections = "".join(_contact(account, one) for one in contacts) or "<p>No contacts yet.</p>"
    return HTMLResponse(
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Simulated Zoho CRM</title><style>{STYLE}</style></head>"
        f'<body><main><h1><a href="/">Simulated Zoho CRM <small>organisation {account.org_id}</small></a></h1>'
        f"{sections}</main></body></html>",
        status_code=status,
    )


def _contact(account: Account, contact: Record) -> str:
    values = contact.values
    name = f"{values.get('First_Name') or ''} {values.get('Last_Name') or ''}".strip()
    facts = [
        values.get("Phone") or values.get("Mobile"),
        values.get("WA_Phone_E164"),
        values.get("WA_Consent"),
    ]
    line = " · ".join(escape(str(fact)) for fact in facts if fact)
    rows = "".join(_row(account, file) for file in _files(account, contact)) or "<p>No WhatsApp files.</p>"
    return f'<section id="contact-{contact.id}"><h2>{escape(name)}</h2><p>{line}</p>{rows}</section>'


def _files(account: Account, contact: Record) -> list[Record]:
    return [
        one
        for records in account.records.values()
        for one in records.values()
        if one.is_live and contact.id in _tied(one.values)
    ]


def _tied(values: dict[str, Any]) -> set[str]:
    return {tie["id"] for tie in (values.get("WA_Contact"), values.get("Parent_Id")) if tie}


def _row(account: Account, record: Record) -> str:
    values, attached = record.values, _attached(account, record)
    if content := values.get("Note_Content"):
        title = escape(str(values.get("Note_Title") or ""))
        text = escape(content).replace(chr(10), "<br>")
        return f"<article><strong>{title}</strong><br>{text}{attached}</article>"
    url, cells = (
        str(values.get("WA_Media_URL") or ""),
        [escape(str(values.get(one) or "")) for one in _COLUMNS],
    )
    if url.startswith(("https://", "http://")):
        cells[0] = f'<a href="{escape(url)}">{cells[0]}</a>'
    return f"<article>{' · '.join(cell for cell in cells if cell)}{attached}</article>"


def _attached(account: Account, record: Record) -> str:
    rows = (
        f'<li><a href="/crm/org{account.org_id}/files/{one.id}">{escape(one.name)}</a>'
        f" · {escape(one.content_type)} · {len(one.content):,} bytes</li>"
        for one in account.files.on(record)
    )
    listed = "".join(rows)
    return f"<ul>{listed}</ul>" if listed else ""
