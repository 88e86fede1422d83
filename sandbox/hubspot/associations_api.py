"""Ties between records over the API: default associations only, the kind that needs no type id."""

from __future__ import annotations

from typing import Any

from sandbox.hubspot.account import TYPE_IDS, Account
from sandbox.hubspot.calls import Answer, Call, batch_json, item_error
from sandbox.hubspot.records import Refusal

_NOTE_TYPES = {"0-1": 202, "0-3": 214, "0-5": 228}


def list_(account: Account, call: Call) -> Answer:
    object_type = call.path["object_type"]
    record = account.live(object_type, call.path["record_id"])
    to_type = account.type_id(call.path["to_type"])
    ids = account.associated(account.type_id(object_type), record.id, to_type)
    start, limit = int(call.query.get("after", 0)), min(int(call.query.get("limit", 500)), 500)
    page: dict[str, Any] = {
        "results": [
            {
                "toObjectId": int(one),
                "associationTypes": [{"category": "HUBSPOT_DEFINED", "typeId": 1, "label": None}],
            }
            for one in ids[start : start + limit]
        ]
    }
    if start + limit < len(ids):
        page["paging"] = {"next": {"after": str(start + limit), "link": "?after=" + str(start + limit)}}
    return 200, page


def default(account: Account, call: Call) -> Answer:
    tie = _tie(
        account, call.path["from_type"], call.path["from_id"], call.path["to_type"], call.path["to_id"]
    )
    return batch_json(account, [tie])


def remove(account: Account, call: Call) -> Answer:
    from_type, to_type = account.type_id(call.path["from_type"]), account.type_id(call.path["to_type"])
    account.dissociate(from_type, call.path["from_id"], to_type, call.path["to_id"])
    return 204, None


def batch_default(account: Account, call: Call) -> Answer:
    results, errors = [], []
    for entry in call.inputs:
        from_id, to_id = entry["from"]["id"], entry["to"]["id"]
        try:
            results.append(_tie(account, call.path["from_type"], from_id, call.path["to_type"], to_id))
        except Refusal as refusal:
            errors.append(item_error(refusal, {"fromObjectId": [from_id], "toObjectId": [to_id]}))
    return batch_json(account, results, errors)


def _tie(account: Account, from_name: str, from_id: str, to_name: str, to_id: str) -> dict[str, Any]:
    from_type, to_type = account.type_id(from_name), account.type_id(to_name)
    account.associate(from_type, from_id, to_type, to_id)
    type_id = _NOTE_TYPES.get(to_type, 1) if from_type == TYPE_IDS["notes"] else 1
    return {
        "from": {"id": from_id},
        "to": {"id": to_id},
        "fromObjectTypeId": from_type,
        "toObjectTypeId": to_type,
        "associationSpec": {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": type_id},
    }
