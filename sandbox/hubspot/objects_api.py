"""Records over the API: create, read, change, archive, batches, merges, erasure of a person."""

from __future__ import annotations

from typing import Any

from sandbox.hubspot.account import TYPE_IDS, Account
from sandbox.hubspot.calls import Answer, Call, batch_json, item_error, record_json
from sandbox.hubspot.properties import checked
from sandbox.hubspot.records import Record, Refusal


def create(account: Account, call: Call) -> Answer:
    type_id = account.type_id(call.path["object_type"])
    if type_id == TYPE_IDS["notes"] and not call.body["properties"].get("hs_timestamp"):
        raise Refusal(400, "VALIDATION_ERROR", "Error creating NOTE. Some required properties were not set.")
    wanted = [(row["to"]["id"], row["types"]) for row in call.body.get("associations", [])]
    for to_id, _ in wanted:
        if account.live("contacts", to_id).id != to_id:
            raise Refusal(400, "VALIDATION_ERROR", "One or more associations are not valid")
    record = account.write(type_id, None, call.body["properties"])
    for to_id, types in wanted:
        if any(one["associationTypeId"] != 202 for one in types):
            raise Refusal(400, "VALIDATION_ERROR", "invalid association type")
        account.associate(type_id, record.id, TYPE_IDS["contacts"], to_id)
    return 201, record_json(account, record)


def read(account: Account, call: Call) -> Answer:
    record_id, id_property = call.path["record_id"], call.query.get("idProperty")
    object_type = call.path["object_type"]
    if id_property:
        found = account.by_unique(account.type_id(object_type), id_property, record_id)
        if found is None:
            raise Refusal(404, "OBJECT_NOT_FOUND", "resource not found")
        record_id = found.id
    names = [name for name in call.query.get("properties", "").split(",") if name]
    return 200, record_json(account, account.live(object_type, record_id), names)


def update(account: Account, call: Call) -> Answer:
    object_type = call.path["object_type"]
    record = account.live(object_type, call.path["record_id"])
    account.write(account.type_id(object_type), record.id, call.body["properties"])
    return 200, record_json(account, record)


def archive(account: Account, call: Call) -> Answer:
    account.delete(call.path["object_type"], call.path["record_id"])
    return 204, None


def batch_read(account: Account, call: Call) -> Answer:
    object_type, id_property = call.path["object_type"], call.body.get("idProperty")
    type_id = account.type_id(object_type)
    results, errors = [], []
    for entry in call.inputs:
        try:
            if id_property:
                record = account.by_unique(type_id, id_property, entry["id"])
                if record is None:
                    raise Refusal(404, "OBJECT_NOT_FOUND", "Could not get some objects")
            else:
                record = account.live(object_type, entry["id"])
            results.append(record_json(account, record, call.body["properties"]))
        except Refusal as refusal:
            if refusal.status != 404:
                raise
            errors.append(item_error(refusal, {"ids": [entry["id"]]}))
    return batch_json(account, results, errors)


def batch_upsert(account: Account, call: Call) -> Answer:
    """With a trace id on every input the bad ones are named (207); without, one bad input refuses them all."""
    type_id = account.type_id(call.path["object_type"])
    inputs = call.inputs
    if len({entry["id"] for entry in inputs}) < len(inputs):
        raise Refusal(400, "VALIDATION_ERROR", "Duplicate IDs found in batch input")
    is_traced = account.names_bad_inputs and all(entry.get("objectWriteTraceId") for entry in inputs)
    if not is_traced:
        for entry in inputs:
            checked(account.properties[type_id], entry["properties"])
    results: list[Any] = []
    errors: list[Any] = []
    for place, entry in enumerate(inputs):
        try:
            if call.fails_last_input and place == len(inputs) - 1:
                raise Refusal(500, "INTERNAL_ERROR", "internal error")
            results.append(_upsert(account, type_id, entry))
        except Refusal as refusal:
            if not is_traced:
                raise
            errors.append(item_error(refusal, {"objectWriteTraceId": [entry["objectWriteTraceId"]]}))
    return batch_json(account, results, errors)


def batch_update(account: Account, call: Call) -> Answer:
    """By HubSpot's own ids; with a trace id on every input the bad ones are named (207)."""
    type_id = account.type_id(call.path["object_type"])
    inputs = call.inputs
    if len({entry["id"] for entry in inputs}) < len(inputs):
        raise Refusal(400, "VALIDATION_ERROR", "Duplicate IDs found in batch input")
    is_traced = account.names_bad_inputs and all(entry.get("objectWriteTraceId") for entry in inputs)
    if not is_traced:
        for entry in inputs:
            account.live(type_id, entry["id"])
            checked(account.properties[type_id], entry["properties"])
    results: list[Any] = []
    errors: list[Any] = []
    for place, entry in enumerate(inputs):
        try:
            if call.fails_last_input and place == len(inputs) - 1:
                raise Refusal(500, "INTERNAL_ERROR", "internal error")
            record = account.write(type_id, account.live(type_id, entry["id"]).id, entry["properties"])
            results.append(
                {**record_json(account, record), "objectWriteTraceId": entry.get("objectWriteTraceId")}
            )
        except Refusal as refusal:
            if not is_traced:
                raise
            errors.append(item_error(refusal, {"objectWriteTraceId": [entry["objectWriteTraceId"]]}))
    return batch_json(account, results, errors)


def merge(account: Account, call: Call) -> Answer:
    winner, loser = str(call.body["primaryObjectId"]), str(call.body["objectIdToMerge"])
    account.merge(winner, loser)
    return 200, record_json(account, account.live("contacts", winner))


def gdpr_delete(account: Account, call: Call) -> Answer:
    id_property, value = call.body.get("idProperty"), str(call.body["objectId"])
    if id_property:
        found = account.by_unique(TYPE_IDS["contacts"], id_property, value)
    else:
        found = account.records[TYPE_IDS["contacts"]].get(value)
    if found:
        found.versions.clear()
        found.archived_at = account.clock()
    return 204, None


def _upsert(account: Account, type_id: str, entry: dict[str, Any]) -> dict[str, Any]:
    known: Record | None = account.by_unique(type_id, entry["idProperty"], entry["id"])
    values = {**entry["properties"], entry["idProperty"]: entry["id"]}
    record = account.write(type_id, known.id if known else None, values)
    answer = {**record_json(account, record), "new": known is None}
    if trace_id := entry.get("objectWriteTraceId"):
        answer["objectWriteTraceId"] = trace_id
    return answer
