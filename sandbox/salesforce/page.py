"""What a person would see in the CRM: contacts, and the WhatsApp files that hang on them."""

from __future__ import annotations

from html import escape
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from sandbox.salesforce import content
from sandbox.salesforce.fields import Refusal
from sandbox.salesforce.org import MEDIA, Org, Record

_STYLE = """
:root { color-scheme: light dark; --line: #c9d4e0; --soft: #f3f6fa; --mark: #0b5cab }
@media (prefers-color-scheme: dark) { :root { --line: #3a4b5c; --soft: #1d2a36; --mark: #8fc3ff } }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 72rem; padding: 1.5rem }
section { border: 1px solid var(--line); border-radius: 8px; margin: 1rem 0; padding: 1rem; overflow-x: auto }
h1 { font-size: 1.3rem } h2 { font-size: 1.05rem; margin: 0 } a { color: var(--mark) }
table { border-collapse: collapse; width: 100% } th { background: var(--soft) }
th, td { border-top: 1px solid var(--line); padding: .4rem .6rem; text-align: left; vertical-align: top }
"""
_COLUMNS = ("Kind__c", "Received_At__c", "Tags__c", "Consent__c", "Transcript__c")
_LABELS = ("Name", "Type", "Received", "Tags", "Consent", "Transcript", "Files")


def routes(org: Org) -> list[Route]:
    """The list of contacts, the address a record link of the product leads to, and the files that hang on records."""

    async def home(request: Request) -> Response:
        return _page(org, org.live_of("Contact"))

    async def record(request: Request) -> Response:
        try:
            found = org.find(request.path_params["record_id"])
        except Refusal:
            return _page(org, [], status=404)
        while found.master_id:
            found = org.find(found.master_id)
        contact_id = found.values.get("Contact__c") or found.values.get("WhoId") or found.id
        return _page(org, [one for one in org.live_of("Contact") if one.id == contact_id])

    async def file(request: Request) -> Response:
        version = org.records["ContentVersion"].get(request.path_params["version_id"])
        if version is None or version.is_deleted:
            return _page(org, [], status=404)
        part = org.bytes_of[version.id]
        name = quote(str(version.values["PathOnClient"]))
        headers = {
            "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
            "X-Content-Type-Options": "nosniff",
        }
        return Response(part.content, media_type=part.type, headers=headers)

    return [Route("/", home), Route("/{record_id:str}", record), Route("/files/{version_id:str}", file)]


def _page(org: Org, contacts: list[Record], *, status: int = 200) -> Response:
    sections = "".join(_contact(org, one) for one in contacts) or "<p>No contacts.</p>"
    return HTMLResponse(
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Simulated Salesforce</title><style>{_STYLE}</style></head>"
        f'<body><main><h1><a href="/">Simulated Salesforce</a></h1>{sections}</main></body></html>',
        status_code=status,
    )


def _contact(org: Org, contact: Record) -> str:
    values = contact.values
    name = f"{values.get('FirstName') or ''} {values.get('LastName') or ''}".strip() or "No name"
    facts = [values.get("Phone") or values.get("MobilePhone") or "", values.get("WA_Phone_E164__c") or ""]
    line = " · ".join(escape(fact) for fact in facts if fact)
    return f"<section><h2>{escape(name)}</h2><p>{line}</p>{_files(org, contact)}</section>"


def _files(org: Org, contact: Record) -> str:
    rows = [
        _row(org, one, "Name", prefix="")
        for one in org.live_of(MEDIA)
        if one.values.get("Contact__c") == contact.id
    ] + [
        _row(org, one, "Subject", prefix="WA_")
        for one in org.live_of("Task")
        if one.values.get("WhoId") == contact.id
    ]
    if not rows:
        return "<p>No WhatsApp files.</p>"
    head = "".join(f"<th>{label}</th>" for label in _LABELS)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _row(org: Org, one: Record, title: str, *, prefix: str) -> str:
    shown = escape(str(one.values.get(title) or ""))
    url = str(one.values.get(f"{prefix}Url__c"))
    if url.startswith(("https://", "http://")):
        shown = f'<a href="{escape(url)}">{shown}</a>'
    facts = [escape(str(one.values.get(f"{prefix}{name}") or "")) for name in _COLUMNS]
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in [shown, *facts, _copies(org, one)]) + "</tr>"


def _copies(org: Org, one: Record) -> str:
    return "<br>".join(
        f'<a href="/files/{version.id}">{escape(str(version.values["PathOnClient"]))}</a>'
        f" ({len(part.content):,} bytes)"
        for version, part in content.hanging_on(org, one.id)
    )
