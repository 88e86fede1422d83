"""The files tool over the API: a file in, what lies at a place, a file gone for good."""

from __future__ import annotations

import json

from sandbox.hubspot.account import Account
from sandbox.hubspot.calls import Answer, Call
from sandbox.hubspot.files import as_json
from sandbox.hubspot.records import Refusal


def upload_file(account: Account, call: Call) -> Answer:
    _needs_scope(account)
    if call.form is None:
        raise Refusal(400, "VALIDATION_ERROR", "A multipart form is required")
    sent = call.form["file"]
    fields = {name: part.content.decode() for name, part in call.form.items() if not part.file_name}
    if ("folderPath" in fields) == ("folderId" in fields):
        raise Refusal(400, "VALIDATION_ERROR", "Either folderId or folderPath is required, not both")
    file = account.files.put(
        fields["folderPath"],
        fields.get("fileName") or sent.file_name,
        sent.type,
        sent.content,
        json.loads(fields["options"]),
        at=account.clock(),
    )
    return 201, as_json(file, account.moment(file.created_at))


def stat_file(account: Account, call: Call) -> Answer:
    _needs_scope(account)
    file = account.files.at(f"/{call.path['place']}")
    if file is None:
        raise Refusal(404, "OBJECT_NOT_FOUND", "No file or folder exists at path")
    return 200, {"file": as_json(file, account.moment(file.created_at))}


def erase_file(account: Account, call: Call) -> Answer:
    _needs_scope(account)
    if account.files.by_id.pop(call.path["file_id"], None) is None:
        raise Refusal(404, "OBJECT_NOT_FOUND", "No file exists with this id")
    return 204, None


def _needs_scope(account: Account) -> None:
    if not account.has_files_scope:
        raise Refusal(403, "MISSING_SCOPES", "This app hasn't been granted all required scopes: [files].")
