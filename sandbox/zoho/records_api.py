"""Records over the API: read, upsert, create, change, delete, related lists, the recycle bin."""

from __future__ import annotations

from typing import Any

from sandbox.zoho.account import Account
from sandbox.zoho.calls import Answer, Call, each, listed, record_json, success
from sandbox.zoho.records import Record, Refusal

BATCH = 100


def read(account: Account, call: Call) -> Answer:
    records = account.records[account.module(call.path["module"]).api_name]
    ids = call.query.get("ids", "").split(",")
    if len(ids) > BATCH:
        raise Refusal("LIMIT_EXCEEDED", "more than the allowed number of ids", api_name="ids")
    found = [records[one] for one in ids if one in records and records[one].is_live]
    return listed([record_json(account, one, _names(call)) for one in found])


def related(account: Account, call: Call) -> Answer:
    module, record_id, wanted = call.path["module"], call.path["record_id"], call.path["list"]
    rows = [
        record_json(account, one, _names(call))
        for one in account.records[account.module(wanted).api_name].values()
        if one.is_live and _belongs(account, one, module, record_id)
    ]
    return listed(rows, int(call.query.get("page", 1)))


def upsert(account: Account, call: Call) -> Answer:
    """By the unique field that is named; without one Zoho would take the e-mail address first."""
    module = account.module(call.path["module"])
    keys = call.body["duplicate_check_fields"]
    if any(key not in module.fields or not module.fields[key].is_unique for key in keys):
        raise Refusal("INVALID_DATA", "the field is not unique", api_name="duplicate_check_fields")

    def write(row: Any) -> dict[str, Any]:
        held = (account.by_unique(module.api_name, key, row[key]) for key in keys if row.get(key))
        there = next((one for one in held if one), None)
        return {"id": account.write(module.api_name, there.id if there else None, row).id}

    return _written(account, call, each(call, "data", BATCH, write))


def create(account: Account, call: Call) -> Answer:
    module = call.path["module"]
    answer = each(call, "data", BATCH, lambda row: {"id": account.write(module, None, row).id}, good=201)
    return _written(account, call, answer)


def update(account: Account, call: Call) -> Answer:
    module = call.path["module"]

    def write(row: Any) -> dict[str, Any]:
        values = {name: value for name, value in row.items() if name != "id"}
        return {"id": account.write(module, row["id"], values).id}

    return _written(account, call, each(call, "data", BATCH, write))


def delete(account: Account, call: Call) -> Answer:
    def drop(record_id: Any) -> dict[str, Any]:
        account.live(call.path["module"], record_id).deleted_at = account.clock()
        return {"id": record_id}

    ids = Call("DELETE", call.path, body={"data": call.query["ids"].split(",")})
    return each(ids, "data", BATCH, drop)


def purge(account: Account, call: Call) -> Answer:
    record_id = call.path["record_id"]
    account.purge(record_id)
    return 200, {"recycle_bin": [success({"id": record_id})]}


def _belongs(account: Account, one: Record, module: str, record_id: str) -> bool:
    if one.module == "Campaigns":
        return (one.id, record_id) in account.members
    parent = one.values.get("Parent_Id")
    if parent:
        return bool(parent["id"] == record_id and parent["module"]["api_name"] == module)
    fields = account.module(one.module).fields.values()
    ties = (one.values.get(f.api_name) for f in fields if f.to_module == module)
    return any(tie and tie["id"] == record_id for tie in ties)


def _written(account: Account, call: Call, answer: Answer) -> Answer:
    account.traffic.spend(len(call.body["data"]) - 1)
    return answer


def _names(call: Call) -> list[str]:
    return [name for name in call.query.get("fields", "").split(",") if name]
