"""Attachments over the API: hang a file on a record or a note, list them, take one away."""

from __future__ import annotations

from typing import Any

from sandbox.forms import Part
from sandbox.zoho.account import Account
from sandbox.zoho.calls import Answer, Call, listed, success
from sandbox.zoho.files import FILE_LIMIT, REFUSED_ENDINGS, File
from sandbox.zoho.records import Record, Refusal

USER = {"id": "5843104000000280001", "name": "Integração"}
"""Whose access it is that calls come with."""
_HOLDER, _FILE = 1, 3
"""Their places in the address, from the module on."""


def attach(account: Account, call: Call) -> Answer:
    holder = _holder(account, call)
    sent = call.body.get("file") if isinstance(call.body, dict) else None
    if not isinstance(sent, Part) or not sent.file_name or not sent.content:
        raise Refusal("MANDATORY_NOT_FOUND", "required field not found", api_name="file")
    if len(sent.content) > FILE_LIMIT:
        raise Refusal("FILE_SIZE_MORE_THAN_ALLOWED_SIZE", "the file is out of the range", status=413)
    if sent.file_name.lower().endswith(REFUSED_ENDINGS):
        raise Refusal("INVALID_DATA", "files like this are not allowed", api_name="file", status=415)
    space = account.files.space_bytes
    if space is not None and space < account.files.used_bytes + len(sent.content):
        raise Refusal("LIMIT_EXCEEDED", "no space is left for files")
    one = account.add_file(holder.id, sent.file_name, sent.content, sent.type)
    at = account.moment(one.created_at)
    details = {"id": one.id, "Created_Time": at, "Created_By": USER, "Modified_Time": at, "Modified_By": USER}
    return 200, {"data": [success(details, "attachment uploaded successfully")]}


def list_files(account: Account, call: Call) -> Answer:
    """The newest first."""
    holder = _holder(account, call)
    if "fields" not in call.query:
        raise Refusal("REQUIRED_PARAM_MISSING", "a parameter is missing", param_name="fields")
    names = call.query["fields"].split(",")
    rows = [_row(one, names) for one in reversed(account.files.on(holder))]
    return listed(rows, int(call.query.get("page", 1)))


def detach(account: Account, call: Call) -> Answer:
    holder = _holder(account, call)
    if not account.files.may_delete:
        raise Refusal("AUTHORIZATION_FAILED", "the user may not delete attachments")
    there = (one for one in account.files.on(holder) if one.id == call.path["file_id"])
    one = next(there, None)
    if one is None:
        raise Refusal("INVALID_DATA", "the related id given seems to be invalid", resource_path_index=_FILE)
    if not account.files.are_let_go:
        raise Refusal("INVALID_DATA", "record not deleted", resource_path_index=_FILE)
    one.deleted_at = account.clock()
    return 200, {"data": [success({"id": one.id}, "record deleted")]}


def _holder(account: Account, call: Call) -> Record:
    module = account.module(call.path["module"]).api_name
    record = account.records[module].get(call.path["record_id"])
    if record is None or not record.is_live:
        raise Refusal("INVALID_DATA", "the related id given seems to be invalid", resource_path_index=_HOLDER)
    return record


def _row(one: File, names: list[str]) -> dict[str, Any]:
    row = {"File_Name": one.name, "Size": str(len(one.content)), "Parent_Id": {"id": one.holder.id}}
    return {"id": one.id, **{name: row[name] for name in names if name in row}}
