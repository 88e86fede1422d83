"""Files over the API: uploaded, forgotten, redacted."""

from __future__ import annotations

from sandbox.zendesk.account import Account
from sandbox.zendesk.calls import Answer, Call, forbidden, invalid


def upload(account: Account, call: Call) -> Answer:
    if not account.takes_uploads:
        raise forbidden()
    name = call.query.get("filename", "")
    if not name:
        raise invalid("filename", "BlankValue", "Filename: cannot be blank")
    token, file = account.desk.files.upload(name, call.content_type, call.content)
    shown = file.as_json(call.base)
    return 201, {"upload": {"token": token, "attachment": shown, "attachments": [shown]}}


def delete_upload(account: Account, call: Call) -> Answer:
    account.desk.files.drop(call.path["token"])
    return 204, None


def redact_attachment(account: Account, call: Call) -> Answer:
    ticket_id, comment_id, attachment_id = (
        int(call.path[name]) for name in ("ticket_id", "comment_id", "attachment_id")
    )
    ticket = account.desk.get(ticket_id)
    emptied = account.desk.redact_file(ticket, comment_id, attachment_id)
    return 200, {"attachment": emptied.as_json(call.base)}
