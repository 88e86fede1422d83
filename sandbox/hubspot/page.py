"""What a person would see in the CRM: contacts, the WhatsApp files tied to them, and the bytes that hang on those."""

from __future__ import annotations

from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from acervo.crms.fields import MEDIA_FIELDS
from sandbox.hubspot.account import TYPE_IDS, Account
from sandbox.hubspot.records import Record

STYLE = """
:root { color-scheme: light dark; --line: #cbd6e2; --soft: #f5f8fa; --ink: #213343; --mark: #b3402a }
@media (prefers-color-scheme: dark) { :root { --line: #3a4b5c; --soft: #1d2a36; --ink: #e6edf3; --mark: #ff9c85 } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); margin: 0 auto; max-width: 72rem; padding: 1.5rem }
h1 { font-size: 1.3rem } h1 small { font-weight: 400; opacity: .7 }
section { border: 1px solid var(--line); border-radius: 8px; margin: 1rem 0; padding: 1rem; overflow-x: auto }
h2 { font-size: 1.05rem; margin: 0 } p { margin: .25rem 0 .75rem } a { color: var(--mark) }
table { border-collapse: collapse; width: 100% }
th, td { border-top: 1px solid var(--line); padding: .4rem .6rem; text-align: left; vertical-align: top }
th { background: var(--soft); font-weight: 600 } article { border-top: 1px solid var(--line); padding: .5rem 0 }
"""
_COLUMNS = ("title", "kind", "duration_s", "received_at", "tags", "consent", "transcript")


def routes(account: Account) -> list[Route]:
    """The list of contacts, and the address a record link of the product leads to."""

    async def home(request: Request) -> Response:
        return _page(account, account.contacts())

    async def record(request: Request) -> Response:
        type_id, record_id = request.path_params["type_id"], request.path_params["record_id"]
        if type_id == TYPE_IDS["contacts"]:
            shown = [one for one in account.contacts() if one.id == account.merged.get(record_id, record_id)]
        else:
            ids = account.associated(type_id, record_id, TYPE_IDS["contacts"])
            shown = [one for one in account.contacts() if one.id in ids]
        return _page(account, shown, status=200 if shown else 404)

    async def file(request: Request) -> Response:
        found = account.files.by_id.get(request.path_params["file_id"])
        if found is None:
            return Response("No such file.", status_code=404)
        headers = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
        return Response(found.content, media_type=found.content_type, headers=headers)

    return [
        Route("/", home),
        Route("/contacts/{portal}/record/{type_id}/{record_id}", record),
        Route("/files/{portal}/show/{file_id}", file),
    ]


def _page(account: Account, contacts: list[Record], *, status: int = 200) -> Response:
    sections = "".join(_contact(account, contact) for contact in contacts) or "<p>No contacts yet.</p>"
    title = f"Simulated HubSpot <small>account {account.portal_id}</small>"
    return HTMLResponse(
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Simulated HubSpot</title><style>{STYLE}</style></head>"
        f'<body><main><h1><a href="/">{title}</a></h1>{sections}</main></body></html>',
        status_code=status,
    )


def _contact(account: Account, contact: Record) -> str:
    values = contact.values
    name = f"{values.get('firstname', '')} {values.get('lastname', '')}".strip() or "No name"
    phone = values.get("phone") or values.get("mobilephone") or ""
    facts = [
        phone,
        f"WhatsApp {values['wa_phone_e164']}" if values.get("wa_phone_e164") else "",
        f"{values['wa_media_count']} files" if values.get("wa_media_count") else "",
        f"consent {values['wa_consent']}" if values.get("wa_consent") else "",
    ]
    line = " · ".join(escape(fact) for fact in facts if fact)
    return f'<section id="contact-{contact.id}"><h2>{escape(name)}</h2><p>{line}</p>{_media(account, contact)}</section>'


def _media(account: Account, contact: Record) -> str:
    table = "".join(
        _row(account, account.records[type_id][one])
        for type_id in account.schemas
        for one in account.associated(TYPE_IDS["contacts"], contact.id, type_id)
    )
    notes = "".join(
        # Note bodies are html in the CRM as well; what stands in them is the product's responsibility.
        f"<article>{one.values.get('hs_note_body', '')}{_files(account, one)}</article>"
        for one in _notes(account, contact)
    )
    if not table:
        return notes or "<p>No WhatsApp files.</p>"
    labels = {field.name: field.en for field in MEDIA_FIELDS}
    head = "".join(f"<th>{escape(labels[name])}</th>" for name in _COLUMNS)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{table}</tbody></table>{notes}"


def _notes(account: Account, contact: Record) -> list[Record]:
    ids = account.associated(TYPE_IDS["contacts"], contact.id, TYPE_IDS["notes"])
    return [account.records[TYPE_IDS["notes"]][one] for one in ids]


def _row(account: Account, record: Record) -> str:
    values = record.values
    cells = [escape(values.get(f"wa_{name}", "")) for name in _COLUMNS]
    url = values.get("wa_media_url", "")
    if url.startswith(("https://", "http://")):
        cells[0] = f'<a href="{escape(url)}">{cells[0]}</a>'
    cells[0] += _files(account, record)
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _files(account: Account, record: Record) -> str:
    """The bytes themselves, where somebody wants them in the CRM."""
    return "".join(
        f'<p><a href="/files/{account.portal_id}/show/{one.id}">{escape(one.name)}</a> '
        f"{len(one.content):,} bytes, {escape(one.access.lower())}</p>"
        for one in account.files_on(record)
    )
