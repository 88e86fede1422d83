"""Account details, properties, groups and custom object schemas over the API."""

from __future__ import annotations

from typing import Any

from sandbox.hubspot.account import Account
from sandbox.hubspot.calls import Answer, Call
from sandbox.hubspot.properties import UNIQUE_LIMIT, Property, from_json
from sandbox.hubspot.records import Refusal


def account_details(account: Account, call: Call) -> Answer:
    return 200, {
        "portalId": account.portal_id,
        "accountType": "DEVELOPER_TEST",
        "timeZone": "America/Sao_Paulo",
        "companyCurrency": "BRL",
        "additionalCurrencies": [],
        "utcOffset": "-03:00",
        "utcOffsetMilliseconds": -10_800_000,
        "uiDomain": call.host,
        "dataHostingLocation": "na1",
    }


def list_properties(account: Account, call: Call) -> Answer:
    type_id = account.type_id(call.path["object_type"])
    return 200, {"results": [one.as_json() for one in account.properties[type_id].values()]}


def read_property(account: Account, call: Call) -> Answer:
    definition = account.properties[account.type_id(call.path["object_type"])].get(call.path["name"])
    if definition is None:
        raise Refusal(404, "OBJECT_NOT_FOUND", "Property does not exist")
    return 200, definition.as_json()


def create_property(account: Account, call: Call) -> Answer:
    type_id = account.type_id(call.path["object_type"])
    definition = from_json(call.body)
    there = account.properties[type_id]
    if definition.name in there:
        raise Refusal(409, "CONFLICT", f"Property named {definition.name!r} already exists.")
    if definition.group not in {one.group for one in there.values()} | set(account.groups.get(type_id, {})):
        raise Refusal(400, "VALIDATION_ERROR", f"Property group {definition.group} does not exist")
    if definition.is_unique and sum(one.is_unique for one in there.values()) >= UNIQUE_LIMIT:
        raise Refusal(400, "VALIDATION_ERROR", "Too many unique properties")
    there[definition.name] = definition
    return 201, definition.as_json()


def create_group(account: Account, call: Call) -> Answer:
    groups = account.groups.setdefault(account.type_id(call.path["object_type"]), {})
    name = call.body["name"]
    if name in groups:
        raise Refusal(409, "CONFLICT", f"Property group {name!r} already exists.")
    groups[name] = {"name": name, "label": call.body["label"], "displayOrder": -1, "archived": False}
    return 201, groups[name]


def list_schemas(account: Account, call: Call) -> Answer:
    _needs_enterprise(account)
    return 200, {"results": [_with_properties(account, schema) for schema in account.schemas.values()]}


def create_schema(account: Account, call: Call) -> Answer:
    _needs_enterprise(account)
    body, name = call.body, call.body["name"]
    if any(schema["name"] == name for schema in account.schemas.values()):
        raise Refusal(409, "CONFLICT", f"Object type {name} already exists")
    type_id = f"2-{30_000_000 + len(account.schemas) + 1}"
    definitions = [from_json(one, group=f"{name}_information") for one in body["properties"]]
    account.properties[type_id] = {one.name: one for one in definitions}
    for wanted in [body["primaryDisplayProperty"], *body["requiredProperties"]]:
        if wanted not in account.properties[type_id]:
            raise Refusal(400, "VALIDATION_ERROR", f"{wanted} is not a property of this object")
    account.records[type_id] = {}
    account.schemas[type_id] = {
        "id": type_id.removeprefix("2-"),
        "objectTypeId": type_id,
        "name": name,
        "fullyQualifiedName": f"p{account.portal_id}_{name}",
        "labels": body["labels"],
        "primaryDisplayProperty": body["primaryDisplayProperty"],
        "secondaryDisplayProperties": body.get("secondaryDisplayProperties", []),
        "requiredProperties": body["requiredProperties"],
        "searchableProperties": body.get("searchableProperties", []),
        "associations": [],
        "archived": False,
    }
    return 201, _with_properties(account, account.schemas[type_id])


def _with_properties(account: Account, schema: dict[str, Any]) -> dict[str, Any]:
    definitions: dict[str, Property] = account.properties[schema["objectTypeId"]]
    return {**schema, "properties": [one.as_json() for one in definitions.values()]}


def _needs_enterprise(account: Account) -> None:
    if not account.has_custom_objects:
        raise Refusal(403, "MISSING_SCOPES", "This account does not have access to custom objects.")
