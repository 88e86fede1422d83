"""The organisation, its modules, fields and profiles over the API."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from sandbox.zoho.account import Account
from sandbox.zoho.calls import Answer, Call, each
from sandbox.zoho.fields import Field, Module, from_json
from sandbox.zoho.limits import MODULE_CREDITS
from sandbox.zoho.records import Refusal

EDITIONS_WITHOUT_MODULES = {"free", "standard"}
_NAME = re.compile(r"[A-Za-z0-9]{1,25}")


def org(account: Account, call: Call) -> Answer:
    licence = {"paid": account.edition != "free", "paid_type": account.edition, "users_license_purchased": 5}
    row = {
        "id": "5843104000000020005",
        "zgid": account.org_id,
        "company_name": "Aurora Casa & Telecom",
        "country_code": "BR",
        "time_zone": "America/Sao_Paulo",
        "license_details": licence,
    }
    return 200, {"org": [row]}


def profiles(account: Account, call: Call) -> Answer:
    return 200, {"profiles": [{"id": "5843104000000026011", "name": "Administrator", "custom": False}]}


def list_modules(account: Account, call: Call) -> Answer:
    return 200, {"modules": [one.as_json() for one in account.modules.values()]}


def create_module(account: Account, call: Call) -> Answer:
    if account.edition in EDITIONS_WITHOUT_MODULES:
        raise Refusal("NO_PERMISSION", "permission denied", status=403)

    def make(body: Any) -> dict[str, Any]:
        labels = (body["singular_label"], body["plural_label"], body["api_name"])
        if not all(_NAME.fullmatch(label) for label in labels) or not body["profiles"]:
            raise Refusal("INVALID_DATA", "invalid data", api_name="singular_label")
        if body["api_name"] in account.modules:
            raise Refusal("DUPLICATE_DATA", "duplicate data", api_name="api_name")
        label = body["display_field"]["field_label"]
        # Zoho calls the display field of a module by what it is, not by its label.
        title = Field("Name", label, length=120, is_mandatory=True, id=account.next_id())
        name = f"CustomModule{1 + sum(one.is_custom for one in account.modules.values())}"
        module = Module(
            body["api_name"], name, labels[0], labels[1], {"Name": title}, True, account.next_id()
        )
        account.modules[module.api_name] = module
        account.records[module.api_name] = {}
        account.traffic.spend(extra=MODULE_CREDITS - 1)
        return {"id": module.id}

    return each(call, "modules", 1, make, good=201)


def list_fields(account: Account, call: Call) -> Answer:
    module = account.module(call.query["module"])
    return 200, {"fields": [one.as_json() for one in module.fields.values()]}


def create_fields(account: Account, call: Call) -> Answer:
    module = account.module(call.query["module"])

    def make(body: Any) -> dict[str, Any]:
        made = from_json(body, id_=account.next_id())
        if made.to_module:
            account.module(made.to_module)
        there = module.fields.values()
        if any(made.api_name == one.api_name or made.label == one.label for one in there):
            raise Refusal("DUPLICATE_DATA", "duplicate data", api_name="field_label")
        module.fields[made.api_name] = made
        return {"id": made.id}

    return each(call, "fields", 5, make, good=201)


def rename_field(account: Account, call: Call) -> Answer:
    """The label alone; the api name stays."""
    module = account.module(call.query["module"])
    one = next((one for one in module.fields.values() if one.id == call.path["field_id"]), None)

    def rename(body: Any) -> dict[str, Any]:
        if one is None:
            raise Refusal("INVALID_DATA", "the id given seems to be invalid", api_name="id")
        if any(body["field_label"] == other.label for other in module.fields.values() if other is not one):
            raise Refusal("DUPLICATE_DATA", "duplicate data", api_name="field_label")
        module.fields[one.api_name] = replace(one, label=body["field_label"])
        return {"id": one.id}

    return each(call, "fields", 1, rename)
