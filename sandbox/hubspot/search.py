"""Search over an index that knows only what was true some seconds ago."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sandbox.hubspot.account import Account
from sandbox.hubspot.calls import Answer, Call, record_json
from sandbox.hubspot.records import Refusal


def search(account: Account, call: Call) -> Answer:
    type_id = account.type_id(call.path["object_type"])
    groups = call.body.get("filterGroups", [])
    if len(groups) > 5 or any(len(group["filters"]) > 6 for group in groups):
        raise Refusal(400, "VALIDATION_ERROR", "Too many filter groups or filters")
    limit = int(call.body.get("limit", 10))
    if limit > 200:
        raise Refusal(400, "VALIDATION_ERROR", "limit must be at most 200")
    tests = [[_test(account, type_id, one) for one in group["filters"]] for group in groups]
    indexed_at = account.clock() - account.search_lag_s
    hits = []
    for record in account.records[type_id].values():
        values = record.as_of(indexed_at)
        if not record.is_live or values is None:
            continue
        if any(all(test(values) for test in group) for group in tests):
            hits.append(record_json(account, record, call.body.get("properties")))
    return 200, {"total": len(hits), "results": hits[:limit]}


def _test(account: Account, type_id: str, one: Mapping[str, Any]) -> Callable[[Mapping[str, str]], bool]:
    name, operator = one["propertyName"], one["operator"]
    if name not in account.properties[type_id]:
        raise Refusal(400, "VALIDATION_ERROR", f"There was a problem with the request: no property {name}")
    if operator == "EQ":
        return lambda values: values.get(name, "").lower() == str(one["value"]).lower()
    if operator == "IN":
        wanted = {str(value) for value in one["values"]}
        if any(value != value.lower() for value in wanted):
            raise Refusal(400, "VALIDATION_ERROR", "IN takes lower case values")
        return lambda values: values.get(name, "").lower() in wanted
    if operator == "CONTAINS_TOKEN":
        token = str(one["value"]).strip("*").lower()
        return lambda values: token in values.get(name, "").lower()
    if operator == "HAS_PROPERTY":
        return lambda values: bool(values.get(name))
    raise Refusal(400, "VALIDATION_ERROR", f"Invalid operator {operator}")
